//! Hands messages over first and looks at what became of them later: they share requests, and a failure is still
//! reported for each.
//!
//! ```text
//! cargo run --example await_later
//! ```

use std::time::Duration;

use rskafka_producer::{Context, ErrorKind, Fate, Message, Producer, ProducerConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = kafka_testbed::cluster_from_env(&[("payments", 3)]).await?;
    let config = ProducerConfig::new(cluster.bootstrap()).topic("payments");
    let producer = Producer::connect(&Context::timeout(Duration::from_secs(10)), config).await?;
    // A deadline of the context is also the messages': every receipt resolves by then.
    let ctx = Context::timeout(Duration::from_secs(5));

    let mut receipts = Vec::new();
    for n in 0..1_000 {
        receipts.push(
            producer.enqueue(&ctx, Message::new(format!("payment {n}")).key(format!("{}", n % 50))).await?,
        );
    }
    println!("{} messages accepted", receipts.len());

    let mut stored = 0;
    for receipt in receipts {
        match receipt.await {
            Ok(_) => stored += 1,
            // The message comes back with its error. Sending it again is safe only if it is not in the log.
            Err(error) if error.fate() == Fate::NotPersisted => {
                println!("again: {error}");
                if let Some(message) = error.into_message() {
                    producer.send(&ctx, message).await?;
                }
            }
            Err(error) => println!("may be stored: {error}"),
        }
    }
    println!("{stored} stored in {} requests", producer.stats().requests);

    // What cannot be accepted says so at once, and gives the message back.
    let too_large = Message::new(vec![0; 2_000_000]).key("42");
    match producer.enqueue(&ctx, too_large).await {
        Err(error) if error.kind() == ErrorKind::MessageTooLarge => {
            println!("refused: {error}\n     {} ({})", error.code(), error.fate());
        }
        other => println!("unexpected: {other:?}"),
    }
    producer.close(&Context::timeout(Duration::from_secs(10))).await?;
    Ok(())
}
