//! The settings, grouped by subject.

use std::time::Duration;

use crate::compression::{Compression, Compressor};
use crate::telemetry::{Propagator, TraceHeaders};

section! {
    /// How messages are batched.
    ///
    /// A message is sent at once if no request is in flight to its broker, so that a lone send costs one round trip. While requests are in flight, batches grow until they are full or [`linger`](Self::linger) has passed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::{BatchConfig, Compression, ProducerConfig};
    ///
    /// let batch = BatchConfig::default().linger(Duration::from_millis(20)).compression(Compression::Lz4);
    /// let config = ProducerConfig::new(["kafka-1:9092"]).batch(batch);
    /// assert!(config.validate().is_ok());
    /// ```
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub struct BatchConfig {
        /// Bytes at which a record batch is full, before compression; at most what a request of
        /// [`max_request_bytes`](Self::max_request_bytes) can hold. A message that is larger gets its own batch; with 0, as in
        /// Java, each message does.
        ///
        /// With [`compression`](Self::compression) and the default engine, a batch that is full and waits for a free request
        /// takes more messages: up to this many bytes once it is compressed, as the batches before it in its partition lead
        /// to expect, and at most 8 times as many before. If it turns out to be larger, it is divided before it is sent.
        ///
        /// Default 1,000,000, under the 1,048,588 that a broker accepts by default (Kafka: `batch.size`; the topic's limit is
        /// `max.message.bytes`).
        pub max_bytes: usize = 1_000_000,
        /// Longest time that a message waits for others while requests are in flight. Default 5 ms
        /// (Kafka: `linger.ms`).
        pub linger: Duration = Duration::from_millis(5),
        /// Largest produce request in bytes, and so, less 1,024 of overhead, the largest message. Default 1,046,528, the most
        /// that Azure Event Hubs takes (Kafka: `max.request.size`).
        pub max_request_bytes: usize = 1_046_528,
        /// Compression of each batch. Default none (Kafka: `compression.type`).
        pub compression: Compression = Compression::None,
        /// How hard gzip tries, from 1 (fast) to 9 (small). Default 1, which takes a fourth or less of the time of level 6
        /// (Kafka: `compression.gzip.level`, where the default is 6). Only the default engine has it.
        pub gzip_level: u32 = 1,
        /// How hard zstd tries, from 1 (fast) to 22 (small). Default 1: on record batches it is faster and smaller than 3
        /// (Kafka: `compression.zstd.level`, where the default is 3).
        pub zstd_level: u32 = 1,
    }
}

impl BatchConfig {
    pub(crate) fn compressor(&self) -> Compressor {
        let codec = self.compression;
        let level = if codec == Compression::Gzip { self.gzip_level } else { self.zstd_level };
        Compressor { codec, level }
    }

    /// Bytes at which a batch is full: `max_bytes`, or what fits into one request.
    pub(crate) fn full_at(&self) -> usize {
        self.max_bytes.min(self.max_message_bytes())
    }

    /// Bytes that one message may take, alone in its batch and its request.
    pub(crate) fn max_message_bytes(&self) -> usize {
        self.max_request_bytes.saturating_sub(crate::record::REQUEST_OVERHEAD)
    }
}

section! {
    /// How much may be buffered.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::{BufferConfig, ProducerConfig};
    ///
    /// let buffer = BufferConfig::default().max_bytes(64 << 20).max_wait(Duration::from_secs(5));
    /// let config = ProducerConfig::new(["kafka-1:9092"]).buffer(buffer);
    /// assert!(config.validate().is_ok());
    /// ```
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub struct BufferConfig {
        /// Bytes of messages that are accepted and neither stored nor failed, counting keys, values, headers and 64 bytes for
        /// each message's own bookkeeping. Default 32 MiB (Kafka: `buffer.memory`).
        pub max_bytes: usize = 32 << 20,
        /// Longest time that `enqueue` and `send` wait for buffer space, or for the metadata of a topic not used before.
        /// Default 60 s (Kafka: `max.block.ms`).
        pub max_wait: Duration = Duration::from_secs(60),
    }
}

section! {
    /// Time limits.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::{TimeoutConfig, ProducerConfig};
    ///
    /// let timeouts = TimeoutConfig::default().request(Duration::from_secs(10)).delivery(Duration::from_secs(60));
    /// let config = ProducerConfig::new(["kafka-1:9092"]).timeouts(timeouts);
    /// assert!(config.validate().is_ok());
    /// ```
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub struct TimeoutConfig {
        /// Time limit of a connection attempt: TCP, TLS and SASL together. Default 10 s (Kafka:
        /// `socket.connection.setup.timeout.ms`).
        pub connect: Duration = Duration::from_secs(10),
        /// Time limit of a request, from its first byte written to its response. Default 30 s (Kafka: `request.timeout.ms`).
        pub request: Duration = Duration::from_secs(30),
        /// Time limit of a message, from its acceptance to its acknowledgement, including all retries. Default 120 s (Kafka:
        /// `delivery.timeout.ms`). At least `request` + `linger`.
        pub delivery: Duration = Duration::from_secs(120),
        /// A connection that was idle for this long is replaced before its next use. Measured by the monotonic and the wall
        /// clock, since only the latter advances while a process is frozen. Default 180 s, under the 240 s after which
        /// Azure and the 350 s after which AWS forget a connection (Kafka: `connections.max.idle.ms`).
        pub idle: Duration = Duration::from_secs(180),
        /// Metadata older than this is refreshed when it is next needed. Default 5 min (Kafka:
        /// `metadata.max.age.ms`).
        pub metadata_age: Duration = Duration::from_secs(300),
        /// A topic that was not used for this long is forgotten: its metadata is fetched again when a message needs it. Default 5 min (Kafka: `metadata.max.idle.ms`).
        pub metadata_idle: Duration = Duration::from_secs(300),
        /// When no broker has answered a request for metadata for this long, every connection is closed, all that is known of
        /// the brokers is forgotten, and the configured ones are asked. Default 5 min (Kafka:
        /// `metadata.recovery.rebootstrap.trigger.ms`; KIP-1102).
        pub rebootstrap: Duration = Duration::from_secs(300),
    }
}

