//! The settings for bad days, and a breaker that opens and closes: a broker is stopped and comes back.
//!
//! ```text
//! cargo run --example resilience
//! ```

use std::time::{Duration, Instant};

use kafka_testbed::FakeCluster;
use rskafka_producer::{
    BufferConfig, BulkheadConfig, CircuitBreakerConfig, Context, ErrorKind, HealthCheck, OpenCircuit,
    Producer, ProducerConfig, RateLimitConfig, RetryConfig, TimeoutConfig,
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
        // After 3 failures in a row requests to the broker are suspended for 500 ms; meanwhile sends fail at once.
        .circuit_breaker(
            CircuitBreakerConfig::default()
                .consecutive_failures(3)
                .open_for(Duration::from_millis(500))
                .max_open_for(Duration::from_secs(1))
                .when_open(OpenCircuit::FailFast),
        )
        .rate_limit(RateLimitConfig::default().records_per_second(Some(10_000.0)))
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
    let gone = producer.send_message(&ctx(), "k", "meets a broker that is gone").await;
    say(format!("failed: {}", gone.err().ok_or("stored?")?));

    let before = Instant::now();
    let refused = producer.send_message(&ctx(), "k", "meets an open breaker").await.err().ok_or("stored?")?;
    let (kind, again) = (refused.kind(), refused.retry_after());
    say(format!("{kind}: refused in {:?}, try again in {again:?}", before.elapsed()));
    say(format!("health: {:?}", producer.check(&ctx()).await));

    cluster.start(0)?;
    say("the broker is back".into());
    let delivery = loop {
        match producer.send_message(&ctx(), "k", "after the breaker has closed").await {
            Err(error) if error.kind() == ErrorKind::CircuitOpen => {
                tokio::time::sleep(error.retry_after().unwrap_or(Duration::from_millis(50))).await;
            }
            result => break result?,
        }
    };
    say(format!("stored at offset {:?}: the breaker has closed", delivery.offset()));
    say(format!("health: {:?}", producer.check(&ctx()).await));
    let (opened, records) = (producer.stats().breaker_opened, cluster.records("orders", 0).len());
    say(format!("opened {opened} times; {records} records in the log"));
    producer.close(&Context::timeout(Duration::from_secs(10))).await?;
    Ok(())
}
