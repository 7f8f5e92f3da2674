//! The settings, grouped by what they bound.

use std::time::Duration;

use crate::compression::Compression;
use crate::telemetry::{Propagator, TraceHeaders};

/// How messages are gathered into record batches.
///
/// A message that finds nothing in flight to its broker is sent at once, so that a lone send costs one round
/// trip. While requests are in flight, batches grow until they are full or [`linger`](Self::linger) has passed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BatchConfig {
    /// Bytes at which a record batch is full, before compression. A message that is larger goes in a batch of its own; with
    /// 0, as in Java, each one does.
    ///
    /// Default 1,000,000, under the 1,048,588 that a broker accepts unless told otherwise (Kafka: `batch.size`; what the
    /// topic accepts is its `max.message.bytes`).
    pub max_bytes: usize,
    /// Longest time that a message waits for others while requests are in flight. Default 5 ms
    /// (Kafka: `linger.ms`).
    pub linger: Duration,
    /// Largest produce request in bytes, and so, less 1,024 of overhead, the largest message. Default 1,046,528, the most
    /// that Azure Event Hubs takes (Kafka: `max.request.size`).
    pub max_request_bytes: usize,
    /// Compression of each batch. Default none (Kafka: `compression.type`).
    pub compression: Compression,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            max_bytes: 1_000_000,
            linger: Duration::from_millis(5),
            max_request_bytes: 1_046_528,
            compression: Compression::None,
        }
    }
}

impl BatchConfig {
    setters! {
        /// Sets [`max_bytes`](Self::max_bytes).
        max_bytes: usize,
        /// Sets [`linger`](Self::linger).
        linger: Duration,
        /// Sets [`max_request_bytes`](Self::max_request_bytes).
        max_request_bytes: usize,
        /// Sets [`compression`](Self::compression).
        compression: Compression,
    }

    /// Bytes that one message may take, alone in its batch and its request.
    pub(crate) fn max_message_bytes(&self) -> usize {
        self.max_request_bytes.saturating_sub(crate::record::REQUEST_OVERHEAD)
    }
}

/// How much may wait for acknowledgement.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BufferConfig {
    /// Bytes of messages that are accepted but not settled, counting keys, values, headers and 64 bytes for
    /// each message's own bookkeeping. Default 32 MiB (Kafka: `buffer.memory`).
    pub max_bytes: usize,
    /// Longest time that `enqueue` and `send` wait for room, or for the metadata of a topic not used before.
    /// Default 60 s (Kafka: `max.block.ms`).
    pub max_wait: Duration,
}

impl Default for BufferConfig {
    fn default() -> Self {
        Self { max_bytes: 32 << 20, max_wait: Duration::from_secs(60) }
    }
}

impl BufferConfig {
    setters! {
        /// Sets [`max_bytes`](Self::max_bytes).
        max_bytes: usize,
        /// Sets [`max_wait`](Self::max_wait).
        max_wait: Duration,
    }
}

/// How long things may take.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TimeoutConfig {
    /// One connection: TCP, TLS and SASL together. Default 10 s (Kafka:
    /// `socket.connection.setup.timeout.ms`).
    pub connect: Duration,
    /// One request, from its first byte written to its answer. Default 30 s (Kafka: `request.timeout.ms`).
    pub request: Duration,
    /// From the acceptance of a message to its acknowledgement, all retries included. Default 120 s (Kafka:
    /// `delivery.timeout.ms`). At least `request` + `linger`.
    pub delivery: Duration,
    /// A connection unused for so long is replaced before its next use; measured by the monotonic and the wall
    /// clock, as a frozen process sees only the second advance. Default 180 s, under the 240 s after which
    /// Azure and the 350 s after which AWS forget a connection (Kafka: `connections.max.idle.ms`).
    pub idle: Duration,
    /// Metadata older than this is asked for again when it is next needed. Default 5 min (Kafka:
    /// `metadata.max.age.ms`).
    pub metadata_age: Duration,
    /// A topic to which nothing was sent for so long is forgotten: its metadata is no longer asked for until a message
    /// needs it again. Default 5 min (Kafka: `metadata.max.idle.ms`).
    pub metadata_idle: Duration,
}

