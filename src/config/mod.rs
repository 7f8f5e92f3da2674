//! The configuration, and its validation.

mod address;
#[cfg(feature = "aws-msk-iam")]
mod aws;
mod brokers;
mod capabilities;
mod choices;
mod connector;
#[cfg(feature = "http")]
mod issuer;
#[cfg(feature = "oidc")]
pub(crate) mod oidc;
mod proxy;
mod random;
mod sasl;
mod secret;
mod sections;
mod setters;
#[cfg(feature = "text-config")]
mod text;
pub(crate) mod tls;
mod unused;
mod validate;
mod wall_clock;

use std::sync::Arc;

use tokio::runtime::Handle;
use tracing::Dispatch;

pub(crate) use address::Address;
#[cfg(feature = "aws-msk-iam")]
#[cfg_attr(docsrs, doc(cfg(feature = "aws-msk-iam")))]
pub use aws::{AwsCredentials, AwsCredentialsProvider, MskIam};
#[cfg(feature = "aws-msk-iam")]
pub(crate) use aws::{AwsSource, Variables};
pub use brokers::IntoBrokers;
pub(crate) use capabilities::Capabilities;
pub use choices::{Acks, DnsLookup, EngineKind, Idempotence};
pub use connector::{ByteStream, ConnectError, Connector};
#[cfg(feature = "http")]
pub(crate) use issuer::{Surroundings, TokenIssuer};
#[cfg(feature = "oidc")]
#[cfg_attr(docsrs, doc(cfg(feature = "oidc")))]
pub use oidc::{ClientAssertion, Oidc};
pub use proxy::Proxy;
pub(crate) use proxy::ProxyProtocol;
pub(crate) use random::RandomSource;
pub use sasl::{
    Credentials, CredentialsProvider, ProviderError, SaslConfig, SaslMechanism, Token, TokenProvider,
};
pub(crate) use sasl::{Source, credentials_for, token_for};
pub use secret::Secret;
pub use sections::{
    BatchConfig, BufferConfig, BulkheadConfig, RetryConfig, SocketConfig, TelemetryConfig, TimeoutConfig,
};
#[cfg(feature = "text-config")]
#[cfg_attr(docsrs, doc(cfg(feature = "text-config")))]
pub use text::Setting;
pub use tls::{Pem, TlsConfig, TlsRoots};
pub(crate) use unused::Unused;
pub(crate) use wall_clock::WallClock;

use crate::error::Result;
use crate::partitioner::Partitioning;
pub(crate) use crate::resilience::OpenCircuit;
use crate::resilience::{CircuitBreakerConfig, RateLimitConfig};

/// Configuration of a [`Producer`](crate::Producer). Only `brokers` is required.
///
/// It is its own builder. Settings are grouped into sections, each with its own type, such as [`BatchConfig`].
/// They can also come from Kafka's property names, the environment or a document: see
/// [`docs::configuration`](crate::docs::configuration).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use rskafka_producer::{BatchConfig, ProducerConfig};
///
/// let config = ProducerConfig::new(["kafka-1:9092", "kafka-2:9092"])
///     .topic("events")
///     .batch(BatchConfig::default().linger(Duration::from_millis(20)));
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct ProducerConfig {
    /// Brokers to start from, each `host:port` or `[ipv6]:port`; any of them is enough (Kafka:
    /// `bootstrap.servers`).
    pub brokers: Vec<String>,
    /// Default topic, for messages without one.
    pub topic: Option<String>,
    /// Where this producer's log events go. By default they go to the subscriber that is current where they occur.
    pub logger: Option<Dispatch>,
    /// Name of this client in the logs and quotas of the brokers. Default `rskafka-producer` (Kafka:
    /// `client.id`).
    pub client_id: String,
    /// Name of the software in the metrics and logs of the brokers: letters, digits, `.` and `-`, which is neither first nor
    /// last. Default `rskafka-producer` (Kafka: `client.software.name`; KIP-511).
    pub client_software_name: String,
    /// Its version, of the same characters. Default the version of this crate (Kafka: `client.software.version`).
    pub client_software_version: String,
    /// The rack or availability zone of this process, as the brokers call theirs (`broker.rack`). Default none (Kafka:
    /// `client.rack`).
    pub client_rack: Option<String>,
    /// Whether a message without a key goes to a partition whose leader is in `client_rack`, where there is one: that
    /// saves the cost of traffic between zones, and loads those partitions more. Default off (Kafka:
    /// `partitioner.rack.aware`; KIP-1123).
    pub partitioner_rack_aware: bool,
    /// The engine, which implements the connection to the brokers.
    pub engine: EngineKind,
    /// Which replicas must have a message. Default all (Kafka: `acks`).
    pub acks: Acks,
    /// Whether retries can neither duplicate nor reorder. Default on (Kafka: `enable.idempotence`).
    pub idempotence: Idempotence,
    /// Whether a message may create its topic, where the cluster allows that. Default off, so that a typo
    /// creates nothing (Kafka: `allow.auto.create.topics`).
    pub allow_auto_create_topics: bool,
    /// Encrypted connections. Default none (Kafka: `security.protocol`, `ssl.*`).
    pub tls: Option<TlsConfig>,
    /// How this producer authenticates. Default not at all (Kafka: `security.protocol`, `sasl.*`).
    pub sasl: Option<SaslConfig>,
    /// How a message without a partition gets one (Kafka: `partitioner.class`).
    pub partitioning: Partitioning,
    /// How messages are batched.
    pub batch: BatchConfig,
    /// How much may be buffered.
    pub buffer: BufferConfig,
    /// Time limits.
    pub timeouts: TimeoutConfig,
    /// How failed attempts are retried.
    pub retry: RetryConfig,
    /// When requests to a failing broker are suspended.
    pub circuit_breaker: CircuitBreakerConfig,
    /// How fast messages may be sent. Default unlimited.
    pub rate_limit: RateLimitConfig,
    /// Limits that keep one failing topic or broker from stopping the others.
    pub bulkhead: BulkheadConfig,
    /// Sockets to the brokers.
    pub socket: SocketConfig,
    /// Optional per-message telemetry.
    pub telemetry: TelemetryConfig,
    /// The runtime of the producer's tasks. By default the one on which it is first used; when that shuts down or is not
    /// driven, another one from which the producer is used. If set, the tasks stay on it, and fail when it shuts down.
    pub runtime: Option<Handle>,
    /// How the hosts of the bootstrap list are looked up (Kafka: `client.dns.lookup`).
    pub dns_lookup: DnsLookup,
    /// Opens the byte streams to the brokers. By default TCP.
    pub connector: Option<Arc<dyn Connector>>,
    /// The proxy through which the brokers are reached. Default none.
    pub proxy: Option<Proxy>,
    pub(crate) clock: WallClock,
    pub(crate) random: RandomSource,
    pub(crate) unused: Unused,
}

