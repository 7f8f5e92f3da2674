//! Every asynchronous call is dropped, leaked, or kept and never polled again, after each of its first polls: other calls
//! go on as if it had never been made.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Poller, Waker};
use std::time::Duration;

use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{
    BatchConfig, BufferConfig, Context, HealthCheck, HealthRegistry, Message, Producer, ProducerConfig,
    TimeoutConfig,
};
use tokio::time::Instant;

use crate::support::{LATE, SECOND, ctx};

type Call = Pin<Box<dyn Future<Output = ()> + Send>>;
type Make = fn(Producer, ProducerConfig) -> Call;

/// Polls after which a call is no longer polled.
const POLLS: usize = 20;
const LIMIT: Duration = Duration::from_secs(20);

/// What becomes of the future.
#[derive(Clone, Copy, Debug)]
enum Left {
    Dropped,
    Leaked,
    Unpolled,
}

/// Every public asynchronous call. Their contexts are long: nothing but the others' own limits may save them.
const CALLS: [(&str, Make); 14] = [
    ("connect", |_, config| {
        Box::pin(async move { drop(Producer::connect(&ctx(300 * SECOND), config).await) })
    }),
    ("send", |producer, _| {
        Box::pin(async move { drop(producer.send(&ctx(300 * SECOND), to("t", 10)).await) })
    }),
    ("send without a deadline", |producer, _| {
        Box::pin(async move { drop(producer.send(&Context::background(), to("t", 10)).await) })
    }),
    ("send_message", |producer, _| {
        Box::pin(async move { drop(producer.send_message(&ctx(300 * SECOND), "k", "v").await) })
    }),
    ("send to a topic that does not exist", |producer, _| {
        Box::pin(async move { drop(producer.send(&ctx(300 * SECOND), to("nowhere", 10)).await) })
    }),
    ("enqueue", |producer, _| {
        Box::pin(async move { drop(producer.enqueue(&ctx(300 * SECOND), to("t", 10)).await) })
    }),
    ("enqueue without space in the buffer", |producer, _| {
        Box::pin(async move {
            while let Ok(receipt) = producer.enqueue(&ctx(300 * SECOND), to("t", 15_000)).await {
                drop(receipt);
            }
        })
    }),
    ("partitions", |producer, _| {
        Box::pin(async move { drop(producer.partitions(&ctx(300 * SECOND), "t").await) })
    }),
    ("cluster_id", |producer, _| {
        Box::pin(async move { drop(producer.cluster_id(&ctx(300 * SECOND)).await) })
    }),
    ("receipt", |producer, _| {
        Box::pin(async move {
            if let Ok(receipt) = producer.enqueue(&ctx(300 * SECOND), to("t", 10)).await {
                drop(receipt.await);
            }
        })
    }),
    ("flush", |producer, _| {
        Box::pin(async move {
            drop(producer.try_enqueue(to("t", 10)));
            drop(producer.flush(&ctx(300 * SECOND)).await);
        })
    }),
    ("health", |producer, _| Box::pin(async move { drop(producer.health(&ctx(300 * SECOND)).await) })),
    ("liveness", |producer, _| {
        Box::pin(async move { drop(producer.liveness().check(&ctx(300 * SECOND)).await) })
    }),
    ("report", |producer, _| {
        Box::pin(async move {
            let registry = HealthRegistry::new();
            registry.register(producer).unwrap();
            drop(registry.report(&ctx(300 * SECOND)).await);
        })
    }),
];

fn to(topic: &'static str, bytes: usize) -> Message {
    Message::new(vec![b'x'; bytes]).to(topic)
}

fn config(cluster: &FakeCluster) -> ProducerConfig {
    ProducerConfig::new(cluster.bootstrap())
        .topic("t")
        .batch(BatchConfig::default().max_bytes(20_000))
        .buffer(BufferConfig::default().max_bytes(100_000))
        .timeouts(TimeoutConfig::default().delivery(30 * SECOND).request(5 * SECOND).connect(5 * SECOND))
}

