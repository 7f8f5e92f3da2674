//! From rdkafka (librdkafka): the same settings, and the same keys in the same partitions.
//!
//! ```text
//! cargo run --example migrating_from_rdkafka
//! ```
//!
//! Call by call, and every setting by name, in the guide `docs::migrating`.

mod shared;

use std::time::Duration;

use rskafka_producer::{
    BatchConfig, BufferConfig, Compression, Context, Fate, Message, Partitioning, Producer, ProducerConfig,
    TimeoutConfig,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = kafka_testbed::cluster_from_env(&[("events", 12)]).await?;

    // let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", "…")
    let config = ProducerConfig::new(cluster.bootstrap())
        // .set("partitioner", "consistent_random"), the default
        .partitioning(Partitioning::Crc32)
        .batch(
            BatchConfig::default()
                // .set("linger.ms", "5")
                .linger(Duration::from_millis(5))
                // .set("batch.size", "1000000")
                .max_bytes(1_000_000)
                // .set("compression.type", "lz4")
                .compression(Compression::Lz4),
        )
        // .set("queue.buffering.max.kbytes", "32768")
        .buffer(BufferConfig::default().max_bytes(32 << 20))
        // .set("message.timeout.ms", "60000").set("socket.timeout.ms", "10000")
        .timeouts(
            TimeoutConfig::default().delivery(Duration::from_secs(60)).request(Duration::from_secs(10)),
        );
    // .set("enable.idempotence", "true") and .set("acks", "all") are the defaults here.

    // .create()?
    let producer = Producer::new(config)?;
    let ctx = Context::timeout(Duration::from_secs(5));

    // producer.send(FutureRecord::to("events").key("order-42").payload("paid"), timeout).await
    match producer.send(&ctx, Message::new("paid").key("order-42").to("events")).await {
        Ok(delivery) => {
            println!("send:        partition {}, offset {:?}", delivery.partition(), delivery.offset())
        }
        // Err((error, owned_message)); that the message is not in the log rdkafka cannot say.
        Err(error) if error.fate() == Fate::NotPersisted => {
            println!("send again: {:?}", error.into_message())
        }
        Err(error) => return Err(error.into()),
    }
    // producer.send_result(record), which fails with QueueFull; `enqueue` waits for room instead
    let receipt = producer.try_enqueue(Message::new("shipped").key("order-42").to("events"))?;
    println!("send_result: offset {:?}", receipt.await?.offset());

    // producer.flush(timeout); dropping a FutureProducer loses what was not sent, dropping this one does not
    producer.close(&Context::timeout(Duration::from_secs(10))).await?;

    shared::compare(Partitioning::Crc32, "rdk_consistent").await?;
    shared::compare(Partitioning::Murmur2, "java_murmur2").await
}
