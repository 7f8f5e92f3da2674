//! Many messages in one call have the outcomes of as many calls.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use kafka_testbed::{Api, FakeCluster, Fault, Rule, StoredRecord};
use rskafka_producer::{
    BatchConfig, BufferConfig, Context, ErrorKind, Fate, Message, PartitionInput, Partitioner, Partitioning,
    Producer, ProducerConfig, Result, TelemetryConfig, TraceHeaders,
};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::support::{MS, SECOND, assert_numbers_in_order, ctx, minute, seeds};

fn numbered(messages: std::ops::Range<u32>) -> impl Iterator<Item = Message> {
    messages.map(|n| Message::new(n.to_string()))
}

fn stored(cluster: &FakeCluster) -> Vec<StoredRecord> {
    (0..3).flat_map(|partition| cluster.records("t", partition)).collect()
}

fn kinds<T>(results: &[Result<T>]) -> Vec<Option<(ErrorKind, Fate)>> {
    results.iter().map(|result| result.as_ref().err().map(|error| (error.kind(), error.fate()))).collect()
}

/// Whatever messages are, and wherever they go, the outcome and the log are those of single calls.
#[tokio::test(start_paused = true)]
async fn the_outcomes_and_the_log_are_those_of_single_calls() {
    for seed in 0..seeds(30) {
        let mut random = fastrand::Rng::with_seed(seed);
        let count = random.usize(1..700);
        let messages: Vec<Message> = (0..count)
            .map(|n| {
                let mut message = Message::new(format!("{n}{}", "x".repeat(random.usize(0..600))));
                message.topic = Some(["a", "b", "b", "b", "gone", "no/topic"][random.usize(..6)].into());
                message.partition = random.bool().then(|| random.i32(-1..4));
                message.key = random.bool().then(|| Bytes::from(vec![random.u8(..8)]));
                message.timestamp = random.bool().then(|| random.i64(-1..20));
                if random.u8(..100) == 0 {
                    message.value = Some(Bytes::from(vec![0; 2 << 20]));
                }
                message
            })
            .collect();
        let mut outcomes = Vec::new();
        for bulk in [false, true] {
            let cluster =
                FakeCluster::builder().brokers(2).topic("a", 3).topic("b", 1).start().await.unwrap();
            // One partition for those without a key, whatever else the producer would choose by chance.
            let partitioning = Partitioning::custom(First);
            let config = ProducerConfig::new(cluster.bootstrap()).partitioning(partitioning);
            let producer = Producer::connect(&minute(), config).await.unwrap();
            let mut receipts = Vec::new();
            if bulk {
                let mut rest = messages.clone().into_iter();
                while rest.len() > 0 {
                    let some: Vec<_> = rest.by_ref().take(random.usize(1..400)).collect();
                    receipts.extend(producer.enqueue_all(&minute(), some).await);
                }
            } else {
                for message in messages.clone() {
                    receipts.push(producer.enqueue(&minute(), message).await);
                }
            }
            let mut results = Vec::new();
            for receipt in receipts {
                results.push(match receipt {
                    Ok(receipt) => receipt.await,
                    Err(error) => Err(error),
                });
            }
            producer.close(&minute()).await.unwrap();
            let places: Vec<_> = results
                .iter()
                .map(|result| result.as_ref().ok().map(|d| (d.topic().to_owned(), d.partition(), d.offset())))
                .collect();
            for (error, message) in
                results.iter().zip(&messages).filter_map(|(r, m)| Some((r.as_ref().err()?, m)))
            {
                assert_eq!(error.clone().into_message().as_ref(), Some(message), "seed {seed}: {error}");
            }
            let stats = producer.stats();
            let counted = (
                stats.records_accepted,
                stats.records_acked,
                stats.records_not_persisted,
                stats.records_rejected,
                stats.buffer_bytes,
            );
            outcomes.push((kinds(&results), places, counted));
        }
        assert_eq!(outcomes[0], outcomes[1], "seed {seed}");
    }
}

#[derive(Debug)]
struct First;

impl Partitioner for First {
    fn partition(&self, input: &PartitionInput<'_>) -> Option<u32> {
        Some(input.key.map_or(0, |key| u32::from(key[0]) % input.partitions))
    }
}

