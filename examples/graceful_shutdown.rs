//! Ends on SIGTERM (or Ctrl-C) without losing what was accepted: stop taking work, then close within a deadline that
//! is shorter than what the platform grants (Kubernetes: 30 s).
//!
//! ```text
//! cargo run --example graceful_shutdown
//! ```

use std::time::Duration;

use rskafka_producer::{Context, Message, Producer, ProducerConfig};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = kafka_testbed::cluster_from_env(&[("jobs", 3)]).await?;
    let config = ProducerConfig::new(cluster.bootstrap()).topic("jobs");
    let producer = Producer::connect(&Context::timeout(Duration::from_secs(10)), config).await?;
    let mut terminate = signal(SignalKind::terminate())?;

    let mut workers = JoinSet::new();
    for worker in 0..4 {
        workers.spawn(work(producer.clone(), worker));
    }
    // So that this example ends by itself.
    tokio::spawn(send_sigterm_to_ourselves());

    tokio::select! {
        _ = terminate.recv() => println!("SIGTERM"),
        _ = tokio::signal::ctrl_c() => println!("SIGINT"),
    }
    // From the call on new messages are refused, which ends the workers; what was accepted is delivered.
    let closed = producer.close(&Context::timeout(Duration::from_secs(20))).await;
    let accepted: u64 = workers.join_all().await.into_iter().sum();
    let stats = producer.stats();
    println!(
        "accepted {accepted}, stored {}, failed {}",
        stats.records_acked,
        accepted - stats.records_acked
    );
    // Past the deadline the error says how many failed; each receipt has its message's fate.
    closed?;
    Ok(())
}

/// Sends until it is refused.
async fn work(producer: Producer, worker: u32) -> u64 {
    for n in 0.. {
        let message = Message::new(format!("job {n}")).key(format!("worker-{worker}"));
        match producer.enqueue(&Context::background(), message).await {
            // The answer does not matter here: `close` waits for it.
            Ok(receipt) => drop(receipt),
            Err(error) => {
                println!("worker {worker} ends after {n}: {error} ({})", error.fate());
                return n;
            }
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    unreachable!("the loop never ends")
}

async fn send_sigterm_to_ourselves() {
    tokio::time::sleep(Duration::from_millis(500)).await;
    let ourselves = std::process::id().to_string();
    let sent = std::process::Command::new("kill").args(["-s", "TERM", &ourselves]).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill -s TERM failed");
}
