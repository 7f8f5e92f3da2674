//! What a producer holds while its broker reads nothing. Memory is a process's, so the producer has a separate one: this
//! binary again, which asks for what its broker shall do. Its clock stands still while it fills the buffer and moves only
//! where the test moves it, so that how many messages expire meanwhile does not depend on the machine.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kafka_testbed::FakeCluster;
use rskafka_producer::{
    BufferConfig, CircuitBreakerConfig, Context, ErrorKind, Message, Producer, ProducerConfig, TimeoutConfig,
};
use tokio::time::{advance, pause, resume};

const BOUND: usize = 32 << 20;
const BROKERS: &str = "KAFKA_MEMORY_TEST_BROKERS";
const SECOND: Duration = Duration::from_secs(1);
/// The child is ended after this time, whatever it does.
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn a_broker_that_reads_nothing_costs_the_buffer_and_little_more() {
    if let Ok(brokers) = std::env::var(BROKERS) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(produce(&brokers));
    }
    if !cfg!(target_os = "linux") {
        eprintln!("SKIPPED: memory is read from /proc");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let cluster = runtime.block_on(FakeCluster::with_topic("t", 1)).unwrap();
    let mut child = Ended(
        Command::new(std::env::current_exe().unwrap())
            .args(["--nocapture"])
            .env(BROKERS, cluster.bootstrap().join(","))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let (mut answer, asked) = (child.0.stdin.take().unwrap(), child.0.stdout.take().unwrap());
    let (lines, line) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        BufReader::new(asked).lines().map_while(Result::ok).try_for_each(|line| lines.send(line))
    });
    let (mut held, started) = (Vec::new(), std::time::Instant::now());
    while let Some(left) = LIMIT.checked_sub(started.elapsed()) {
        let Ok(line) = line.recv_timeout(left) else {
            break;
        };
        match line.trim().split_once(' ') {
            _ if line == "deaf" => cluster.stop_reading(0),
            _ if line == "behave" => cluster.behave(0),
            Some(("held", bytes)) => held.push(bytes.parse::<f64>().unwrap() / BOUND as f64),
            _ => continue,
        }
        writeln!(answer).unwrap();
    }
    assert!(
        started.elapsed() < LIMIT,
        "the producer's process takes longer than {LIMIT:?}; held so far: {held:.2?}"
    );
    assert!(child.0.wait().unwrap().success());
    eprintln!("held, in buffers of {} MiB: {held:.2?}", BOUND >> 20);
    assert_eq!(held.len(), 9);
    assert!((0.9..=1.2).contains(&held[0]), "{held:.2?}");
    // Filled again and again, the holes that the allocator leaves are counted too.
    assert!(held[..4].iter().all(|share| *share <= 1.3), "{held:.2?}");
    assert!(held.iter().all(|share| *share <= 2.0), "{held:.2?}");
}

/// A child that does not outlive the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Asks the process of the broker for something, and waits until it is done.
fn ask(what: &str) {
    println!("\n{what}");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

async fn produce(brokers: &str) {
    let config = ProducerConfig::new([brokers])
        .topic("t")
        .buffer(BufferConfig::default().max_bytes(BOUND).max_wait(Duration::from_millis(50)))
        .timeouts(TimeoutConfig::default().request(SECOND / 2).connect(SECOND / 2).delivery(SECOND))
        .circuit_breaker(CircuitBreakerConfig::default().enabled(false));
    let producer = Producer::connect(&Context::timeout(10 * SECOND), config).await.unwrap();
    producer.send(&Context::background(), Message::new("warm")).await.unwrap();
    let before = resident();
    let plan: [(usize, Way); 9] = [
        (1_000, Way::AtOnce),
        (1_000, Way::AtOnce),
        (1_000, Way::AtOnce),
        (1_000, Way::AtOnce),
        (100, Way::AtOnce),
        (100, Way::AtOnce),
        (1_000, Way::WhileItExpires),
        (100, Way::WhileItExpires),
        (100, Way::WhileMostExpire),
    ];
    for (size, way) in plan {
        ask("deaf");
        pause();
        let held = match way {
            Way::AtOnce => fill(&producer, size).await,
            Way::WhileItExpires => fill_while_it_expires(&producer, size).await,
            Way::WhileMostExpire => fill_while_most_expire(&producer, size).await,
        };
        ask(&format!("held {}", held.saturating_sub(before)));
        // Until the last message has failed.
        producer.flush(&Context::timeout(30 * SECOND)).await.unwrap();
        assert_eq!(producer.stats().buffer_bytes, 0);
        ask("behave");
        resume();
        while producer.send(&Context::timeout(10 * SECOND), Message::new("through")).await.is_err() {}
    }
}

/// How the buffer is filled.
#[derive(Clone, Copy)]
enum Way {
    /// Before the first message expires.
    AtOnce,
    /// Slowly: as many messages expire as come.
    WhileItExpires,
    /// Nearly all messages expire at once; some stay for the whole time.
    WhileMostExpire,
}

/// Enqueues until there is no room.
async fn fill(producer: &Producer, size: usize) -> usize {
    for _ in 0..=BOUND / size {
        match producer.enqueue(&Context::background(), Message::new(vec![b'x'; size])).await {
            Ok(receipt) => drop(receipt),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::BufferFull);
                return resident();
            }
        }
    }
    panic!("more than {BOUND} bytes of values were accepted");
}

/// Enqueues three buffers of messages, so slowly that as many expire; the most that was held.
async fn fill_while_it_expires(producer: &Producer, size: usize) -> usize {
    let (turns, mut most) = (200, 0);
    for _ in 0..3 * turns {
        // Three quarters of what the buffer takes, in the second until they expire.
        for _ in 0..BOUND * 3 / 4 / (size + 60) / turns {
            drop(producer.enqueue(&Context::background(), Message::new(vec![b'x'; size])).await.unwrap());
        }
        advance(SECOND / turns as u32).await;
        most = most.max(resident());
    }
    most
}

/// Enqueues three buffers of messages, of which one in a hundred outlives the others; the most that was held.
async fn fill_while_most_expire(producer: &Producer, size: usize) -> usize {
    let (mut most, soon) = (0, Duration::from_millis(2));
    for _ in 0..150 {
        for n in 0..3 * BOUND / (size + 64) / 150 {
            let ctx = if n % 100 == 0 { Context::background() } else { Context::timeout(soon) };
            match producer.enqueue(&ctx, Message::new(vec![b'x'; size])).await {
                Ok(receipt) => drop(receipt),
                Err(error) => {
                    assert!(
                        matches!(error.kind(), ErrorKind::BufferFull | ErrorKind::DeadlineExceeded),
                        "{error}"
                    )
                }
            }
        }
        advance(2 * soon).await;
        most = most.max(resident());
    }
    most
}

/// Resident memory in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}
