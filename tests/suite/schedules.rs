//! Everything that can go wrong at once, at random: two brokers that lose, cut, delay and refuse, leaders that move,
//! batches too large for the topic, messages whose time ends and contexts that are cancelled.

use std::collections::HashMap;
use std::time::Duration;

use kafka_testbed::{Api, FakeCluster, Fault, RequestSeen};
use parking_lot::Mutex;
use rskafka_producer::{BatchConfig, Context, Fate, Message, Producer, ProducerConfig, TimeoutConfig};
use tokio_util::sync::CancellationToken;

use crate::errors_explain::assert_explained;
use crate::support::seeds;

const PARTITIONS: i32 = 3;

#[tokio::test(start_paused = true)]
async fn whatever_happens_fates_are_true_and_nothing_is_duplicated_or_reordered() {
    let mut counts = [0; 3];
    for seed in 0..seeds(300) {
        for (sum, one) in counts.iter_mut().zip(schedule(seed).await) {
            *sum += one;
        }
    }
    eprintln!("acked, not persisted, possibly persisted: {counts:?}");
    assert!(counts.iter().all(|count| *count > 0), "every fate was met: {counts:?}");
}

fn fault(random: &mut fastrand::Rng) -> Fault {
    let codes = [6, 7, 10, 19, 20, 29, 56, 87, 2, 5, 9, 13, 89];
    match random.u8(..10) {
        0 => Fault::Disconnect,
        1 => Fault::Disconnect.after_apply(),
        2 => Fault::Silence,
        3 => Fault::Silence.after_apply(),
        4 | 5 => Fault::Error(codes[random.usize(..codes.len())]),
        6 => Fault::Error([6, 7, 20, 13, 56][random.usize(..5)]).after_apply(),
        7 => Fault::Delay(Duration::from_millis(random.u64(..3_000))),
        8 => Fault::CutAfter(random.usize(..40)),
        _ => Fault::Throttle(Duration::from_millis(random.u64(..300))),
    }
}

/// One run; how many messages had which fate. A failure names the seed.
async fn schedule(seed: u64) -> [usize; 3] {
    let cluster = FakeCluster::builder().brokers(2).topic("t", PARTITIONS).start().await.unwrap();
    // Some batches are too large, and divided.
    cluster.configure_topic("t", "max.message.bytes", "700");
    let config = ProducerConfig::new(cluster.bootstrap())
        .topic("t")
        .batch(BatchConfig::default().max_bytes(1_024).linger(Duration::from_millis(1)))
        .timeouts(TimeoutConfig::default().request(Duration::from_secs(2)).delivery(Duration::from_secs(20)));
    let producer = Producer::connect(&Context::timeout(Duration::from_secs(10)), config).await.unwrap();
    let (hook, left) = (Mutex::new(fastrand::Rng::with_seed(seed)), Mutex::new(25));
    cluster.on_request(move |request: &RequestSeen| {
        let (mut random, mut left) = (hook.lock(), left.lock());
        (request.api == Api::Produce && *left > 0 && random.f64() < 0.4).then(|| {
            *left -= 1;
            fault(&mut random)
        })
    });
    let mut random = fastrand::Rng::with_seed(!seed);
    let mut sends = Vec::new();
    for number in 0..150u32 {
        let partition = random.i32(0..PARTITIONS);
        let message = Message::new(number.to_string()).header("pad", "x".repeat(80)).partition(partition);
        let limit = if random.u8(..4) == 0 { random.u64(1..4_000) } else { 60_000 };
        let ctx = Context::timeout(Duration::from_millis(limit));
        match random.u8(..8) {
            // Called off at some time, or at once.
            0 => {
                let token = CancellationToken::new();
                let after = Duration::from_millis(random.u64(..2_000));
                let (producer, ctx) = (producer.clone(), ctx.with_cancellation(token.clone()));
                let send = tokio::spawn(async move { producer.send(&ctx, message).await.map(drop) });
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    token.cancel();
                });
                // Accepted before what comes next.
                tokio::task::yield_now().await;
                sends.push((number, send));
            }
            _ => {
                let receipt = producer.enqueue(&ctx, message).await.unwrap();
                sends.push((number, tokio::spawn(async move { receipt.await.map(drop) })));
            }
        }
        match random.u8(..40) {
            0 => cluster.move_leader("t", random.i32(0..PARTITIONS), random.i32(0..2)),
            1 => cluster.cut_connections(random.i32(0..2)),
            2..=5 => tokio::time::sleep(Duration::from_millis(random.u64(..500))).await,
            _ => {}
        }
    }
    let (mut counts, mut fates) = ([0; 3], HashMap::new());
    for (number, send) in sends {
        let fate = send.await.unwrap().map_err(|error| {
            assert_explained(&format!("seed {seed}"), &error);
            error.fate()
        });
        counts[match fate {
            Ok(()) => 0,
            Err(Fate::NotPersisted) => 1,
            Err(Fate::PossiblyPersisted) => 2,
        }] += 1;
        fates.insert(number, fate);
    }
    producer.close(&Context::timeout(Duration::from_secs(60))).await.unwrap();
    let stats = producer.stats();
    assert_eq!(
        stats.records_accepted,
        stats.records_acked + stats.records_not_persisted + stats.records_possibly_persisted,
        "seed {seed}: {stats:?}"
    );
    for partition in 0..PARTITIONS {
        let text =
            |record: kafka_testbed::StoredRecord| String::from_utf8(record.value.unwrap().to_vec()).unwrap();
        let found: Vec<u32> =
            cluster.records("t", partition).into_iter().map(|r| text(r).parse().unwrap()).collect();
        assert!(
            found.windows(2).all(|pair| pair[0] < pair[1]),
            "seed {seed}: duplicated or reordered: {found:?}"
        );
        for number in found {
            assert_ne!(
                fates.insert(number, Ok(())),
                Some(Err(Fate::NotPersisted)),
                "seed {seed}: {number} is a phantom"
            );
            fates.remove(&number);
        }
    }
    let lost: Vec<_> = fates.iter().filter(|(_, fate)| fate.is_ok()).collect();
    assert!(lost.is_empty(), "seed {seed}: lost {lost:?}");
    counts
}
