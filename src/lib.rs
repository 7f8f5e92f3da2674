// README links to files, which only a checkout has. The first definition of a link counts.
#![doc = include_str!("docs/readme_links.md")]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

/// Consuming setters named after their fields: one way to write a setting, in a section as in the whole.
macro_rules! setters {
    ($($name:ident: $type:ty),* $(,)?) => {$(
        #[doc = concat!("Sets [`", stringify!($name), "`](Self::", stringify!($name), ").")]
        #[must_use]
        pub fn $name(mut self, $name: $type) -> Self {
            self.$name = $name;
            self
        }
    )*};
}

/// A section of settings, from one list: the struct, its defaults and a setter for each field.
macro_rules! section {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$doc:meta])* pub $field:ident: $type:ty = $default:expr,)*
        }
    ) => {
        $(#[$meta])*
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $name {
            setters! { $($field: $type,)* }
        }
    };
}

/// An enum whose variants have names, from one list: the enum, `ALL`, `as_str` and `Display`.
macro_rules! names {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$doc:meta])* $variant:ident = $text:literal,)*
        }
        $(#[$as_str:meta])*
        as_str;
        $(#[$all:meta])*
        ALL;
    ) => {
        $(#[$meta])*
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            $(#[$all])*
            pub const ALL: [Self; [$($text),*].len()] = [$(Self::$variant),*];

            $(#[$as_str])*
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

mod accumulator;
mod clock;
mod compression;
mod config;
mod context;
mod core;
pub mod docs;
mod engine;
mod error;
mod health;
mod message;
mod metadata;
mod partitioner;
mod producer;
mod record;
mod resilience;
mod sender;
mod supervisor;
mod telemetry;
mod topic_name;

#[doc(hidden)]
pub use crate::core::TaskState;
pub use accumulator::{Delivery, Receipt};
pub use compression::Compression;
#[cfg(feature = "text-config")]
#[cfg_attr(docsrs, doc(cfg(feature = "text-config")))]
pub use config::Setting;
pub use config::{
    Acks, BatchConfig, BufferConfig, BulkheadConfig, Credentials, CredentialsProvider, EngineKind,
    Idempotence, IntoBrokers, Pem, ProducerConfig, ProviderError, RetryConfig, SaslConfig, SaslMechanism,
    Secret, TelemetryConfig, TimeoutConfig, TlsConfig, TlsRoots, Token, TokenProvider,
};
pub use context::Context;
pub use error::{BrokerError, Error, ErrorCode, ErrorKind, Fate, Result, Wait, WaitReason};
pub use health::{
    CheckReport, Health, HealthCheck, HealthDetail, HealthKind, HealthRegistry, HealthReport, HealthValue,
    Registration, Status,
};
pub use message::{Header, Message};
pub use partitioner::{PartitionInput, Partitioner, Partitioning};
pub use producer::{BrokerWait, Explanation, Liveness, PartitionWait, Producer, TopicWait};
pub use resilience::{BreakerState, CircuitBreakerConfig, OpenCircuit, RateLimitConfig};
pub use telemetry::{BrokerStats, Distribution, Propagator, Stats, TopicStats, TraceHeaders};
