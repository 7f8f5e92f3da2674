//! What the producer counts.

use std::time::Duration;

use super::distribution::Distribution;
use crate::resilience::BreakerState;

/// A snapshot of the producer's counters and levels. The names of Java's corresponding metrics are given in parentheses.
/// Creating one takes a few microseconds, plus some for each broker and topic: meant for once a second, not for each
/// message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages that were accepted.
    pub records_accepted: u64,
    /// Messages put into produce requests, retries too (Java: `record-send-total`).
    pub records_sent: u64,
    /// Messages that were acknowledged.
    pub records_acked: u64,
    /// Messages that failed and are certainly not stored. Together with the next, Java's `record-error-total`.
    pub records_not_persisted: u64,
    /// Messages that failed and may be stored.
    pub records_possibly_persisted: u64,
    /// Messages that were refused because the buffer had no space (Java: `buffer-exhausted-total`).
    pub records_rejected: u64,
    /// Messages that were sent again without idempotence although an earlier attempt may have stored them.
    pub duplicates_possible: u64,
    /// Produce requests that were answered.
    pub requests: u64,
    /// Produce requests that failed without a response.
    pub requests_failed: u64,
    /// Batches that were sent again (Java: `record-retry-total`, which counts records).
    pub retries: u64,
    /// Bytes of batches put into requests, retries too, before compression.
    pub bytes_sent: u64,
    /// Bytes of acknowledged batches, before compression.
    pub bytes_acked: u64,
    /// Total throttle time imposed by brokers (KIP-219).
    pub throttled: Duration,
    /// Time for which [`rate_limit`](crate::ProducerConfig::rate_limit) delayed requests.
    pub rate_limited: Duration,
    /// Number of times a circuit breaker opened.
    pub breaker_opened: u64,
    /// Connections that were established (Java: `connection-creation-total`). Only counted by the default engine.
    pub connects: u64,
    /// Connection attempts that failed.
    pub connects_failed: u64,
    /// Connections that broke, or were closed because a broker did not answer.
    pub connections_lost: u64,
    /// Connections that are open (Java: `connection-count`).
    pub connections: u64,
    /// Number of times one of the producer's tasks panicked and was restarted.
    pub task_restarts: u64,
    /// Bytes of messages that are accepted and neither stored nor failed.
    pub buffer_bytes: usize,
    /// Size of the buffer, `buffer.max_bytes` (Java: `buffer-total-bytes`).
    pub buffer_max_bytes: usize,
    /// Produce requests in flight (Java: `requests-in-flight`).
    pub in_flight: usize,
    /// Time since the metadata was last fetched (Java: `metadata-age`).
    pub metadata_age: Option<Duration>,
    /// Time since the last successful response.
    pub last_success: Option<Duration>,
    /// From the start of a produce request to its response or failure (Java: `request-latency`).
    pub request_latency: Distribution<Duration>,
    /// From the acceptance of a batch's first message to its first request (Java: `record-queue-time`).
    pub queue_time: Distribution<Duration>,
    /// From the acceptance of a batch's first message to its acknowledgement.
    pub send_time: Distribution<Duration>,
    /// Messages per acknowledged batch (Java: `records-per-request`).
    pub batch_records: Distribution<u64>,
    /// Bytes per acknowledged batch, before compression (Java: `batch-size`).
    pub batch_bytes: Distribution<u64>,
    /// State of the circuit breaker of the whole cluster.
    pub cluster_breaker: BreakerState,
    /// Each broker that leads a partition in use, by name.
    pub brokers: Vec<BrokerStats>,
    /// Each topic that messages were sent to, by name.
    pub topics: Vec<TopicStats>,
}

/// Statistics of one broker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerStats {
    /// `host:port`; with the `PartitionClient` engine, which does not expose leaders, a partition.
    pub broker: String,
    /// State of its circuit breaker.
    pub breaker: BreakerState,
    /// Time until the breaker lets a probe through, if it is open.
    pub breaker_retry_after: Option<Duration>,
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// Produce requests in flight.
    pub in_flight: usize,
    /// Time for which it still throttles this producer.
    pub throttled_for: Option<Duration>,
}

/// Statistics of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicStats {
    /// Its name.
    pub topic: String,
    /// Messages that were acknowledged.
    pub records_acked: u64,
    /// Messages that failed, whatever their fate.
    pub records_failed: u64,
    /// Bytes of acknowledged batches, before compression.
    pub bytes_acked: u64,
}
