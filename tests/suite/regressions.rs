//! Defects that were found by reading: each test names one, and failed before the fix.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::FutureExt;
use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{
    BatchConfig, BufferConfig, BulkheadConfig, CircuitBreakerConfig, Context, ErrorKind, Fate, Message,
    Producer, ProducerConfig, Receipt, RetryConfig, TimeoutConfig,
};
use tokio::time::Instant;

use crate::faults::producer;
use crate::support::{LATE, SECOND, becomes_true, ctx};

fn config(cluster: &FakeCluster) -> ProducerConfig {
    ProducerConfig::new(cluster.bootstrap()).topic("t")
}

fn one_in_flight() -> BulkheadConfig {
    BulkheadConfig::default().max_in_flight(1)
}

async fn numbers(producer: &Producer, numbers: std::ops::Range<u32>) -> Vec<(u32, Receipt)> {
    let mut receipts = Vec::new();
    for n in numbers {
        let message = Message::new(n.to_string()).header("pad", "x".repeat(80)).partition(0);
        receipts.push((n, producer.enqueue(&ctx(600 * SECOND), message).await.unwrap()));
    }
    receipts
}

fn stored(cluster: &FakeCluster) -> Vec<u32> {
    let text =
        |record: kafka_testbed::StoredRecord| String::from_utf8(record.value.unwrap().to_vec()).unwrap();
    cluster.all_records("t").into_iter().map(|record| text(record).parse().unwrap()).collect()
}

/// A batch that certainly failed said that nothing of the epoch was stored, also of a batch *ahead* of it whose answer
/// was in doubt: that one was sent again under a new epoch, and stored twice.
#[tokio::test(start_paused = true)]
async fn a_batch_refused_behind_one_in_doubt_does_not_double_it() {
    for (first, second) in [(7, 29), (20, 29), (7, 10), (13, 87), (6, 29)] {
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let small = BatchConfig::default().max_bytes(1_024).linger(Duration::from_millis(1));
        let producer = producer(config(&cluster).batch(small)).await;
        for (_, receipt) in numbers(&producer, 0..1).await {
            receipt.await.unwrap();
        }
        cluster.inject(Rule::on(Api::Produce), Fault::Error(first).after_apply());
        cluster.inject(Rule::on(Api::Produce), Fault::Error(second));
        let mut acked = HashSet::from([0]);
        for (n, receipt) in numbers(&producer, 1..100).await {
            if receipt.await.is_ok() {
                acked.insert(n);
            }
        }
        let stored = stored(&cluster);
        assert!(stored.windows(2).all(|pair| pair[0] < pair[1]), "{first}, {second}: {stored:?}");
        assert!(acked.iter().all(|n| stored.contains(n)), "{first}, {second}: lost");
    }
}

/// Messages behind a full pipeline, or behind an open circuit, were not looked at: their deadlines passed unnoticed.
#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_sent_fails_at_its_deadline() {
    for dead in [Dead::Silent, Dead::Open, Dead::Limited, Dead::NoId] {
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let mut config = config(&cluster).bulkhead(one_in_flight());
        if let Dead::Limited = dead {
            let slow = rskafka_producer::RateLimitConfig::default().records_per_second(Some(1.0));
            config = config.rate_limit(slow);
        }
        if let Dead::NoId = dead {
            cluster.inject(Rule::on(Api::InitProducerId).always(), Fault::Error(15));
        }
        let producer = producer(config).await;
        if !matches!(dead, Dead::NoId) {
            producer.send(&ctx(SECOND), Message::new("v")).await.unwrap();
        }
        match dead {
            Dead::Silent => cluster.black_hole(0),
            Dead::Open => {
                cluster.reset_connections(0);
                drop(producer.enqueue(&Context::background(), Message::new("v")).await.unwrap());
                while producer.stats().breaker_opened == 0 {
                    tokio::time::sleep(SECOND / 10).await;
                }
            }
            Dead::Limited => {
                for _ in 0..30 {
                    drop(producer.enqueue(&Context::background(), Message::new("v")).await.unwrap());
                }
                // They leave together, and have to be paid for until the next may.
                tokio::time::sleep(2 * SECOND).await;
            }
            Dead::NoId => {}
        }
        // What is in flight, and what waits behind it.
        drop(producer.enqueue(&Context::background(), Message::new("v")).await.unwrap());
        tokio::time::sleep(SECOND / 20).await;
        let started = Instant::now();
        let receipt = producer.enqueue(&ctx(2 * SECOND), Message::new("v")).await.unwrap();
        let error = tokio::time::timeout(60 * SECOND, receipt).await.expect("settled").unwrap_err();
        let took = started.elapsed();
        assert!((2 * SECOND..=2 * SECOND + LATE).contains(&took), "{dead:?}: {took:?}");
        assert_eq!(
            (error.kind(), error.fate()),
            (ErrorKind::DeliveryTimeout, Fate::NotPersisted),
            "{dead:?}"
        );
    }
}