/// A buffer that is much smaller than what is handed over is filled again and again, in order.
#[tokio::test(start_paused = true)]
async fn what_does_not_fit_at_once_is_taken_as_space_allows() {
    for most in [1_000, 20_000] {
        let cluster = FakeCluster::with_topic("t", 3).await.unwrap();
        let config = ProducerConfig::new(cluster.bootstrap())
            .topic("t")
            .buffer(BufferConfig::default().max_bytes(most))
            .batch(BatchConfig::default().max_bytes(most).linger(5 * MS));
        let producer = Producer::connect(&minute(), config).await.unwrap();
        let results = producer.send_all(&minute(), numbered(0..3_000)).await;
        assert!(results.iter().all(Result::is_ok), "{:?}", results.iter().find(|r| r.is_err()));
        producer.close(&minute()).await.unwrap();
        assert_numbers_in_order(&stored(&cluster), 3_000);
        assert_eq!(producer.stats().buffer_bytes, 0);
    }
}

/// It is not each message that waits for `buffer.max_wait`, one after the other.
#[tokio::test(start_paused = true)]
async fn a_full_buffer_is_waited_for_once() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let config = ProducerConfig::new(cluster.bootstrap())
        .topic("t")
        .batch(BatchConfig::default().max_bytes(1_000))
        .buffer(BufferConfig::default().max_bytes(10_000).max_wait(3 * SECOND));
    let producer = Producer::connect(&minute(), config).await.unwrap();
    cluster.inject(Rule::on(Api::Produce).times(usize::MAX), Fault::Silence);
    let started = Instant::now();
    let receipts = producer.enqueue_all(&Context::background(), numbered(0..1_000)).await;
    let took = started.elapsed();
    assert!((3 * SECOND..4 * SECOND).contains(&took), "{took:?}");
    let (accepted, rejected) = (receipts.len() - receipts.rejected().count(), receipts.rejected().count());
    assert!(accepted > 50 && rejected > 500, "{accepted} accepted, {rejected} rejected");
    assert!(
        receipts.rejected().all(|(place, error)| error.kind() == ErrorKind::BufferFull && place >= accepted)
    );
    assert!(receipts.waiting_for().is_some());
}

#[tokio::test(start_paused = true)]
async fn when_the_context_ends_each_message_says_what_became_of_it() {
    for cancelled in [false, true] {
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let config = ProducerConfig::new(cluster.bootstrap())
            .topic("t")
            .batch(BatchConfig::default().max_bytes(10_000))
            .buffer(BufferConfig::default().max_bytes(100_000));
        let producer = Producer::connect(&minute(), config).await.unwrap();
        let first = producer.send_all(&minute(), numbered(0..10)).await;
        assert!(first.iter().all(Result::is_ok));
        cluster.inject(Rule::on(Api::Produce).times(usize::MAX), Fault::Silence);
        let token = CancellationToken::new();
        let context =
            if cancelled { Context::background().with_cancellation(token.clone()) } else { ctx(2 * SECOND) };
        let cancel = async {
            sleep(2 * SECOND).await;
            token.cancel();
        };
        let started = Instant::now();
        let messages: Vec<_> = numbered(10..5_000).collect();
        let (results, ()) = tokio::join!(producer.send_all(&context, messages.clone()), cancel);
        assert!(started.elapsed() < 3 * SECOND);
        assert_eq!(results.len(), messages.len());
        let ended = if cancelled { ErrorKind::Cancelled } else { ErrorKind::DeadlineExceeded };
        let mut fates = HashMap::new();
        for (result, message) in results.into_iter().zip(messages) {
            let error = result.unwrap_err();
            // One may have waited for space just then.
            assert!([ended, ErrorKind::BufferFull].contains(&error.kind()), "{error}");
            *fates.entry(error.fate()).or_insert(0) += 1;
            assert_eq!(error.into_message(), Some(message));
        }
        // In flight, and not sent or not even accepted.
        assert!(fates[&Fate::PossiblyPersisted] > 0 && fates[&Fate::NotPersisted] > 1_000, "{fates:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_ended_context_and_a_closed_producer_reject_each_message() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer =
        Producer::connect(&minute(), ProducerConfig::new(cluster.bootstrap()).topic("t")).await.unwrap();
    let token = CancellationToken::new();
    token.cancel();
    let results = producer.send_all(&Context::background().with_cancellation(token), numbered(0..300)).await;
    assert_eq!(kinds(&results), vec![Some((ErrorKind::Cancelled, Fate::NotPersisted)); 300]);
    producer.close(&minute()).await.unwrap();
    let results = producer.enqueue_all(&minute(), numbered(0..300)).await.await;
    assert_eq!(kinds(&results), vec![Some((ErrorKind::Closed, Fate::NotPersisted)); 300]);
    assert!(stored(&cluster).is_empty());
    assert!(producer.send_all(&minute(), []).await.is_empty());
}

/// A propagator that panics for one message fails that message.
#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_traced_fails_alone() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let calls = AtomicU32::new(0);
    let propagator = move |headers: &mut TraceHeaders| {
        let call = calls.fetch_add(1, Ordering::Relaxed);
        assert!(call % 100 != 50, "no trace");
        headers.set("trace", call.to_string());
    };
    let config = ProducerConfig::new(cluster.bootstrap())
        .topic("t")
        .telemetry(TelemetryConfig::default().propagator(propagator));
    let producer = Producer::connect(&minute(), config).await.unwrap();
    let results = producer.send_all(&minute(), numbered(0..300)).await;
    for (n, result) in results.iter().enumerate() {
        assert_eq!(result.is_err(), n % 100 == 50, "{n}: {result:?}");
    }
    producer.close(&minute()).await.unwrap();
    let stored = stored(&cluster);
    assert_eq!(stored.len(), 297);
    assert!(stored.iter().all(|record| record.headers.len() == 1));
}

/// Dropped half-way, what was accepted is stored, in order, and nothing else is.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_leaves_what_was_accepted() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let config = ProducerConfig::new(cluster.bootstrap())
        .topic("t")
        .batch(BatchConfig::default().max_bytes(5_000))
        .buffer(BufferConfig::default().max_bytes(20_000));
    let producer = Producer::connect(&minute(), config).await.unwrap();
    cluster.inject(Rule::on(Api::Produce), Fault::Delay(SECOND));
    let taken = std::cell::Cell::new(0);
    let messages = numbered(0..10_000).inspect(|_| taken.set(taken.get() + 1));
    assert!(timeout(SECOND / 2, producer.enqueue_all(&minute(), messages)).await.is_err());
    assert!(taken.get() < 1_000, "the iterator is read as space allows: {}", taken.get());
    producer.close(&minute()).await.unwrap();
    let stored = stored(&cluster);
    let accepted = producer.stats().records_accepted as usize;
    assert!(accepted > 100 && accepted <= taken.get());
    assert_numbers_in_order(&stored, accepted);
}

