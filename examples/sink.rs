//! Sends a stream: `forward` takes from it as buffer space allows, and ends when everything is stored.
//!
//! ```text
//! cargo run --example sink
//! ```

use std::time::Duration;

use futures_util::{SinkExt, StreamExt, stream};
use rskafka_producer::{Context, Message, Producer, ProducerConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = kafka_testbed::cluster_from_env(&[("readings", 3)]).await?;
    let config = ProducerConfig::new(cluster.bootstrap()).topic("readings");
    let ctx = Context::timeout(Duration::from_secs(10));
    let producer = Producer::connect(&ctx, config).await?;

    let readings = stream::iter(0..10_000).map(|n| Message::new(format!("reading {n}")));
    readings.map(Ok).forward(producer.sink()).await?;
    println!("{} stored in {} requests", producer.stats().records_acked, producer.stats().requests);

    // A message that fails comes back with the error of the next call; the sink goes on.
    let mut sink = producer.sink();
    if let Err(error) = sink.send(Message::new(vec![0; 2_000_000])).await {
        println!("refused: {error}");
    }
    sink.send(Message::new("the last reading")).await?;
    producer.close(&ctx).await?;
    Ok(())
}
