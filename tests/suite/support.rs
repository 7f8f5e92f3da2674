//! What tests share.

use std::time::Duration;

use async_trait::async_trait;
use kafka_testbed::{SimNet, StoredRecord};
use rskafka_producer::{ByteStream, ConnectError, Connector, Context, ProducerConfig};

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// By this much a call may miss its deadline.
pub(crate) const LATE: Duration = Duration::from_millis(250);

/// Connects through a network in memory.
struct InMemory(SimNet);

#[async_trait]
impl Connector for InMemory {
    async fn connect(&self, host: &str, port: u16) -> Result<Box<dyn ByteStream>, ConnectError> {
        Ok(Box::new(self.0.connect(host, port).await?))
    }
}

/// A producer on a simulated network.
pub(crate) fn simulated(net: &SimNet, config: ProducerConfig) -> ProducerConfig {
    let clock = net.clone();
    config.connector(InMemory(net.clone())).seed(net.random()).wall_clock(move || clock.wall_clock())
}

pub(crate) fn ctx(limit: Duration) -> Context {
    Context::timeout(limit)
}

/// A minute: long enough for whatever is to work.
pub(crate) fn minute() -> Context {
    ctx(60 * SECOND)
}

/// How many seeds; `SEEDS=20000 cargo test …` looks further.
pub(crate) fn seeds(default: u64) -> u64 {
    std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(default)
}

/// Values are numbers; each partition has its own in ascending order, and none is missing or double.
pub(crate) fn assert_numbers_in_order(stored: &[StoredRecord], expected: usize) {
    let mut last = std::collections::HashMap::new();
    for record in stored {
        let number: u32 = std::str::from_utf8(record.value.as_deref().unwrap()).unwrap().parse().unwrap();
        let before = last.insert(record.partition, number);
        assert!(
            before.is_none_or(|before| before < number),
            "{before:?} before {number} in {}",
            record.partition
        );
    }
    assert_eq!(stored.len(), expected);
}

/// Waits for what sockets do in real time: a paused clock runs ahead of them.
pub(crate) async fn becomes_true(condition: impl Fn() -> bool, what: &str) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        std::thread::sleep(MS);
        tokio::task::yield_now().await;
    }
    panic!("{what}: not within ten seconds");
}
