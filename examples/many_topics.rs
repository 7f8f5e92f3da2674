//! One producer for many topics: each message names its own, and one topic that is in trouble does not stop the
//! others.
//!
//! ```text
//! cargo run --example many_topics
//! ```

use std::sync::Arc;
use std::time::Duration;

use rskafka_producer::{BulkheadConfig, Context, Message, Producer, ProducerConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = kafka_testbed::cluster_from_env(&[("orders", 3), ("audit", 1), ("metrics", 6)]).await?;

    // Without a default topic. A topic may fill at most half of the buffer.
    let config =
        ProducerConfig::new(cluster.bootstrap()).bulkhead(BulkheadConfig::default().topic_share(0.5));
    let producer = Producer::connect(&Context::timeout(Duration::from_secs(10)), config).await?;
    let ctx = Context::timeout(Duration::from_secs(5));

    // An `Arc<str>` is cloned for each message without an allocation.
    let topics: [Arc<str>; 3] = ["orders".into(), "audit".into(), "metrics".into()];
    let mut receipts = Vec::new();
    for n in 0..300 {
        let topic = topics[n % topics.len()].clone();
        let message = Message::new(format!("event {n}")).key(format!("key-{}", n % 7)).to(topic);
        receipts.push(producer.enqueue(&ctx, message).await?);
    }
    let mut stored = std::collections::BTreeMap::new();
    for receipt in receipts {
        let delivery = receipt.await?;
        *stored.entry(format!("{}/{}", delivery.topic(), delivery.partition())).or_insert(0) += 1;
    }
    for (partition, count) in stored {
        println!("{partition:<12} {count} stored");
    }

    // A topic that does not exist is an error, and is not created.
    let misspelt = producer.send(&ctx, Message::new("v").to("odrers")).await;
    println!(
        "odrers: {}",
        misspelt.map_or_else(|error| error.to_string(), |delivery| format!("{delivery:?}"))
    );
    producer.close(&Context::timeout(Duration::from_secs(10))).await?;
    Ok(())
}