/// Awaited by reference, interrupted, and awaited again; or taken apart.
#[tokio::test(start_paused = true)]
async fn receipts_can_be_awaited_in_parts() {
    let cluster = FakeCluster::with_topic("t", 3).await.unwrap();
    let producer =
        Producer::connect(&minute(), ProducerConfig::new(cluster.bootstrap()).topic("t")).await.unwrap();
    cluster.inject(Rule::on(Api::Produce), Fault::Delay(SECOND));
    let mut receipts = producer.enqueue_all(&minute(), numbered(0..1_000)).await;
    assert!(timeout(SECOND / 2, &mut receipts).await.is_err());
    assert_eq!((receipts.len(), receipts.rejected().count()), (1_000, 0));
    assert!(receipts.waiting_for().is_some());
    let results = (&mut receipts).await;
    assert!(results.len() == 1_000 && results.iter().all(Result::is_ok));
    assert!(receipts.is_empty());
    let apart = producer.enqueue_all(&minute(), numbered(0..10)).await;
    for receipt in apart {
        receipt.unwrap().await.unwrap();
    }
    producer.close(&minute()).await.unwrap();
}

#[derive(Debug, Default)]
struct Counting(Arc<AtomicU32>);

impl Partitioner for Counting {
    fn partition(&self, _: &PartitionInput<'_>) -> Option<u32> {
        let call = self.0.fetch_add(1, Ordering::Relaxed);
        Some(if call % 50 == 49 { 9 } else { call % 3 })
    }
}

#[tokio::test(start_paused = true)]
async fn a_partitioner_is_called_once_for_each_message_also_where_it_answers_nonsense() {
    let cluster = FakeCluster::with_topic("t", 3).await.unwrap();
    let calls = Arc::default();
    let partitioning = Partitioning::custom(Counting(Arc::clone(&calls)));
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t").partitioning(partitioning);
    let producer = Producer::connect(&minute(), config).await.unwrap();
    let results = producer.send_all(&minute(), numbered(0..300)).await;
    for (n, result) in results.iter().enumerate() {
        match n % 50 {
            49 => assert_eq!(result.as_ref().unwrap_err().kind(), ErrorKind::UnknownPartition),
            _ => assert_eq!(result.as_ref().unwrap().partition() as usize, n % 3),
        }
    }
    assert_eq!(calls.load(Ordering::Relaxed), 300);
}
