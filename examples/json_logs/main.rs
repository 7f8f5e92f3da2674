//! Writes the producer's events as JSON: `{"component":"kafka","duration_ms":45.123,"brokers":["kafka-1:9092"],"error":null}`.
//!
//! ```text
//! # One line for each operation, as above
//! cargo run --example json_logs
//! # Every event, with time, level, message and all other fields
//! cargo run --example json_logs -- --details
//! ```
//!
//! `KAFKA_BROKERS=127.0.0.1:9092 KAFKA_TOPIC=events` sends to a real Kafka. The formatter is `kafka_json.rs`.

mod kafka_json;

use std::time::Duration;

use rskafka_producer::{Context, Producer, ProducerConfig};
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::kafka_json::KafkaJson;

/// rskafka's own events are left out. `rskafka=warn` alone would match by prefix, and silence this crate as well.
const DEFAULT_FILTER: &str = "info,rskafka=warn,rskafka_producer=debug";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let filter = EnvFilter::try_from_default_env().or_else(|_| EnvFilter::try_new(DEFAULT_FILTER))?;
    let mut format = KafkaJson::default();
    if std::env::args().any(|argument| argument == "--details") {
        format = format.with_details();
    }
    // One layer for the producer's events, and one for everybody else's.
    let kafka = fmt::layer().event_format(format).with_filter(filter_fn(move |event| format.wants(event)));
    let others = fmt::layer().json().with_filter(filter_fn(|event| event.target() != "rskafka_producer"));
    tracing_subscriber::registry().with(filter).with(kafka).with(others).init();

    let topic = std::env::var("KAFKA_TOPIC").unwrap_or_else(|_| "events".into());
    let cluster = kafka_testbed::cluster_from_env(&[(&topic, 1)]).await?;
    let ctx = Context::timeout(Duration::from_secs(10));
    let producer = Producer::connect(&ctx, ProducerConfig::new(cluster.bootstrap()).topic(topic)).await?;
    producer.send_message(&ctx, "order-42", "paid").await?;
    producer.health(&ctx).await?;
    producer.close(&ctx).await?;
    // The brokers are gone now: an event with an error.
    let unreachable = ProducerConfig::new(["127.0.0.1:1"]).topic("events");
    let soon = Context::timeout(Duration::from_millis(300));
    match Producer::connect(&soon, unreachable).await {
        Ok(_) => Err("something listens at port 1".into()),
        Err(_) => Ok(()),
    }
}
