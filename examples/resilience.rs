//! The settings for bad days, and a breaker that opens and closes: a broker is stopped and comes back.
//!
//! ```text
//! cargo run --example resilience
//! ```

use std::time::{Duration, Instant};

use kafka_testbed::FakeCluster;
use rskafka_producer::{
    BufferConfig, BulkheadConfig, CircuitBreakerConfig, Context, ErrorKind, OpenCircuit, Producer,
    ProducerConfig, RateLimitConfig, RetryConfig, TimeoutConfig,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = FakeCluster::with_topic("orders", 1).await?;
    let config = ProducerConfig::new(cluster.bootstrap())
        .topic("orders")
        // A message ends after 5 s, retries included; one attempt after 1 s.
        .timeouts(TimeoutConfig::default().delivery(Duration::from_secs(5)).request(Duration::from_secs(1)))
        .retry(
            RetryConfig::default().backoff(Duration::from_millis(20)).max_backoff(Duration::from_millis(200)),
        )
        // After 3 failures in a row the broker is left alone for 500 ms; meanwhile sends fail at once.
        .circuit_breaker(
            CircuitBreakerConfig::default()
                .consecutive_failures(3)
                .open_for(Duration::from_millis(500))
                .max_open_for(Duration::from_secs(1))
                .when_open(OpenCircuit::FailFast),
        )
        .rate_limit(RateLimitConfig::default())
        .bulkhead(BulkheadConfig::default().topic_share(0.5))
        .buffer(BufferConfig::default().max_wait(Duration::from_secs(1)));
    let producer = Producer::connect(&Context::timeout(Duration::from_secs(10)), config).await?;
    let ctx = || Context::timeout(Duration::from_secs(2));
    let started = Instant::now();
    let say = |text: String| println!("{:>5} ms  {text}", started.elapsed().as_millis());

    producer.send_message(&ctx(), "k", "on a good day").await?;
    say("stored".into());

    cluster.stop(0).await;
    say("the broker is stopped".into());
    let failed =
        producer.send_message(&ctx(), "k", "meets a broker that is gone").await.err().ok_or("stored?")?;
    say(format!("{failed}: {} after {} attempts, {}", failed.kind(), failed.attempts(), failed.fate()));

    let before = Instant::now();
    let refused = producer.send_message(&ctx(), "k", "meets an open breaker").await.err().ok_or("stored?")?;
    say(format!(
        "{}: refused in {:?}, try again in {:?}",
        refused.kind(),
        before.elapsed(),
        refused.retry_after()
    ));
    say(format!(
        "health: {}",
        producer.health(&ctx()).await.map_or_else(|e| e.to_string(), |()| "up".into())
    ));

    cluster.start(0)?;
    say("the broker is back".into());
    loop {
        match producer.send_message(&ctx(), "k", "after the breaker has closed").await {
            Ok(delivery) => {
                break say(format!("stored at offset {:?}: the breaker has closed", delivery.offset()));
            }
            Err(error) if error.kind() == ErrorKind::CircuitOpen => {
                tokio::time::sleep(error.retry_after().unwrap_or(Duration::from_millis(50))).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    say(format!(
        "health: {}",
        producer.health(&ctx()).await.map_or_else(|e| e.to_string(), |()| "up".into())
    ));
    say(format!(
        "opened {} times; {} records in the log",
        producer.stats().breaker_opened,
        cluster.records("orders", 0).len()
    ));
    producer.close(&Context::timeout(Duration::from_secs(10))).await?;
    Ok(())
}
