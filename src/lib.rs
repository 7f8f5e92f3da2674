// README links to files, which only a checkout has. The first definition of a link counts.
#![doc = include_str!("docs/readme_links.md")]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[macro_use]
mod macros;

mod accumulator;
#[cfg(feature = "aws-msk-iam")]
mod aws;
#[cfg(feature = "blocking")]
#[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
pub mod blocking;
mod clock;
mod compression;
mod config;
mod context;
mod core;
pub mod docs;
mod engine;
mod error;
mod health;
#[cfg(feature = "http")]
#[cfg_attr(not(test), allow(dead_code, reason = "each of its users needs a part"))]
mod http;
mod message;
mod metadata;
mod net;
mod partitioner;
mod producer;
mod record;
mod resilience;
mod sender;
mod supervisor;
mod telemetry;
#[cfg(feature = "http")]
#[cfg_attr(
    not(feature = "oidc"),
    allow(dead_code, unused_imports, reason = "each of its users needs a part")
)]
mod tokens;
mod topic_name;

#[doc(hidden)]
pub use crate::core::TaskState;
pub use accumulator::{Delivery, Receipt, Receipts};
pub use compression::Compression;
#[cfg(feature = "text-config")]
#[cfg_attr(docsrs, doc(cfg(feature = "text-config")))]
pub use config::Setting;
pub use config::{
    Acks, BatchConfig, BufferConfig, BulkheadConfig, ByteStream, ConnectError, Connector, Credentials,
    CredentialsProvider, DnsLookup, EngineKind, Idempotence, IntoBrokers, Pem, ProducerConfig, ProviderError,
    Proxy, RetryConfig, SaslConfig, SaslMechanism, Secret, SocketConfig, TelemetryConfig, TimeoutConfig,
    TlsConfig, TlsRoots, Token, TokenProvider,
};
#[cfg(feature = "aws-msk-iam")]
#[cfg_attr(docsrs, doc(cfg(feature = "aws-msk-iam")))]
pub use config::{AwsCredentials, AwsCredentialsProvider, MskIam};
#[cfg(feature = "oidc")]
#[cfg_attr(docsrs, doc(cfg(feature = "oidc")))]
pub use config::{ClientAssertion, Oidc};
pub use context::Context;
pub use error::{BrokerError, Error, ErrorCode, ErrorKind, Fate, Result, Wait, WaitReason};
pub use health::{
    CheckReport, Health, HealthCheck, HealthDetail, HealthKind, HealthRegistry, HealthReport, HealthValue,
    Registration, Status,
};
pub use message::{Header, Message};
pub use partitioner::{PartitionInput, Partitioner, Partitioning};
pub use producer::{
    BrokerInfo, BrokerWait, Explanation, Liveness, PartitionInfo, PartitionWait, Producer, ProducerSink,
    TopicProducer, TopicWait,
};
pub use resilience::{BreakerState, CircuitBreakerConfig, OpenCircuit, RateLimitConfig};
pub use telemetry::{BrokerStats, Distribution, Propagator, Stats, TopicStats, TraceHeaders};