#[derive(Clone, Copy, Debug)]
enum Dead {
    Silent,
    Open,
    Limited,
    NoId,
}

/// Five requests that were lost with one connection were five failures in a row, and opened the circuit breaker: one
/// reset under load cost five seconds.
#[tokio::test(start_paused = true)]
async fn one_connection_that_breaks_under_load_is_one_failure() {
    let cluster = FakeCluster::with_topic("t", 8).await.unwrap();
    let small = BatchConfig::default().max_bytes(1_024).linger(Duration::ZERO);
    let producer = producer(config(&cluster).batch(small)).await;
    for partition in 0..8 {
        producer.send(&ctx(SECOND), Message::new("0").partition(partition)).await.unwrap();
    }
    cluster.inject(Rule::on(Api::Produce), Fault::Silence);
    let mut receipts = Vec::new();
    for n in 0..400 {
        let message = Message::new("x".repeat(200)).partition(n % 8);
        receipts.push(producer.enqueue(&ctx(60 * SECOND), message).await.unwrap());
    }
    while producer.stats().in_flight < 5 {
        tokio::task::yield_now().await;
    }
    let started = Instant::now();
    cluster.cut_connections(0);
    for receipt in receipts {
        receipt.await.unwrap();
    }
    assert_eq!(producer.stats().breaker_opened, 0);
    assert!(started.elapsed() < SECOND, "{:?}", started.elapsed());
}

/// A topic that metadata denied for a while came back under the producer id that it had, with numbers from zero: the
/// broker took the first batch for one it had, and acknowledged what it did not store.
#[tokio::test(start_paused = true)]
async fn a_topic_that_comes_back_does_not_repeat_its_sequence_numbers() {
    for code in [29, 3] {
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let timeouts = TimeoutConfig::default().metadata_age(SECOND);
        let producer = producer(config(&cluster).timeouts(timeouts)).await;
        producer.send(&ctx(SECOND), Message::new("0")).await.unwrap();
        cluster.inject(Rule::on(Api::Metadata).always(), Fault::Error(code));
        for n in 1..6 {
            tokio::time::sleep(2 * SECOND).await;
            // Asks for metadata again, by its answer.
            drop(producer.send(&ctx(SECOND), Message::new(n.to_string())).await);
        }
        cluster.heal();
        tokio::time::sleep(SECOND).await;
        let before = cluster.high_watermark("t", 0).unwrap();
        let delivery = producer.send(&ctx(10 * SECOND), Message::new("9")).await.unwrap();
        assert_eq!(delivery.offset(), Some(before), "{code}");
        assert_eq!(cluster.high_watermark("t", 0), Some(before + 1), "{code}: acknowledged and not stored");
    }
}

/// A topic without a leader for a second was taken for one that is gone.
#[tokio::test(start_paused = true)]
async fn a_topic_whose_leaders_are_away_is_waited_for() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = producer(config(&cluster)).await;
    producer.send(&ctx(SECOND), Message::new("0")).await.unwrap();
    cluster.inject(Rule::on(Api::Metadata).always(), Fault::Error(5));
    cluster.inject(Rule::on(Api::Produce).always(), Fault::Error(6));
    let receipt = producer.enqueue(&ctx(60 * SECOND), Message::new("1")).await.unwrap();
    tokio::time::sleep(10 * SECOND).await;
    cluster.heal();
    receipt.await.unwrap();
}

