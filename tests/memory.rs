//! What a producer holds while its broker reads nothing. Memory is a process's, so the producer has one of its own: this
//! binary again, which asks for what its broker shall do.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use kafka_testbed::FakeCluster;
use rskafka_producer::{
    BufferConfig, CircuitBreakerConfig, Context, ErrorKind, Message, Producer, ProducerConfig, TimeoutConfig,
};

const BOUND: usize = 64 << 20;
const BROKERS: &str = "KAFKA_MEMORY_TEST_BROKERS";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_reads_nothing_costs_the_buffer_and_little_more() {
    if let Ok(brokers) = std::env::var(BROKERS) {
        return produce(&brokers).await;
    }
    if !cfg!(target_os = "linux") {
        eprintln!("SKIPPED: memory is read from /proc");
        return;
    }
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--nocapture"])
        .env(BROKERS, cluster.bootstrap().join(","))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut answer, asked) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let mut held = Vec::new();
    for line in asked.lines() {
        let line = line.unwrap();
        match line.trim().split_once(' ') {
            _ if line == "deaf" => cluster.stop_reading(0),
            _ if line == "behave" => cluster.behave(0),
            Some(("held", bytes)) => {
                eprintln!(
                    "{:.1} MiB for a buffer of {} MiB",
                    bytes.parse::<f64>().unwrap() / 1_048_576.0,
                    BOUND >> 20
                );
                held.push(bytes.parse::<usize>().unwrap());
            }
            _ => continue,
        }
        writeln!(answer).unwrap();
    }
    assert!(child.wait().unwrap().success());
    let share: Vec<f64> = held.iter().map(|bytes| *bytes as f64 / BOUND as f64).collect();
    assert_eq!(share.len(), 6);
    assert!((0.9..=1.2).contains(&share[0]), "{held:?}");
    // Filled again and again, the holes that the allocator leaves are counted too.
    assert!(share[..4].iter().all(|share| *share <= 1.3), "{held:?}");
    // What is said of each of many small messages that failed leaves more of them.
    assert!(share.iter().all(|share| *share <= 2.0), "{held:?}");
}

/// Says something to the process of the broker, and waits until it is done.
fn tell(what: &str) {
    println!("\n{what}");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

async fn produce(brokers: &str) {
    let second = Duration::from_secs(1);
    let config = ProducerConfig::new([brokers])
        .topic("t")
        .buffer(BufferConfig::default().max_bytes(BOUND).max_wait(Duration::from_millis(50)))
        .timeouts(TimeoutConfig::default().request(second / 2).connect(second / 2).delivery(second))
        .circuit_breaker(CircuitBreakerConfig::default().enabled(false));
    let producer = Producer::connect(&Context::timeout(10 * second), config).await.unwrap();
    producer.send(&Context::background(), Message::new("warm")).await.unwrap();
    let before = resident();
    for size in [1_000, 1_000, 1_000, 1_000, 100, 100] {
        tell("deaf");
        loop {
            match producer.enqueue(&Context::background(), Message::new(vec![b'x'; size])).await {
                Ok(receipt) => drop(receipt),
                Err(error) => break assert_eq!(error.kind(), ErrorKind::BufferFull),
            }
        }
        tell(&format!("held {}", resident() - before));
        // Until the last message is given up.
        producer.flush(&Context::timeout(30 * second)).await.unwrap();
        assert_eq!(producer.stats().buffer_bytes, 0);
        tell("behave");
        while producer.send(&Context::timeout(10 * second), Message::new("through")).await.is_err() {}
    }
}

/// Resident memory in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}
