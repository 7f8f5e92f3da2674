//! What telemetry costs while nobody listens, and while somebody does.
//!
//! ```text
//! cargo bench --bench telemetry
//! cargo bench --bench telemetry --features metrics
//! ```
//!
//! A flood of messages of 100 bytes through `send` and through `enqueue` into a cluster in this process, by turns
//! without a subscriber, with one that listens at INFO, and with one at DEBUG, which takes every `send.ok` and every
//! span. The figures are of the whole process, cluster included.

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use kafka_testbed::FakeCluster;
use rskafka_producer::{Context, Message, Producer, ProducerConfig};
use tracing::Dispatch;
use tracing::level_filters::LevelFilter;

const MESSAGES: usize = 100_000;
const ROUNDS: usize = 7;

fn main() {
    let off = ("no subscriber", Dispatch::none());
    let info = ("a subscriber at INFO", listener(LevelFilter::INFO));
    let debug = ("a subscriber at DEBUG", listener(LevelFilter::DEBUG));
    checks();
    for (way, flood) in [("send", Way::Send), ("enqueue", Way::Enqueue)] {
        // By turns, so that whatever else the machine does falls on all.
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..ROUNDS {
            for ((_, dispatch), times) in [&off, &info, &debug].into_iter().zip(&mut times) {
                times.push(tracing::dispatcher::with_default(dispatch, || run(flood)));
            }
        }
        let base = median(&mut times[0]);
        for ((name, _), times) in [&off, &info, &debug].into_iter().zip(&mut times) {
            let time = median(times);
            println!("{way:>8}, {name:<22} {time:>6.0} ns/message  {:>+6.1} %", (time / base - 1.0) * 100.0);
        }
    }
}

/// All that a send does for telemetry while nobody listens: one comparison of levels.
fn checks() {
    const TIMES: u32 = 100_000_000;
    let started = Instant::now();
    for _ in 0..TIMES {
        black_box(black_box(LevelFilter::current()) < LevelFilter::DEBUG);
    }
    println!("one look at the level: {:.2} ns", started.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES));
}

fn listener(level: LevelFilter) -> Dispatch {
    Dispatch::new(tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::sink).finish())
}

#[derive(Clone, Copy)]
enum Way {
    Send,
    Enqueue,
}

/// Nanoseconds per message.
fn run(way: Way) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let config = ProducerConfig::new(cluster.bootstrap()).topic("t");
        let ctx = Context::background();
        let producer = Producer::connect(&Context::timeout(Duration::from_secs(10)), config).await.unwrap();
        let value = Bytes::from(vec![7; 100]);
        let started = Instant::now();
        match way {
            Way::Send => {
                for _ in 0..MESSAGES / 1_000 {
                    let sends = (0..1_000).map(|_| producer.send(&ctx, Message::new(value.clone())));
                    join_all(sends).await.into_iter().for_each(|sent| drop(sent.unwrap()));
                }
            }
            Way::Enqueue => {
                let mut receipts = Vec::with_capacity(MESSAGES);
                for _ in 0..MESSAGES {
                    receipts.push(producer.enqueue(&ctx, Message::new(value.clone())).await.unwrap());
                }
                for receipt in receipts {
                    receipt.await.unwrap();
                }
            }
        }
        let took = started.elapsed();
        producer.close(&ctx).await.unwrap();
        took.as_secs_f64() * 1e9 / MESSAGES as f64
    })
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
