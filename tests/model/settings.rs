//! Random settings of a producer, and of its cluster.

use std::fmt;
use std::time::Duration;

use rskafka_producer::{
    Acks, BatchConfig, BufferConfig, BulkheadConfig, CircuitBreakerConfig, Compression, OpenCircuit,
    Partitioning, ProducerConfig, RateLimitConfig, RetryConfig, TimeoutConfig,
};

use crate::ground::Ground;
use crate::hostile::Capricious;

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) brokers: i32,
    pub(crate) partitions: i32,
    pub(crate) users: usize,
    pub(crate) idempotent: bool,
    pub(crate) leader_acks: bool,
    codec: Compression,
    pub(crate) batch_bytes: usize,
    linger: Duration,
    pub(crate) buffer: usize,
    pub(crate) max_wait: Duration,
    in_flight: usize,
    pub(crate) delivery: Duration,
    breaker: Option<OpenCircuit>,
    pub(crate) max_attempts: Option<u32>,
    rate: Option<f64>,
    /// The broker's bound on a batch.
    pub(crate) max_message_bytes: Option<usize>,
    /// Part of the requests that something happens to.
    pub(crate) fault_rate: f64,
    /// Answers other than those to produce requests may hold anything, identities too.
    pub(crate) lying: bool,
    /// The partitioner, a value's owner, or both misbehave.
    pub(crate) hostile: bool,
}

fn one_of<T: Clone>(random: &mut fastrand::Rng, choices: &[T]) -> T {
    choices[random.usize(..choices.len())].clone()
}

impl Settings {
    pub(crate) fn random(r: &mut fastrand::Rng, ground: &Ground) -> Self {
        // What is slow to compress is encoded on other threads, whose time nobody simulates.
        let slow = if ground.is_simulated() { Compression::Snappy } else { Compression::Gzip };
        let idempotent = r.u8(..4) > 0;
        Self {
            brokers: r.i32(1..4),
            partitions: r.i32(1..5),
            users: r.usize(1..4),
            idempotent,
            leader_acks: !idempotent && r.bool(),
            codec: one_of(r, &[Compression::None, Compression::None, Compression::Lz4, slow]),
            batch_bytes: one_of(r, &[0, 400, 1_024, 16_384]),
            linger: MS * one_of(r, &[0, 1, 20]),
            buffer: one_of(r, &[20_000, 200_000]),
            max_wait: one_of(r, &[50 * MS, SECOND]),
            in_flight: r.usize(1..6),
            delivery: SECOND * one_of(r, &[4, 20]),
            breaker: one_of(r, &[None, Some(OpenCircuit::Wait), Some(OpenCircuit::FailFast)]),
            max_attempts: one_of(r, &[None, None, None, Some(1), Some(3)]),
            rate: one_of(r, &[None, None, None, Some(200.0)]),
            max_message_bytes: one_of(r, &[None, Some(900)]),
            fault_rate: one_of(r, &[0.0, 0.1, 0.3, 0.6]),
            lying: r.u8(..4) == 0,
            hostile: r.u8(..4) == 0,
        }
    }

    pub(crate) fn config(&self, bootstrap: Vec<String>) -> ProducerConfig {
        let mut batch = BatchConfig::default().max_bytes(self.batch_bytes).linger(self.linger);
        batch = batch.compression(self.codec).max_request_bytes(64 << 10);
        let mut breaker = CircuitBreakerConfig::default()
            .enabled(self.breaker.is_some())
            .open_for(500 * MS)
            .max_open_for(2 * SECOND);
        if let Some(when_open) = self.breaker {
            breaker = breaker.when_open(when_open);
        }
        let mut config = ProducerConfig::new(bootstrap)
            .topic("t0")
            .batch(batch)
            .buffer(BufferConfig::default().max_bytes(self.buffer).max_wait(self.max_wait))
            .bulkhead(BulkheadConfig::default().max_in_flight(self.in_flight))
            .circuit_breaker(breaker)
            .retry(RetryConfig::default().max_attempts(self.max_attempts))
            .rate_limit(RateLimitConfig::default().records_per_second(self.rate))
            .timeouts(
                TimeoutConfig::default()
                    .request(2 * SECOND)
                    .connect(SECOND)
                    .delivery(self.delivery)
                    .metadata_age(5 * SECOND)
                    .idle(3 * SECOND),
            )
            .idempotence(self.idempotent);
        if self.leader_acks {
            config = config.acks(Acks::Leader);
        }
        if self.hostile {
            config = config.partitioning(Partitioning::custom(Capricious));
        }
        config
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
