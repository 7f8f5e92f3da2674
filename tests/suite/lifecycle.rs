//! Beginning, idling, ending: close, drop, runtimes that come and go.

use std::time::Duration;

use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{
    BatchConfig, BufferConfig, BulkheadConfig, Context, ErrorKind, Fate, Message, Producer, ProducerConfig,
};
use tokio::time::Instant;

fn ctx() -> Context {
    Context::timeout(Duration::from_secs(10))
}

#[tokio::test(start_paused = true)]
async fn close_at_its_deadline_fails_what_is_left_with_an_honest_fate() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let config = ProducerConfig::new(cluster.bootstrap())
        .topic("t")
        .bulkhead(BulkheadConfig::default().max_in_flight(1));
    let producer = Producer::connect(&ctx(), config).await.unwrap();
    cluster.inject(Rule::on(Api::Produce).always(), Fault::Silence);
    let in_flight = producer.enqueue(&ctx(), Message::new("gone")).await.unwrap();
    cluster.wait_until(|cluster| cluster.requests(Api::Produce) == 1).await;
    let waiting = producer.enqueue(&ctx(), Message::new("kept")).await.unwrap();
    let started = Instant::now();
    let short = Context::timeout(Duration::from_millis(300));
    let long = Context::timeout(Duration::from_secs(60));
    let (first, second) = tokio::join!(producer.close(&long), producer.close(&short));
    assert!(started.elapsed() <= Duration::from_millis(550), "{:?}", started.elapsed());
    for result in [first, second] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
        assert!(error.to_string().contains("2 messages"), "{error}");
    }
    let gone = in_flight.await.unwrap_err();
    assert_eq!((gone.kind(), gone.fate()), (ErrorKind::Closed, Fate::PossiblyPersisted));
    let kept = waiting.await.unwrap_err();
    assert_eq!((kept.kind(), kept.fate()), (ErrorKind::Closed, Fate::NotPersisted));
    assert_eq!(kept.into_message().unwrap().value.as_deref(), Some(&b"kept"[..]));
    cluster.wait_until(|cluster| cluster.connections_open(0) == 0).await;
}

#[tokio::test(start_paused = true)]
async fn new_work_is_refused_from_the_moment_that_close_is_called() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer =
        Producer::connect(&ctx(), ProducerConfig::new(cluster.bootstrap()).topic("t")).await.unwrap();
    let closing = producer.close(&ctx());
    assert!(producer.is_closed());
    assert_eq!(producer.try_enqueue(Message::new("v")).unwrap_err().kind(), ErrorKind::Closed);
    closing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_delivers_in_the_background_and_closes_every_connection() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer =
        Producer::connect(&ctx(), ProducerConfig::new(cluster.bootstrap()).topic("t")).await.unwrap();
    let mut receipts = Vec::new();
    for n in 0..1_000 {
        receipts.push(producer.enqueue(&ctx(), Message::new(n.to_string())).await.unwrap());
    }
    drop(producer);
    for receipt in receipts {
        receipt.await.unwrap();
    }
    assert_eq!(cluster.high_watermark("t", 0), Some(1_000));
    cluster.wait_until(|cluster| cluster.connections_open(0) == 0).await;
}

#[test]
fn a_producer_outlives_the_runtime_that_it_was_used_on() {
    let brokers = tokio::runtime::Runtime::new().unwrap();
    let cluster = brokers.block_on(FakeCluster::with_topic("t", 1)).unwrap();
    let producer = Producer::new(ProducerConfig::new(cluster.bootstrap()).topic("t")).unwrap();
    for turn in 0..5 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            producer.send_message(&ctx(), "k", turn.to_string()).await.unwrap();
            // Accepted, and left behind by the runtime.
            drop(producer.enqueue(&ctx(), Message::new("left")).await.unwrap());
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        producer.flush(&ctx()).await.unwrap();
        producer.close(&ctx()).await.unwrap();
    });
    assert_eq!(cluster.high_watermark("t", 0), Some(10), "nothing lost, nothing twice");
}

/// With a paused clock and nothing else to do, time jumps to the next timer that anyone has set: how often, in a minute and
/// in the hour after it.
async fn wake_ups() -> [u64; 2] {
    let parks = || tokio::runtime::Handle::current().metrics().worker_park_count(0);
    let mut counts = [0; 2];
    for (count, seconds) in counts.iter_mut().zip([60, 3_600]) {
        let before = parks();
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        *count = parks() - before;
    }
    counts
}

#[test]
fn an_idle_producer_sets_no_timer() {
    let paused = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap()
    };
    let (used, idle) = paused().block_on(async {
        let started = tokio::time::Instant::now();
        let cluster = FakeCluster::with_topic("t", 3).await.unwrap();
        let producer =
            Producer::connect(&ctx(), ProducerConfig::new(cluster.bootstrap()).topic("t")).await.unwrap();
        for n in 0..100 {
            producer.send_message(&Context::background(), n.to_string(), "v").await.unwrap();
        }
        // Whatever was woken by the last answer has run.
        tokio::time::sleep(Duration::from_secs(1)).await;
        (started.elapsed(), wake_ups().await)
    });
    // How often a long sleep of tokio's wakes up by itself depends on the time at which it begins.
    let alone = paused().block_on(async {
        tokio::time::sleep(used).await;
        wake_ups().await
    });
    assert_eq!(idle, alone, "wake-ups beside an idle producer, and without one");
}

/// Calls that waited in a topic's share, or for a topic's metadata, noticed `close` only at their own deadline.
#[tokio::test(start_paused = true)]
async fn a_call_that_waits_to_hand_over_a_message_learns_at_once_that_the_producer_is_closed() {
    let cluster = FakeCluster::builder().topic("t", 1).topic("other", 1).start().await.unwrap();
    let config = ProducerConfig::new(cluster.bootstrap())
        .topic("t")
        .batch(BatchConfig::default().max_bytes(10_000))
        .buffer(BufferConfig::default().max_bytes(200_000))
        .bulkhead(BulkheadConfig::default().topic_share(0.5));
    let producer = Producer::connect(&ctx(), config).await.unwrap();
    producer.send(&ctx(), Message::new("warm")).await.unwrap();
    cluster.black_hole(0);
    let large = || Message::new(vec![0; 90_000]);
    drop(producer.enqueue(&Context::background(), large()).await.unwrap());
    let waits = [large(), Message::new("unknown").to("other")].map(|message| {
        let producer = producer.clone();
        tokio::spawn(async move { producer.enqueue(&Context::background(), message).await.map(drop) })
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(waits.iter().all(|wait| !wait.is_finished()));
    let closed = Instant::now();
    drop(producer.close(&ctx()));
    for wait in waits {
        assert_eq!(wait.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    }
    assert!(closed.elapsed() < Duration::from_millis(50), "{:?}", closed.elapsed());
}
