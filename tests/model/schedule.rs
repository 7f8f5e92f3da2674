//! One random schedule: users and troubles on one cluster, and at the end the promises.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rskafka_producer::{Context, Message, Producer};
use tokio::time::Instant;

use crate::check;
use crate::ground::Ground;
use crate::runner::{Counts, Watch};
use crate::settings::{MS, SECOND, Settings};
use crate::trouble::{AGES, TOPICS, World};
use crate::user::{LATE, Ledger, Remains, User};

/// Turns of one task per second, beside those that the users' own calls cause.
const MOST_TURNS: u64 = 2_000;

pub(crate) async fn schedule(seed: u64, ground: Ground, watch: Arc<Watch>) -> Counts {
    let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let settings = Settings::random(&mut random, &ground);
    watch.describe(settings.to_string());
    let world = World::new(&settings, seed, ground, watch.clone()).await;
    let producer = connect(&settings, &world, &mut random).await;
    watch.producer(Some(producer.clone()));
    let turns = tokio::spawn(bounded(producer.clone(), settings.buffer));
    let ledger = Arc::new(Ledger::new(world.ground.clone()));
    let users: Vec<_> = (0..settings.users)
        .map(|id| {
            let user = User {
                id,
                random: random.fork(),
                settings: settings.clone(),
                producer: producer.clone(),
                ledger: ledger.clone(),
                watch: watch.clone(),
            };
            tokio::spawn(user.act())
        })
        .collect();
    let trouble = tokio::spawn({
        let (world, mut random) = (world.clone(), random.fork());
        let calm = MS * random.u32(50..4_000);
        async move {
            loop {
                tokio::time::sleep(MS * random.u32(..calm.as_millis() as u32 + 1)).await;
                world.happen(&mut random).await;
            }
        }
    });
    // Closed while users go on, in some.
    let closed_early = random.u8(..8) == 0;
    if closed_early {
        tokio::time::sleep(MS * random.u32(..8_000)).await;
        close(&producer, MS * random.u32(..3_000), &watch).await;
    }
    let mut remains = Remains::default();
    for user in users {
        let left = ended(user, "a user").await;
        remains.calls.extend(left.calls);
        remains.left_alone.extend(left.left_alone);
    }
    trouble.abort();
    _ = trouble.await;
    world.heal().await;
    let dropped = !closed_early && random.u8(..6) == 0;
    if !closed_early && !dropped {
        recovers(&settings, &world, &producer, &watch).await;
    }
    turns.abort();
    _ = turns.await;
    if dropped {
        // Nobody is left: what was accepted is delivered all the same.
        remains.left_alone.clear();
        watch.producer(None);
        drop(producer);
        for call in remains.calls {
            ended(call, "a call").await;
        }
        tokio::time::sleep(2 * settings.delivery).await;
    } else {
        let short = random.u8(..5) == 0;
        let limit = if short { MS * random.u32(..800) } else { 90 * SECOND };
        close(&producer, limit, &watch).await;
        for call in remains.calls {
            ended(call, "a call").await;
        }
        let stats = producer.stats();
        let settled = stats.records_acked + stats.records_not_persisted + stats.records_possibly_persisted;
        assert_eq!(stats.records_accepted, settled, "{stats:?}");
        assert_eq!(stats.buffer_bytes, 0, "{stats:?}");
        drop(remains.left_alone);
        assert_eq!(producer.stats().buffer_bytes, 0, "after calls were dropped that nobody had polled");
    }
    let (mut counts, broken) = check::promises(&settings, &world, &ledger);
    assert!(broken.is_empty(), "{}", broken.join("\n  "));
    counts.push(("topics created again", *world.recreated.lock()));
    counts
}

async fn connect(settings: &Settings, world: &World, random: &mut fastrand::Rng) -> Producer {
    let config = settings.config(world.cluster.bootstrap()).client_id(&world.client);
    let config = world.ground.connected(config);
    if random.bool() {
        let started = Instant::now();
        let connected = Producer::connect(&Context::timeout(3 * SECOND), config.clone()).await;
        assert!(started.elapsed() <= 3 * SECOND + LATE, "connect took {:?}", started.elapsed());
        if let Ok(producer) = connected {
            return producer;
        }
    }
    Producer::new(config).unwrap()
}

async fn close(producer: &Producer, limit: Duration, watch: &Arc<Watch>) {
    let (_open, started) = (watch.call("close"), Instant::now());
    // What it could not deliver in this time, it says.
    _ = producer.close(&Context::timeout(limit)).await;
    assert!(started.elapsed() <= limit + LATE, "close took {:?} of {limit:?}", started.elapsed());
}

/// Once nothing goes wrong any more, every partition can be sent to.
async fn recovers(settings: &Settings, world: &World, producer: &Producer, watch: &Arc<Watch>) {
    for topic in TOPICS {
        for partition in 0..settings.partitions {
            let _open = watch.call(format!("{topic}/{partition} works again"));
            let started = Instant::now();
            while let Err(error) = producer
                .send(&Context::timeout(30 * SECOND), Message::new("after").to(topic).partition(partition))
                .await
            {
                assert!(
                    started.elapsed() < 90 * SECOND,
                    "{topic}/{partition}, led by {:?}, does not work again: {error:?}",
                    world.cluster.leader(topic, partition)
                );
                tokio::time::sleep(SECOND / 10).await;
            }
        }
    }
}

/// Waits for what ends by itself.
async fn ended<T>(task: impl Future<Output = Result<T, tokio::task::JoinError>>, what: &str) -> T {
    let task: Pin<Box<dyn Future<Output = _>>> = Box::pin(task);
    match tokio::time::timeout(AGES, task).await {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => std::panic::resume_unwind(error.into_panic()),
        Err(_) => panic!("{what} never ended"),
    }
}

/// No task runs in circles, and no more is buffered than may be.
async fn bounded(producer: Producer, buffer: usize) {
    let mut before = producer.tasks();
    loop {
        tokio::time::sleep(SECOND).await;
        let buffered = producer.stats().buffer_bytes;
        assert!(buffered <= buffer, "{buffered} bytes are buffered of {buffer}");
        let now = producer.tasks();
        for task in &now {
            let earlier = before.iter().find(|other| other.name == task.name);
            let (turns, polls) = earlier.map_or((0, 0), |earlier| (earlier.turns, earlier.polls));
            let rate = task.turns.saturating_sub(turns).max(task.polls.saturating_sub(polls));
            assert!(rate <= MOST_TURNS, "{} comes round {rate} times in a second", task.name);
        }
        before = now;
    }
}
