//! What a configuration is made of, one call each.

use std::sync::Arc;

use tokio::runtime::Handle;
use tracing::Dispatch;

use super::{
    Acks, BatchConfig, BufferConfig, BulkheadConfig, CircuitBreakerConfig, Connector, DnsLookup, EngineKind,
    Idempotence, OpenCircuit, Partitioning, ProducerConfig, Proxy, RandomSource, RateLimitConfig,
    RetryConfig, SaslConfig, SocketConfig, TelemetryConfig, TimeoutConfig, TlsConfig, WallClock,
};

impl ProducerConfig {
    /// Sets the default topic.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// Sets where this producer's events go.
    #[must_use]
    pub fn logger(mut self, logger: Dispatch) -> Self {
        self.logger = Some(logger);
        self
    }

    /// Sets the tokio runtime on which the producer's own tasks run: one that is driven for as long as the producer is used.
    ///
    /// For programs that call the producer from several runtimes, or only within `block_on` calls, between which nothing
    /// would be sent.
    #[must_use]
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Sets how the hosts of the bootstrap list are looked up. Requires [`EngineKind::Native`].
    #[must_use]
    pub fn dns_lookup(mut self, lookup: DnsLookup) -> Self {
        self.dns_lookup = lookup;
        self
    }

    /// Sets how byte streams to the brokers are opened, in place of TCP. TLS runs on top of them. Requires
    /// [`EngineKind::Native`]. See [`Connector`] for an example.
    #[must_use]
    pub fn connector(mut self, connector: impl Connector + 'static) -> Self {
        self.connector = Some(Arc::new(connector));
        self
    }

    /// Sets the proxy through which the brokers are reached. Requires [`EngineKind::Native`]. See [`Proxy`] for an example.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Sets the name by which brokers know this client.
    #[must_use]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = client_id.into();
        self
    }

    /// Sets name and version of the software, which brokers show in their metrics and logs.
    ///
    /// ```
    /// # use rskafka_producer::ProducerConfig;
    /// let config = ProducerConfig::new("kafka-1:9092").client_software("shop", "2.14.0");
    /// assert!(config.validate().is_ok());
    /// ```
    #[must_use]
    pub fn client_software(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.client_software_name = name.into();
        self.client_software_version = version.into();
        self
    }

    /// Sets the rack of this process, and has messages without a key go to partitions whose leader is in it, where there are
    /// any.
    ///
    /// ```
    /// # use rskafka_producer::ProducerConfig;
    /// let config = ProducerConfig::new("kafka-1:9092").rack("eu-central-1a");
    /// assert!(config.partitioner_rack_aware);
    /// ```
    #[must_use]
    pub fn rack(mut self, rack: impl Into<String>) -> Self {
        self.client_rack = Some(rack.into());
        self.partitioner_rack_aware = true;
        self
    }

    /// Encrypts connections.
    #[must_use]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Authenticates connections.
    #[must_use]
    pub fn sasl(mut self, sasl: SaslConfig) -> Self {
        self.sasl = Some(sasl);
        self
    }

    /// Sets whether retries can neither duplicate nor reorder.
    #[must_use]
    pub fn idempotence(mut self, idempotence: impl Into<Idempotence>) -> Self {
        self.idempotence = idempotence.into();
        self
    }

    /// Sets where the time of day comes from, for tests of what a frozen process finds when it thaws. The
    /// monotonic clock is tokio's.
    #[must_use]
    pub fn wall_clock(mut self, now: impl Fn() -> std::time::SystemTime + Send + Sync + 'static) -> Self {
        self.clock = WallClock::new(now);
        self
    }

    /// Sets the seed of all that is random, such as the delays before retries and the partitions of messages without a key,
    /// so that a simulation repeats: with the same seed, the same calls and the same brokers, on one thread and a paused
    /// clock, a producer does the same. By default each producer differs, which spreads load.
    ///
    /// Logins stay random. Batches that take long to compress (gzip, zstd) are encoded on other threads.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.random = RandomSource::seeded(seed);
        self
    }

    setters! {
        engine: EngineKind,
        acks: Acks,
        allow_auto_create_topics: bool,
        partitioning: Partitioning,
        batch: BatchConfig,
        buffer: BufferConfig,
        timeouts: TimeoutConfig,
        retry: RetryConfig,
        circuit_breaker: CircuitBreakerConfig,
        rate_limit: RateLimitConfig,
        bulkhead: BulkheadConfig,
        socket: SocketConfig,
        telemetry: TelemetryConfig,
    }

    /// Sets what suits a function that is frozen between invocations, and keeps the rest: connections idle for 30 s are
    /// replaced before use, a connection takes at most 2 s, a request 5 s, a delivery 20 s, nothing lingers, an open
    /// circuit fails at once, and the buffer is 4 MiB.
    ///
    /// Keep the [`Producer`](crate::Producer) in a `static`, make it with [`Producer::new`](crate::Producer::new), and
    /// let each invocation await what it sent, or [`flush`](crate::Producer::flush), before it returns: nothing happens
    /// while the process is frozen. See [`docs::serverless`](crate::docs::serverless).
    #[must_use]
    pub fn serverless(mut self) -> Self {
        let seconds = std::time::Duration::from_secs;
        self.timeouts.connect = seconds(2);
        self.timeouts.request = seconds(5);
        self.timeouts.delivery = seconds(20);
        self.timeouts.idle = seconds(30);
        self.batch.linger = std::time::Duration::ZERO;
        self.buffer.max_bytes = 4 << 20;
        self.buffer.max_wait = seconds(5);
        self.circuit_breaker.when_open = OpenCircuit::FailFast;
        self
    }
}
