//! Hands over many messages in one call: at less cost than as many calls, with an outcome for each.
//!
//! ```text
//! cargo run --example bulk
//! ```

use std::time::Duration;

use rskafka_producer::{Context, Message, Producer, ProducerConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = kafka_testbed::cluster_from_env(&[("readings", 3)]).await?;
    let config = ProducerConfig::new(cluster.bootstrap()).topic("readings");
    let ctx = Context::timeout(Duration::from_secs(10));
    let producer = Producer::connect(&ctx, config).await?;

    // Sent and waited for. One message is too large: it fails alone.
    let reading =
        |n: u32| if n == 500 { Message::new(vec![0; 2_000_000]) } else { Message::new(n.to_string()) };
    let results = producer.send_all(&ctx, (0..1_000).map(reading)).await;
    println!("{} of {} stored", results.iter().filter(|result| result.is_ok()).count(), results.len());
    for (place, error) in results.iter().enumerate().filter_map(|(place, r)| Some((place, r.as_ref().err()?)))
    {
        println!("message {place}: {error}");
    }

    // Handed over now, looked at later. The iterator is read as buffer space allows, however long it is.
    let receipts =
        producer.enqueue_all(&ctx, (0..100_000).map(|n| Message::new(format!("reading {n}")))).await;
    println!(
        "{} accepted, {} rejected",
        receipts.len() - receipts.rejected().count(),
        receipts.rejected().count()
    );
    let stored = receipts.await.into_iter().filter(|result| result.is_ok()).count();
    println!("{stored} stored in {} requests", producer.stats().requests);
    producer.close(&ctx).await?;
    Ok(())
}