/// A batch that came back after `close` had failed what waited was never settled, and `close` waited for it
/// for ever.
#[tokio::test(start_paused = true)]
async fn close_ends_even_while_batches_come_back_to_be_sent_again() {
    for seed in 0..300u64 {
        let mut random = fastrand::Rng::with_seed(seed);
        let cluster = FakeCluster::with_topic("t", 4).await.unwrap();
        let producer = producer(config(&cluster)).await;
        cluster.inject(Rule::on(Api::Produce).always(), Fault::Error(6));
        let mut receipts = Vec::new();
        for n in 0..40 {
            receipts.push(
                producer.enqueue(&Context::background(), Message::new("v").partition(n % 4)).await.unwrap(),
            );
        }
        for _ in 0..random.u32(..20) {
            tokio::task::yield_now().await;
        }
        let limit = Duration::from_millis(random.u64(..100));
        let closed = tokio::time::timeout(10 * SECOND, producer.close(&ctx(limit))).await;
        assert_eq!(
            closed.expect("close ends").unwrap_err().kind(),
            ErrorKind::DeadlineExceeded,
            "seed {seed}"
        );
        for receipt in receipts {
            let error = receipt.now_or_never().expect("settled when close returns").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed, "seed {seed}: {error}");
        }
    }
}

/// A probe that ended with its runtime was waited for ever after, and no other was made.
#[test]
fn a_probe_lost_with_its_runtime_is_made_again() {
    let brokers = tokio::runtime::Runtime::new().unwrap();
    let cluster = brokers.block_on(FakeCluster::with_topic("t", 1)).unwrap();
    let quick = CircuitBreakerConfig::default()
        .consecutive_failures(1)
        .open_for(Duration::from_millis(50))
        .max_open_for(Duration::from_millis(50));
    let producer = Producer::new(config(&cluster).circuit_breaker(quick)).unwrap();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime().block_on(async {
        producer.send(&ctx(10 * SECOND), Message::new("v")).await.unwrap();
        let asked = cluster.requests(Api::Metadata);
        cluster.inject(Rule::on(Api::Produce), Fault::Disconnect);
        // The breaker's probe, and it stays unanswered.
        cluster.inject(Rule::on(Api::Metadata).always(), Fault::Silence);
        drop(producer.enqueue(&Context::background(), Message::new("left")).await.unwrap());
        cluster.wait_until(|cluster| cluster.requests(Api::Metadata) >= asked + 2).await;
    });
    cluster.heal();
    runtime().block_on(async { producer.flush(&ctx(20 * SECOND)).await.unwrap() });
    assert_eq!(cluster.high_watermark("t", 0), Some(2));
}

/// A lane that ended with its runtime took its timers along, and the next one set none.
#[test]
fn a_deadline_set_under_one_runtime_is_kept_under_the_next() {
    let brokers = tokio::runtime::Runtime::new().unwrap();
    let cluster = brokers.block_on(FakeCluster::with_topic("t", 1)).unwrap();
    let producer = Producer::new(config(&cluster).bulkhead(one_in_flight())).unwrap();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let started = std::time::Instant::now();
    let mut receipt = None;
    runtime().block_on(async {
        producer.send(&ctx(10 * SECOND), Message::new("v")).await.unwrap();
        cluster.black_hole(0);
        drop(producer.enqueue(&Context::background(), Message::new("in flight")).await.unwrap());
        receipt = Some(producer.enqueue(&ctx(SECOND), Message::new("waits")).await.unwrap());
        tokio::task::yield_now().await;
    });
    let receipt = receipt.unwrap();
    runtime().block_on(async {
        drop(producer.flush(&ctx(Duration::from_millis(10))).await);
        let settled = tokio::time::timeout(5 * SECOND, receipt).await.expect("settled");
        assert_eq!(settled.unwrap_err().kind(), ErrorKind::DeliveryTimeout);
    });
    assert!(started.elapsed() < 5 * SECOND, "{:?}", started.elapsed());
}