section! {
    /// How failed attempts are retried. Every retry is bounded by `timeouts.delivery`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::{RetryConfig, ProducerConfig};
    ///
    /// let retry = RetryConfig::default().backoff(Duration::from_millis(50)).max_attempts(Some(10));
    /// let config = ProducerConfig::new(["kafka-1:9092"]).retry(retry);
    /// assert!(config.validate().is_ok());
    /// ```
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub struct RetryConfig {
        /// Delay before the first retry. It grows exponentially with each attempt, and half of it is random. Default 100 ms (Kafka:
        /// `retry.backoff.ms`).
        pub backoff: Duration = Duration::from_millis(100),
        /// Largest delay. Default 1 s (Kafka: `retry.backoff.max.ms`).
        pub max_backoff: Duration = Duration::from_secs(1),
        /// Maximum number of attempts per batch; `None`, the default, is limited only by the delivery timeout (Kafka: `retries` + 1).
        pub max_attempts: Option<u32> = None,
    }
}

section! {
    /// Limits that keep one failing topic or broker from stopping the others.
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::{BulkheadConfig, ProducerConfig};
    ///
    /// let bulkhead = BulkheadConfig::default().topic_share(0.5);
    /// let config = ProducerConfig::new(["kafka-1:9092"]).bulkhead(bulkhead);
    /// assert!(config.validate().is_ok());
    /// ```
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub struct BulkheadConfig {
        /// Requests in flight to one broker. Default 5, the most with which Kafka can keep the order of an
        /// idempotent producer (Kafka: `max.in.flight.requests.per.connection`).
        pub max_in_flight: usize = 5,
        /// Fraction of the buffer that one topic may fill, from 0 (exclusive) to 1. Default 1: nothing is reserved for
        /// other topics.
        pub topic_share: f64 = 1.0,
        /// Number of connections that may be established concurrently. Default 4.
        pub max_connecting: usize = 4,
    }
}

section! {
    /// Sockets to the brokers. `TCP_NODELAY` is always set.
    ///
    /// # Examples
    ///
    /// Room for what is on its way over a long distance: 100 MB/s at 80 ms take 8 MB.
    ///
    /// ```
    /// use rskafka_producer::{ProducerConfig, SocketConfig};
    ///
    /// let config = ProducerConfig::new("kafka-1:9092").socket(SocketConfig::default().send_buffer(Some(8 << 20)));
    /// assert!(config.validate().is_ok());
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct SocketConfig {
        /// Whether the system asks a peer that has been silent for a minute if it is still there, so that what forgets idle
        /// connections does not. Default on (librdkafka: `socket.keepalive.enable`; Java always does).
        pub keepalive: bool = true,
        /// Bytes of the system's buffer for what is sent, `SO_SNDBUF`; Linux sets twice as many. Default the system's, which grows as
        /// needed (Kafka: `send.buffer.bytes`).
        pub send_buffer: Option<usize> = None,
        /// The same for what is received, `SO_RCVBUF`. Default the system's (Kafka: `receive.buffer.bytes`).
        pub receive_buffer: Option<usize> = None,
    }
}

/// Optional per-message telemetry; see [`docs::telemetry`](crate::docs::telemetry).
///
/// # Examples
///
/// ```
/// use rskafka_producer::{TelemetryConfig, ProducerConfig};
///
/// let telemetry = TelemetryConfig::default().topic_labels(true);
/// let config = ProducerConfig::new(["kafka-1:9092"]).telemetry(telemetry);
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TelemetryConfig {
    /// Adds the headers of the current trace to each message that has none. Default none; requires
    /// [`EngineKind::Native`](crate::EngineKind::Native).
    pub propagator: Option<Propagator>,
    /// Whether the metrics of messages have the label `topic`, which makes each topic a separate series. Default off; has
    /// no effect without the feature `metrics`.
    pub topic_labels: bool,
}

impl TelemetryConfig {
    /// Sets [`propagator`](Self::propagator).
    #[must_use]
    pub fn propagator(mut self, inject: impl Fn(&mut TraceHeaders) + Send + Sync + 'static) -> Self {
        self.propagator = Some(Propagator::new(inject));
        self
    }

    /// Sets the propagator that adds the headers of OpenTelemetry's current span: `traceparent` and, unless it is empty,
    /// `tracestate`, by W3C's Trace Context. Without a current span nothing is added.
    ///
    /// The span is that of `opentelemetry::Context::current()` where the message is handed over. `tracing-opentelemetry` (0.32 or
    /// newer) makes it that of the `tracing` span. The program must use the same minor version of the crate `opentelemetry` as
    /// this one, see [`docs::telemetry`](crate::docs::telemetry).
    #[cfg(feature = "opentelemetry")]
    #[cfg_attr(docsrs, doc(cfg(feature = "opentelemetry")))]
    #[must_use]
    pub fn opentelemetry(mut self) -> Self {
        self.propagator = Some(Propagator::opentelemetry());
        self
    }

    setters! {
        topic_labels: bool,
    }
}
