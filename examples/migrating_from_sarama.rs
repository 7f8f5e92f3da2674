//! From sarama (Go): the same settings, and the same keys in the same partitions.
//!
//! ```text
//! cargo run --example migrating_from_sarama
//! ```
//!
//! Call by call in the guide `docs::migrating`.

mod shared;

use std::time::Duration;

use rskafka_producer::{
    Acks, BatchConfig, Compression, Context, Idempotence, Message, Partitioning, Producer, ProducerConfig,
    RetryConfig,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = kafka_testbed::cluster_from_env(&[("events", 12)]).await?;

    // config := sarama.NewConfig()
    let config = ProducerConfig::new(cluster.bootstrap())
        // config.Producer.Partitioner = sarama.NewHashPartitioner, the default
        .partitioning(Partitioning::Fnv1a)
        // config.Producer.RequiredAcks = sarama.WaitForAll; sarama's default is WaitForLocal, `Acks::Leader`
        .acks(Acks::All)
        // config.Producer.Idempotent = true; here it needs no Net.MaxOpenRequests = 1
        .idempotence(Idempotence::On)
        .batch(
            BatchConfig::default()
                // config.Producer.Compression = sarama.CompressionSnappy
                .compression(Compression::Snappy)
                // config.Producer.Flush.Frequency = 5 * time.Millisecond
                .linger(Duration::from_millis(5))
                // config.Producer.MaxMessageBytes = 1_000_000
                .max_bytes(1_000_000),
        )
        // config.Producer.Retry.Max = 3; better left out, as `timeouts.delivery` bounds the retries
        .retry(RetryConfig::default().max_attempts(Some(4)))
        .topic("events");

    // producer, err := sarama.NewSyncProducer(brokers, config)
    let producer = Producer::connect(&Context::timeout(Duration::from_secs(10)), config).await?;
    let ctx = Context::timeout(Duration::from_secs(5));

    // partition, offset, err := producer.SendMessage(&sarama.ProducerMessage{Topic: …, Key: …, Value: …})
    let delivery = producer.send_message(&ctx, "order-42", "paid").await?;
    println!("SendMessage:   partition {}, offset {:?}", delivery.partition(), delivery.offset());

    // async.Input() <- message … case <-async.Successes(): … case err := <-async.Errors():
    let receipt = producer.enqueue(&ctx, Message::new("shipped").key("order-42")).await?;
    match receipt.await {
        Ok(delivery) => {
            println!("AsyncProducer: partition {}, offset {:?}", delivery.partition(), delivery.offset())
        }
        // The message comes back, as in `ProducerError.Msg`.
        Err(error) => println!("AsyncProducer: {error}: {:?}", error.clone().into_message()),
    }
    // producer.Close(), which waits without limit
    producer.close(&Context::timeout(Duration::from_secs(10))).await?;

    shared::compare(Partitioning::Fnv1a, "sarama_default").await?;
    shared::compare(Partitioning::Fnv1aReference, "sarama_reference").await
}