/// `close` refuses work when it is called, and was to drain even if its future is dropped; without being polled it
/// never began, and connections stayed open.
#[tokio::test(start_paused = true)]
async fn a_close_that_is_never_awaited_still_drains_and_lets_go() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = producer(config(&cluster)).await;
    let receipt = producer.enqueue(&ctx(SECOND), Message::new("v")).await.unwrap();
    drop(producer.close(&ctx(SECOND)));
    drop(producer);
    receipt.await.unwrap();
    becomes_true(|| cluster.connections_open(0) == 0, "connections are closed").await;
}

/// A producer dropped on a thread without a runtime left its messages unanswered.
#[test]
fn the_last_handle_dropped_on_a_foreign_thread_delivers_all_the_same() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cluster = runtime.block_on(FakeCluster::with_topic("t", 1)).unwrap();
    let (producer, receipts) = runtime.block_on(async {
        let producer = producer(config(&cluster)).await;
        cluster.inject(Rule::on(Api::Produce), Fault::Delay(SECOND / 5));
        let receipts = numbers(&producer, 0..500).await;
        (producer, receipts)
    });
    std::thread::spawn(move || drop(producer)).join().unwrap();
    runtime.block_on(async {
        for (_, receipt) in receipts {
            tokio::time::timeout(10 * SECOND, receipt).await.expect("answered").unwrap();
        }
        let gone = cluster.wait_until(|cluster| cluster.connections_open(0) == 0);
        tokio::time::timeout(10 * SECOND, gone).await.expect("connections are closed");
    });
}

/// `try_enqueue` on a thread without a runtime panicked when it was the first to wake the sender.
#[test]
fn try_enqueue_needs_no_runtime_on_its_own_thread() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cluster = runtime.block_on(FakeCluster::with_topic("t", 1)).unwrap();
    let producer = runtime.block_on(producer(config(&cluster)));
    let receipt =
        std::thread::spawn(move || producer.try_enqueue(Message::new("v")).unwrap()).join().unwrap();
    runtime.block_on(async { tokio::time::timeout(10 * SECOND, receipt).await.expect("answered").unwrap() });
}

/// Messages whose time ended in flight and that were stored all the same were counted twice, so that what was still
/// under way looked settled, and was dropped with the last handle.
#[tokio::test(start_paused = true)]
async fn each_message_is_counted_once_whatever_becomes_of_it() {
    for fault in [
        Fault::Delay(3 * SECOND),
        Fault::Silence,
        Fault::Silence.after_apply(),
        Fault::Error(7),
        Fault::Error(6),
    ] {
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let timeouts = TimeoutConfig::default().request(4 * SECOND);
        let producer = producer(config(&cluster).timeouts(timeouts)).await;
        cluster.inject(Rule::on(Api::Produce).times(3), fault.clone());
        let mut receipts = Vec::new();
        for n in 0..60u64 {
            let limit = if n % 3 == 0 { Duration::from_millis(100 * n) } else { 60 * SECOND };
            receipts.push(producer.enqueue(&ctx(limit), Message::new(n.to_string())).await.unwrap());
        }
        let (mut acked, mut certain, mut possible) = (0, 0, 0);
        for receipt in receipts {
            match receipt.await.map_err(|error| error.fate()) {
                Ok(_) => acked += 1,
                Err(Fate::NotPersisted) => certain += 1,
                Err(Fate::PossiblyPersisted) => possible += 1,
            }
        }
        producer.flush(&ctx(60 * SECOND)).await.unwrap();
        let stats = producer.stats();
        assert_eq!(
            (stats.records_acked, stats.records_not_persisted, stats.records_possibly_persisted),
            (acked, certain, possible),
            "{fault:?}"
        );
        assert_eq!(stats.records_accepted, 60);
        assert_eq!(stats.buffer_bytes, 0, "{fault:?}");
    }
}

