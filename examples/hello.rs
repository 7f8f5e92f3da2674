//! The least: connect, send one message, close.
//!
//! ```text
//! cargo run --example hello
//! KAFKA_BROKERS=127.0.0.1:9092 cargo run --example hello      # a cluster with a topic `greetings`
//! ```

use std::time::Duration;

use rskafka_producer::{Context, Producer, ProducerConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = kafka_testbed::cluster_from_env(&[("greetings", 3)]).await?;

    let config = ProducerConfig::new(cluster.bootstrap()).topic("greetings");
    let producer = Producer::connect(&Context::timeout(Duration::from_secs(10)), config).await?;

    let ctx = Context::timeout(Duration::from_secs(5));
    let delivery = producer.send_message(&ctx, "world", "hello").await?;
    println!("stored in partition {} at offset {:?}", delivery.partition(), delivery.offset());

    producer.close(&Context::timeout(Duration::from_secs(10))).await?;
    Ok(())
}