impl Default for ProducerConfig {
    /// All defaults and no brokers: invalid until brokers are set.
    fn default() -> Self {
        Self {
            brokers: Vec::new(),
            topic: None,
            logger: None,
            client_id: env!("CARGO_PKG_NAME").to_owned(),
            client_software_name: env!("CARGO_PKG_NAME").to_owned(),
            client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
            client_rack: None,
            partitioner_rack_aware: false,
            engine: EngineKind::default(),
            acks: Acks::default(),
            idempotence: Idempotence::default(),
            allow_auto_create_topics: false,
            tls: None,
            sasl: None,
            partitioning: Partitioning::default(),
            batch: BatchConfig::default(),
            buffer: BufferConfig::default(),
            timeouts: TimeoutConfig::default(),
            retry: RetryConfig::default(),
            circuit_breaker: CircuitBreakerConfig::default(),
            rate_limit: RateLimitConfig::default(),
            bulkhead: BulkheadConfig::default(),
            socket: SocketConfig::default(),
            telemetry: TelemetryConfig::default(),
            runtime: None,
            dns_lookup: DnsLookup::default(),
            connector: None,
            proxy: None,
            clock: WallClock::default(),
            random: RandomSource::default(),
            unused: Unused::default(),
        }
    }
}

impl ProducerConfig {
    /// Creates a configuration with these brokers and all defaults: `"kafka-1:9092,kafka-2:9092"`, or a list.
    pub fn new(brokers: impl IntoBrokers) -> Self {
        Self { brokers: brokers.into_brokers(), ..Self::default() }
    }

    /// Checks every setting, without any I/O.
    ///
    /// # Errors
    ///
    /// `KAFKA_INVALID_CONFIG` with one sentence for **each** impossible setting, naming it.
    pub fn validate(&self) -> Result<()> {
        validate::validate(self)
    }

    pub(crate) fn is_idempotent(&self) -> bool {
        match self.idempotence {
            Idempotence::On => true,
            Idempotence::Off => false,
            Idempotence::WherePossible => self.acks == Acks::All && self.engine == EngineKind::Native,
        }
    }

    /// The brokers of the list that are addresses, each once; all of them, once validated.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        let mut addresses: Vec<Address> = Vec::new();
        for address in self.brokers.iter().filter_map(|broker| Address::parse(broker).ok()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }
}

debug_as!(config: ProducerConfig {
    brokers: config.brokers,
    topic: config.topic,
    client_id: config.client_id,
    client_software_name: config.client_software_name,
    client_software_version: config.client_software_version,
    client_rack: config.client_rack,
    partitioner_rack_aware: config.partitioner_rack_aware,
    engine: config.engine,
    acks: config.acks,
    idempotence: config.idempotence,
    allow_auto_create_topics: config.allow_auto_create_topics,
    tls: config.tls,
    sasl: config.sasl,
    partitioning: config.partitioning,
    batch: config.batch,
    buffer: config.buffer,
    timeouts: config.timeouts,
    retry: config.retry,
    circuit_breaker: config.circuit_breaker,
    rate_limit: config.rate_limit,
    bulkhead: config.bulkhead,
    socket: config.socket,
    dns_lookup: config.dns_lookup,
    telemetry: config.telemetry,
    ..
});