/// A throttle time of 24 days (a flipped bit will do) silenced the way to it for as long.
#[tokio::test(start_paused = true)]
async fn a_throttle_time_beyond_reason_is_not_obeyed() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = producer(config(&cluster)).await;
    cluster.inject(Rule::on(Api::Produce), Fault::Throttle(Duration::from_millis(i32::MAX as u64)));
    producer.send(&ctx(SECOND), Message::new("0")).await.unwrap();
    producer.send(&ctx(100 * SECOND), Message::new("1")).await.unwrap();
}

/// A batch in flight while its topic was found to be deleted was unknown to `flush` and `close`, and was sent again and
/// again until its deadline.
#[tokio::test(start_paused = true)]
async fn a_batch_in_flight_when_its_topic_goes_is_answered_with_it() {
    let cluster = FakeCluster::builder().topic("t", 1).topic("other", 1).start().await.unwrap();
    let producer = producer(config(&cluster).bulkhead(BulkheadConfig::default().max_in_flight(5))).await;
    producer.send(&ctx(SECOND), Message::new("0")).await.unwrap();
    producer.send(&ctx(SECOND), Message::new("0").to("other")).await.unwrap();
    // Slow enough that the answers of metadata come first.
    cluster.inject(Rule::on(Api::Produce).topic("t"), Fault::Silence);
    let receipt = producer.enqueue(&ctx(100 * SECOND), Message::new("1")).await.unwrap();
    let sent = cluster.requests(Api::Produce);
    cluster.wait_until(|cluster| cluster.requests(Api::Produce) > sent - 1).await;
    tokio::time::sleep(SECOND / 10).await;
    cluster.inject(Rule::on(Api::Metadata), Fault::Error(29));
    // Any other lookup of metadata reports that the topic is gone.
    cluster.inject(Rule::on(Api::Produce).topic("other").times(1), Fault::Error(6));
    drop(producer.send(&ctx(5 * SECOND), Message::new("2").to("other")).await);
    assert_eq!(
        producer.flush(&ctx(SECOND)).await.map_err(|e| e.kind()),
        Err(ErrorKind::DeadlineExceeded),
        "flush knows what is in flight"
    );
    let started = Instant::now();
    let error = receipt.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authorization, "{error}");
    assert!(started.elapsed() <= 35 * SECOND, "{:?}", started.elapsed());
}

/// Of a topic made anew with fewer partitions the old ones were still chosen.
#[tokio::test(start_paused = true)]
async fn a_topic_with_fewer_partitions_than_before_is_routed_by_what_it_has() {
    let cluster = FakeCluster::with_topic("t", 6).await.unwrap();
    let timeouts = TimeoutConfig::default().metadata_age(SECOND);
    let producer = producer(config(&cluster).timeouts(timeouts)).await;
    producer.send(&ctx(SECOND), Message::new("0").partition(0)).await.unwrap();
    cluster.delete_topic("t");
    cluster.create_topic("t", 2);
    tokio::time::sleep(2 * SECOND).await;
    producer.send(&ctx(SECOND), Message::new("0").partition(0)).await.unwrap();
    tokio::time::sleep(SECOND).await;
    for key in 0..50 {
        producer.send_message(&ctx(2 * SECOND), key.to_string(), "1").await.unwrap();
    }
    let error = producer.send(&ctx(2 * SECOND), Message::new("v").partition(5)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownPartition);
}

