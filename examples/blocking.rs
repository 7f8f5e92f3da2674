//! Sends without `async`: a plain program with threads.
//!
//! ```text
//! cargo run --example blocking --features blocking
//! ```

use std::time::Duration;

use rskafka_producer::blocking::Producer;
use rskafka_producer::{Context, Message, ProducerConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Only the cluster in memory needs a runtime.
    let runtime = tokio::runtime::Runtime::new()?;
    let cluster = runtime.block_on(kafka_testbed::cluster_from_env(&[("readings", 3)]))?;

    let ctx = Context::timeout(Duration::from_secs(10));
    let config = ProducerConfig::new(cluster.bootstrap()).topic("readings");
    let producer = Producer::connect(&ctx, config)?;

    // Send, and wait until it is stored.
    let stored = producer.send_message(&ctx, "sensor-1", "21.5")?;
    println!("sensor-1: partition {}, offset {:?}", stored.partition(), stored.offset());

    // Threads share it. Each hands over its messages, and waits for the receipts afterwards.
    std::thread::scope(|scope| {
        for sensor in 2..6 {
            let (producer, ctx) = (&producer, &ctx);
            scope.spawn(move || {
                let reading = |n| Message::new(format!("{n}")).key(format!("sensor-{sensor}"));
                let receipts: Vec<_> = (0..1_000).map(|n| producer.enqueue(ctx, reading(n))).collect();
                let stored = receipts.into_iter().filter_map(|receipt| receipt.ok()?.wait().ok()).count();
                println!("sensor-{sensor}: {stored} stored");
            });
        }
    });

    // Before the process ends: it waits for nothing.
    producer.close(&ctx)?;
    println!("{} stored in {} requests", producer.stats().records_acked, producer.stats().requests);
    Ok(())
}