/// Polls a call so many times, as often as anything happens.
async fn poll(call: &mut Call, polls: usize) {
    for _ in 0..polls {
        if call.as_mut().poll(&mut Poller::from_waker(Waker::noop())).is_ready() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// One call that is no longer polled, and all others.
async fn others_go_on(name: &str, make: Make, polls: usize, left: Left, connected: bool) {
    let what = format!("{name}, {left:?} after {polls} polls, connected before: {connected}");
    let cluster = FakeCluster::builder().topic("t", 2).topic("u", 1).start().await.unwrap();
    let config = config(&cluster);
    let producer = Producer::new(config.clone()).unwrap();
    if connected {
        producer.send(&ctx(LIMIT), to("t", 10)).await.unwrap();
    }
    // Slow enough for the call to wait everywhere.
    for api in [Api::ApiVersions, Api::Metadata, Api::InitProducerId, Api::Produce] {
        cluster.inject(Rule::on(api).times(2), Fault::Delay(Duration::from_millis(3)));
    }
    let mut call = make(producer.clone(), config.clone());
    poll(&mut call, polls).await;
    let kept = match left {
        Left::Dropped => {
            drop(call);
            None
        }
        Left::Leaked => {
            std::mem::forget(call);
            None
        }
        Left::Unpolled => Some(call),
    };
    let in_time = |started: Instant, step: &str| {
        let took = started.elapsed();
        assert!(took < LIMIT + LATE, "{what}: {step} took {took:?}");
    };
    let started = Instant::now();
    for topic in ["t", "u", "t"] {
        let sent = producer.send(&ctx(LIMIT), to(topic, 10)).await;
        assert!(sent.is_ok(), "{what}: send to {topic}: {sent:?}");
    }
    let limited = ctx(LIMIT);
    let (a, b, health) = tokio::join!(
        producer.send(&limited, to("t", 10)),
        producer.enqueue(&limited, to("u", 10)),
        producer.health(&limited),
    );
    assert!(a.is_ok() && b.is_ok() && health.is_ok(), "{what}: {a:?} {b:?} {health:?}");
    let flushed = producer.flush(&ctx(LIMIT)).await;
    assert!(flushed.is_ok(), "{what}: {flushed:?}");
    in_time(started, "everything");
    let other = Producer::connect(&ctx(LIMIT), config).await;
    assert!(other.is_ok(), "{what}: {other:?}");
    let started = Instant::now();
    let closed = producer.close(&ctx(LIMIT)).await;
    assert!(closed.is_ok(), "{what}: {closed:?}");
    in_time(started, "close");
    // What is still held of the buffer belongs to a future that was given it and never looked.
    if !matches!(left, Left::Unpolled | Left::Leaked) {
        assert_eq!(producer.stats().buffer_bytes, 0, "{what}");
    }
    drop(kept);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_abandoned_at_any_poll_holds_up_no_other() {
    let mut tried = 0;
    for (name, make) in CALLS {
        for left in [Left::Dropped, Left::Leaked, Left::Unpolled] {
            for polls in 0..POLLS {
                others_go_on(name, make, polls, left, polls % 2 == 0).await;
                tried += 1;
            }
        }
    }
    eprintln!("{} calls, abandoned in {tried} ways", CALLS.len());
}

/// Closing ends the others by design; but it must not hang, whichever of several closers goes away.
#[tokio::test(start_paused = true)]
async fn a_close_that_is_abandoned_at_any_poll_holds_up_no_other() {
    for left in [Left::Dropped, Left::Leaked, Left::Unpolled] {
        for polls in 0..POLLS {
            let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
            let producer = Producer::connect(&ctx(LIMIT), config(&cluster)).await.unwrap();
            cluster.inject(Rule::on(Api::Produce), Fault::Delay(Duration::from_millis(5)));
            let receipt = producer.enqueue(&ctx(LIMIT), to("t", 10)).await.unwrap();
            let closer = producer.clone();
            let mut call: Call = Box::pin(async move { drop(closer.close(&ctx(300 * SECOND)).await) });
            poll(&mut call, polls).await;
            let kept = match left {
                Left::Dropped => {
                    drop(call);
                    None
                }
                Left::Leaked => {
                    std::mem::forget(call);
                    None
                }
                Left::Unpolled => Some(call),
            };
            let started = Instant::now();
            producer.close(&ctx(LIMIT)).await.unwrap();
            assert!(
                started.elapsed() < LIMIT + LATE,
                "{left:?} after {polls} polls: {:?}",
                started.elapsed()
            );
            receipt.await.unwrap();
            assert_eq!(producer.stats().buffer_bytes, 0, "{left:?} after {polls} polls");
            drop(kept);
        }
    }
}