/// Room that was waited for, for a topic that then was gone, was never given back.
#[tokio::test(start_paused = true)]
async fn room_waited_for_in_vain_is_given_back() {
    let cluster = FakeCluster::builder().topic("t", 1).topic("other", 1).start().await.unwrap();
    let config = config(&cluster)
        .batch(BatchConfig::default().max_bytes(100_000))
        .buffer(BufferConfig::default().max_bytes(200_000))
        .bulkhead(BulkheadConfig::default().topic_share(0.9));
    let producer = producer(config).await;
    producer.send(&ctx(SECOND), Message::new("0").to("other")).await.unwrap();
    cluster.delete_topic("t");
    let mut sends = Vec::new();
    for _ in 0..20 {
        let producer = producer.clone();
        sends.push(tokio::spawn(async move {
            producer.send(&ctx(40 * SECOND), Message::new(vec![0; 50_000])).await.unwrap_err()
        }));
    }
    for send in sends {
        assert_eq!(send.await.unwrap().kind(), ErrorKind::UnknownTopic);
    }
    producer.flush(&ctx(SECOND)).await.unwrap();
    assert_eq!(producer.stats().buffer_bytes, 0);
}

/// A drain that ended with its runtime left every later `close` waiting beyond its deadline.
#[test]
fn closing_again_after_the_runtime_of_the_first_close_has_ended() {
    let brokers = tokio::runtime::Runtime::new().unwrap();
    let cluster = brokers.block_on(FakeCluster::with_topic("t", 1)).unwrap();
    let producer = Producer::new(config(&cluster)).unwrap();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime().block_on(async {
        producer.send(&ctx(10 * SECOND), Message::new("v")).await.unwrap();
        cluster.black_hole(0);
        drop(producer.enqueue(&Context::background(), Message::new("left")).await.unwrap());
        let closing = producer.close(&Context::background());
        drop(tokio::time::timeout(Duration::from_millis(50), closing).await);
    });
    let (sender, answer) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let closed = runtime().block_on(producer.close(&ctx(SECOND / 5)));
        drop(sender.send(closed));
    });
    let closed = answer.recv_timeout(5 * SECOND).expect("close ends");
    assert_eq!(closed.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
}

/// Connections under construction to four silent brokers took every place, and the good one was not tried for ten
/// seconds.
#[tokio::test(start_paused = true)]
async fn silent_brokers_do_not_keep_a_good_one_waiting() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let mut brokers = Vec::new();
    let mut silent = Vec::new();
    for _ in 0..7 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        brokers.push(listener.local_addr().unwrap().to_string());
        silent.push(listener);
    }
    brokers.extend(cluster.bootstrap());
    let started = Instant::now();
    Producer::connect(&ctx(30 * SECOND), ProducerConfig::new(brokers)).await.unwrap();
    assert!(started.elapsed() <= SECOND + LATE, "{:?}", started.elapsed());
    drop(silent);
}

/// `enqueue` let the sender run after it had accepted a message that filled a batch: a future dropped then had sent what its
/// caller took for not accepted.
#[tokio::test(start_paused = true)]
async fn an_enqueue_that_is_dropped_while_the_sender_runs_has_accepted_nothing() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = producer(config(&cluster).batch(BatchConfig::default().max_bytes(1_024))).await;
    producer.send(&Context::background(), Message::new("warm")).await.unwrap();
    let (mut accepted, mut dropped) = (1, 0);
    for _ in 0..200 {
        let message = Message::new(vec![b'x'; 100]);
        match producer.enqueue(&Context::background(), message).now_or_never() {
            Some(receipt) => {
                drop(receipt.unwrap());
                accepted += 1;
            }
            None => dropped += 1,
        }
    }
    producer.flush(&ctx(60 * SECOND)).await.unwrap();
    assert!(dropped > 10, "{dropped}");
    assert_eq!(cluster.all_records("t").len(), accepted);
}

/// `NOT_LEADER_OR_FOLLOWER` counted as a refusal. A leader that stands down while it waits for its followers gives the same
/// answer for what it has appended, with the offset: then the next leader may have it.
#[tokio::test(start_paused = true)]
async fn a_leader_that_stood_down_after_the_append_leaves_the_fate_open() {
    for (fault, fate) in [
        (Fault::Error(6), Fate::NotPersisted),
        (Fault::Error(6).after_apply(), Fate::PossiblyPersisted),
        (Fault::Error(3).after_apply(), Fate::PossiblyPersisted),
    ] {
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let once = RetryConfig::default().max_attempts(Some(1));
        let producer = producer(config(&cluster).retry(once)).await;
        cluster.inject(Rule::on(Api::Produce), fault.clone());
        let error = producer.send(&ctx(SECOND), Message::new("v")).await.unwrap_err();
        assert_eq!(error.fate(), fate, "{fault:?}");
        let stored = cluster.all_records("t").len();
        assert_eq!(stored, usize::from(fate == Fate::PossiblyPersisted), "{fault:?}");
    }
}

