//! A producer that is configured where containers keep it, by Kafka's own names.
//!
//! ```text
//! KAFKA_BOOTSTRAP_SERVERS=host:9092 KAFKA_TOPIC=events KAFKA_LINGER_MS=20 KAFKA_COMPRESSION_TYPE=lz4 \
//!     cargo run --example from_environment
//! ```
//!
//! Without any of them it shows the same with a made-up environment, on a cluster in this process.

use std::time::Duration;

use rskafka_producer::{Context, Producer, ProducerConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let fake = kafka_testbed::FakeCluster::with_topic("events", 3).await?;
    let config = match std::env::var_os("KAFKA_BOOTSTRAP_SERVERS") {
        Some(_) => ProducerConfig::from_env()?,
        None => ProducerConfig::from_properties([
            ("bootstrap.servers", fake.bootstrap().join(",")),
            ("topic", "events".into()),
            ("linger.ms", "20".into()),
            ("compression.type", "lz4".into()),
        ])?,
    };
    println!("{config:#?}");

    let ctx = Context::timeout(Duration::from_secs(10));
    let producer = Producer::connect(&ctx, config).await?;
    let delivery = producer.send_message(&ctx, "key", "from the environment").await?;
    println!("stored in {}/{} at {:?}", delivery.topic(), delivery.partition(), delivery.offset());
    producer.close(&ctx).await?;

    // Misspelt names are reported, with suggestions.
    let misspelt = ProducerConfig::from_properties([("bootstrap.servers", "kafka:9092"), ("lingr.ms", "5")]);
    println!("misspelt: {}", misspelt.err().ok_or("a misspelt setting was accepted")?);
    Ok(())
}
