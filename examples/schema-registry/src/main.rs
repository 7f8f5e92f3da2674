//! Sends values in Avro by Confluent's wire format: a byte 0, the id of the schema in the registry, the value.
//!
//! The producer sends bytes and needs to know nothing of that: `schema_registry_converter` registers the schema with its first
//! value, remembers its id, and encodes. There is no C in it.
//!
//! ```text
//! cargo run                                          # a cluster and a registry in this process
//! KAFKA_BROKERS=host:9092 SCHEMA_REGISTRY_URL=http://host:8081 cargo run
//! SCHEMA_REGISTRY_URL=https://… cargo run --features https
//! ```

mod registry;

use std::time::Duration;

use rskafka_producer::{Context, Message, Producer, ProducerConfig};
use schema_registry_converter::async_impl::avro::{AvroDecoder, AvroEncoder};
use schema_registry_converter::async_impl::schema_registry::SrSettings;
use schema_registry_converter::schema_registry_common::{SchemaType, SubjectNameStrategy, SuppliedSchema};
use serde::Serialize;

const SCHEMA: &str = r#"{
    "type": "record", "name": "Payment", "namespace": "shop",
    "fields": [{"name": "order", "type": "string"}, {"name": "cents", "type": "long"}]
}"#;

#[derive(Serialize)]
struct Payment {
    order: String,
    cents: i64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    #[cfg(feature = "https")]
    rustls_graviola::default_provider().install_default().map_err(|_| "another provider was first")?;
    let url = match std::env::var("SCHEMA_REGISTRY_URL") {
        Ok(url) => url,
        Err(_) => registry::start().await?,
    };
    let cluster = kafka_testbed::cluster_from_env(&[("payments", 1)]).await?;
    let ctx = Context::timeout(Duration::from_secs(10));
    let producer =
        Producer::connect(&ctx, ProducerConfig::new(cluster.bootstrap()).topic("payments")).await?;

    // Its cache makes one request for each schema. It does not try again by itself; `error.retriable` says whether to.
    let settings = SrSettings::new_builder(url.clone()).set_timeout(Duration::from_secs(5)).build()?;
    let encoder = AvroEncoder::new(settings.clone());
    let schema = SuppliedSchema::new(Some("shop.Payment".into()), SchemaType::Avro, SCHEMA.into());
    // The subject is `payments-value`, as with Java's default, TopicNameStrategy.
    let subject = SubjectNameStrategy::TopicNameStrategyWithSchema("payments".into(), false, schema);

    let mut stored = Vec::new();
    for (order, cents) in [("order-41", 1_999), ("order-42", 250)] {
        let value = encoder.encode_struct(Payment { order: order.into(), cents }, &subject).await?;
        let delivery = producer.send(&ctx, Message::new(value.clone()).key(order)).await?;
        println!("{order}: offset {:?}, {} bytes", delivery.offset(), value.len());
        stored.push(value);
    }

    // What a consumer does with the value of a record. The cluster in memory shows its log.
    if let Some(cluster) = cluster.fake() {
        let log = cluster.records("payments", 0).into_iter().filter_map(|record| record.value);
        stored = log.map(|value| value.to_vec()).collect();
    }
    let decoder = AvroDecoder::new(settings);
    for value in &stored {
        let id = value.get(1..5).ok_or("too short")?;
        println!("schema {id:?}: {:?}", decoder.decode(Some(value)).await?.value);
    }
    producer.close(&ctx).await?;
    Ok(())
}
