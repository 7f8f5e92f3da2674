//! A slow codec works on threads that others use too: that these are busy stops nothing.

use std::sync::mpsc;
use std::time::Duration;

use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{BatchConfig, Compression, Context, ErrorKind, Message, Producer, ProducerConfig};
use tokio_util::sync::CancellationToken;

/// Long enough for any machine; every wait here ends much sooner, or not at all.
const LONG: Duration = Duration::from_secs(60);

/// A runtime whose only thread for blocking work is busy until the sender is dropped.
fn busy() -> (tokio::runtime::Runtime, mpsc::Sender<()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (release, released) = mpsc::channel::<()>();
    runtime.spawn_blocking(move || released.recv().is_err());
    (runtime, release)
}

async fn connected() -> (FakeCluster, Producer) {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let batch = BatchConfig::default().compression(Compression::Gzip);
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t").batch(batch);
    let producer = Producer::connect(&Context::timeout(LONG), config).await.unwrap();
    (cluster, producer)
}

#[test]
fn messages_are_encoded_and_stored_while_every_blocking_thread_is_busy() {
    let (runtime, release) = busy();
    runtime.block_on(async {
        let (cluster, producer) = connected().await;
        let ctx = Context::timeout(LONG);
        for n in 0..20 {
            producer.send(&ctx, Message::new(format!("{n} {}", "again ".repeat(100)))).await.unwrap();
        }
        producer.flush(&ctx).await.unwrap();
        producer.close(&ctx).await.unwrap();
        assert_eq!(cluster.high_watermark("t", 0), Some(20));
    });
    // Nothing waited for it.
    drop(release);
}

#[test]
fn deadlines_hold_while_every_blocking_thread_is_busy() {
    let (runtime, release) = busy();
    runtime.block_on(async {
        let (cluster, producer) = connected().await;
        cluster.inject(Rule::on(Api::Produce).always(), Fault::Silence);
        let started = std::time::Instant::now();
        let short = Context::timeout(Duration::from_millis(150));
        let error = producer.send(&short, Message::new("late")).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::DeadlineExceeded | ErrorKind::DeliveryTimeout));
        let receipt = producer.enqueue(&short, Message::new("late")).await;
        if let Ok(receipt) = receipt {
            receipt.await.unwrap_err();
        }
        _ = producer.close(&Context::timeout(Duration::from_millis(200))).await;
        assert!(started.elapsed() < LONG / 2, "{:?}", started.elapsed());
    });
    drop(release);
}

/// Four thousand sends that one token ends: each is answered, and wakes itself alone.
#[tokio::test(start_paused = true)]
async fn four_thousand_sends_called_off_at_once_wake_each_task_a_few_times() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const SENDS: usize = 4_000;
    let (cluster, producer) = connected().await;
    cluster.remove_leader("t", 0);
    let (token, polls) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let mut sends = Vec::new();
    for n in 0..SENDS {
        let (producer, polls) = (producer.clone(), polls.clone());
        let ctx = Context::timeout(LONG).with_cancellation(token.clone());
        sends.push(tokio::spawn(async move {
            let mut send = Box::pin(producer.send(&ctx, Message::new(n.to_string())));
            std::future::poll_fn(|cx| {
                polls.fetch_add(1, Ordering::Relaxed);
                send.as_mut().poll(cx)
            })
            .await
        }));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = polls.load(Ordering::Relaxed);
    let started = std::time::Instant::now();
    token.cancel();
    for send in sends {
        send.await.unwrap().unwrap_err();
    }
    eprintln!("{SENDS} sends called off in {:?}", started.elapsed());
    let polls = polls.load(Ordering::Relaxed) - before;
    assert!(polls <= 3 * SENDS, "{polls} polls");
    assert_eq!(producer.stats().buffer_bytes, 0);
}