impl Default for TimeoutConfig {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            request: Duration::from_secs(30),
            delivery: Duration::from_secs(120),
            idle: Duration::from_secs(180),
            metadata_age: Duration::from_secs(300),
            metadata_idle: Duration::from_secs(300),
        }
    }
}

impl TimeoutConfig {
    setters! {
        /// Sets [`connect`](Self::connect).
        connect: Duration,
        /// Sets [`request`](Self::request).
        request: Duration,
        /// Sets [`delivery`](Self::delivery).
        delivery: Duration,
        /// Sets [`idle`](Self::idle).
        idle: Duration,
        /// Sets [`metadata_age`](Self::metadata_age).
        metadata_age: Duration,
        /// Sets [`metadata_idle`](Self::metadata_idle).
        metadata_idle: Duration,
    }
}

/// How failed attempts are repeated. Every retry is bounded by `timeouts.delivery`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RetryConfig {
    /// First delay; it doubles with each attempt, and half of it is random. Default 100 ms (Kafka:
    /// `retry.backoff.ms`).
    pub backoff: Duration,
    /// Largest delay. Default 1 s (Kafka: `retry.backoff.max.ms`).
    pub max_backoff: Duration,
    /// Most attempts per batch; `None`, the default, leaves it to the delivery timeout (Kafka: `retries` + 1).
    pub max_attempts: Option<u32>,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(1), max_attempts: None }
    }
}

impl RetryConfig {
    setters! {
        /// Sets [`backoff`](Self::backoff).
        backoff: Duration,
        /// Sets [`max_backoff`](Self::max_backoff).
        max_backoff: Duration,
        /// Sets [`max_attempts`](Self::max_attempts).
        max_attempts: Option<u32>,
    }
}

/// What keeps one dead topic or broker from stopping the others.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BulkheadConfig {
    /// Requests in flight to one broker. Default 5, the most with which Kafka can keep the order of an
    /// idempotent producer (Kafka: `max.in.flight.requests.per.connection`).
    pub max_in_flight: usize,
    /// Part of the buffer that one topic may fill, from 0 (exclusive) to 1. Default 1: no share is kept for
    /// other topics.
    pub topic_share: f64,
    /// Connections that may be under construction at the same time. Default 4.
    pub max_connecting: usize,
}

impl Default for BulkheadConfig {
    fn default() -> Self {
        Self { max_in_flight: 5, topic_share: 1.0, max_connecting: 4 }
    }
}

impl BulkheadConfig {
    setters! {
        /// Sets [`max_in_flight`](Self::max_in_flight).
        max_in_flight: usize,
        /// Sets [`topic_share`](Self::topic_share).
        topic_share: f64,
        /// Sets [`max_connecting`](Self::max_connecting).
        max_connecting: usize,
    }
}

/// What is told of messages beyond events and counters; see [`docs::telemetry`](crate::docs::telemetry).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TelemetryConfig {
    /// Adds the headers of the current trace to each message that has none. Default none; needs
    /// [`EngineKind::Messenger`](crate::EngineKind::Messenger).
    pub propagator: Option<Propagator>,
    /// Whether the metrics of messages have the label `topic`; each topic is then a series of its own. Default off;
    /// without the feature `metrics` without effect.
    pub topic_labels: bool,
}

impl TelemetryConfig {
    /// Sets [`propagator`](Self::propagator).
    #[must_use]
    pub fn propagator(mut self, inject: impl Fn(&mut TraceHeaders) + Send + Sync + 'static) -> Self {
        self.propagator = Some(Propagator::new(inject));
        self
    }

    setters! {
        /// Sets [`topic_labels`](Self::topic_labels).
        topic_labels: bool,
    }
}
