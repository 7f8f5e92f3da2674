//! Sends messages, reads them back, and prints what was stored where.
//!
//! With no setting it starts a cluster in this process. With `KAFKA_BROKERS=host:port,…` it uses a real one, which
//! needs a topic `quickstart` (or `KAFKA_TOPIC`):
//!
//! ```text
//! cargo run --example quickstart
//! KAFKA_BROKERS=127.0.0.1:9092 cargo run --example quickstart
//! ```

use std::time::Duration;

use rskafka::client::ClientBuilder;
use rskafka::client::partition::UnknownTopicHandling;
use rskafka_producer::{Context, Message, Producer, ProducerConfig};

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let topic = std::env::var("KAFKA_TOPIC").unwrap_or_else(|_| "quickstart".into());
    // Kept until the end: dropping it ends the cluster in this process.
    let cluster = kafka_testbed::cluster_from_env(&[(&topic, 3)]).await?;
    if cluster.fake().is_some() {
        println!("no KAFKA_BROKERS set: started an in-memory cluster of 3 brokers in this process");
    }
    let brokers = cluster.bootstrap();
    println!("brokers: {}", brokers.join(", "));

    let config = ProducerConfig::new(brokers.clone()).topic(&topic);
    let producer = Producer::connect(&Context::timeout(Duration::from_secs(10)), config).await?;
    let ctx = Context::background();

    // One message, awaited until it is stored.
    let delivery = producer.send_message(&ctx, "order-42", "paid").await?;
    println!("\nsent    {}/{} @ {}", delivery.topic(), delivery.partition(), delivery.offset().unwrap_or(-1));

    // Many, accepted first and awaited when it suits: they share requests.
    let mut receipts = Vec::new();
    for n in 0..5 {
        let message =
            Message::new(format!("message {n}")).key(format!("key-{n}")).header("source", "quickstart");
        receipts.push(producer.enqueue(&ctx, message).await?);
    }
    for receipt in receipts {
        let delivery = receipt.await?;
        println!(
            "sent    {}/{} @ {}",
            delivery.topic(),
            delivery.partition(),
            delivery.offset().unwrap_or(-1)
        );
    }
    producer.health(&ctx).await?;
    producer.close(&Context::timeout(Duration::from_secs(10))).await?;

    println!("\nread back:");
    for line in read_back(&brokers, &topic).await? {
        println!("stored  {line}");
    }
    Ok(())
}

/// Reads the topic with rskafka's consumer, which shares no code with the producer's encoder.
async fn read_back(brokers: &[String], topic: &str) -> Result<Vec<String>, Error> {
    let client = ClientBuilder::new(brokers.to_vec()).build().await?;
    let found = client.list_topics().await?.into_iter().find(|t| t.name == topic);
    let mut lines = Vec::new();
    for partition in found.map(|t| t.partitions).unwrap_or_default() {
        let reader = client.partition_client(topic, partition, UnknownTopicHandling::Error).await?;
        let mut offset = reader.get_offset(rskafka::client::partition::OffsetAt::Earliest).await?;
        let end = reader.get_offset(rskafka::client::partition::OffsetAt::Latest).await?;
        while offset < end {
            let (records, _) = reader.fetch_records(offset, 1..1_000_000, 1_000).await?;
            for found in &records {
                let text = |bytes: &Option<Vec<u8>>| {
                    bytes.as_deref().map_or("null".into(), |b| String::from_utf8_lossy(b).into_owned())
                };
                let (key, value) = (text(&found.record.key), text(&found.record.value));
                lines.push(format!("{topic}/{partition} @ {}: {key} = {value}", found.offset));
            }
            match records.last() {
                Some(last) => offset = last.offset + 1,
                None => break,
            }
        }
    }
    Ok(lines)
}