/// Nobody asked again who leads a partition that had no leader when its topic was first used.
#[tokio::test(start_paused = true)]
async fn a_partition_without_a_leader_at_first_is_sent_to_once_it_has_one() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    cluster.remove_leader("t", 0);
    let producer = producer(config(&cluster)).await;
    let receipt = producer.enqueue(&ctx(60 * SECOND), Message::new("v")).await.unwrap();
    tokio::time::sleep(5 * SECOND).await;
    cluster.move_leader("t", 0, 0);
    let started = Instant::now();
    receipt.await.unwrap();
    assert!(started.elapsed() <= SECOND, "{:?}", started.elapsed());
}

/// While a broker's circuit breaker was open nobody asked where the broker is: one that came back at another address was
/// probed at the old one until metadata was five minutes old.
#[tokio::test(start_paused = true)]
async fn a_broker_that_moves_while_its_breaker_is_open_is_found_by_the_next_probe() {
    let cluster = FakeCluster::builder().brokers(2).topic("t", 2).start().await.unwrap();
    let breaker =
        CircuitBreakerConfig::default().consecutive_failures(1).open_for(SECOND).max_open_for(SECOND);
    let producer = producer(config(&cluster).circuit_breaker(breaker)).await;
    let leader = cluster.leader("t", 0).unwrap();
    producer.send(&ctx(SECOND), Message::new("0").partition(0)).await.unwrap();
    cluster.stop(leader).await;
    let receipt = producer.enqueue(&ctx(60 * SECOND), Message::new("1").partition(0)).await.unwrap();
    tokio::time::sleep(5 * SECOND).await;
    cluster.start_elsewhere(leader).unwrap();
    let started = Instant::now();
    receipt.await.unwrap();
    assert!(started.elapsed() <= 5 * SECOND, "{:?}", started.elapsed());
}

/// Messages without a key stayed with one partition until a batch's worth of bytes had gone there: of four partitions one got
/// all that a slow sender sent in minutes.
#[tokio::test(start_paused = true)]
async fn few_messages_without_a_key_do_not_all_go_to_one_partition() {
    let cluster = FakeCluster::with_topic("t", 4).await.unwrap();
    let producer = producer(config(&cluster)).await;
    for _ in 0..1_500 {
        producer.send(&ctx(SECOND), Message::new(vec![b'v'; 100])).await.unwrap();
        tokio::time::sleep(Duration::from_millis(8)).await;
    }
    let shares: Vec<_> = (0..4).map(|partition| cluster.records("t", partition).len()).collect();
    assert!(shares.iter().all(|share| *share < 1_000), "{shares:?}");
    assert!(shares.iter().filter(|share| **share > 0).count() >= 2, "{shares:?}");
}

/// A partition that took a producer id which was at hand was forgotten until something else woke its broker's task.
#[tokio::test(start_paused = true)]
async fn a_batch_that_waited_for_a_producer_id_which_is_at_hand_leaves_at_once() {
    let cluster = FakeCluster::with_topic("t", 2).await.unwrap();
    let producer = producer(config(&cluster)).await;
    for partition in [0, 1] {
        producer.send(&ctx(SECOND), Message::new("0").partition(partition)).await.unwrap();
    }
    // PRODUCER_FENCED: the first partition fetches another id, the second finds it.
    for partition in [0, 1] {
        cluster.inject(Rule::on(Api::Produce), Fault::Error(90));
        producer.send(&ctx(SECOND), Message::new("1").partition(partition)).await.unwrap();
    }
    assert_eq!(cluster.requests(Api::InitProducerId), 2);
}
