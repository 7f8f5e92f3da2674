// README shows a chart by a path that only a checkout has. The first definition of a link counts.
#![doc = include_str!("docs/peers.uri.md")]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

/// Consuming setters named after their fields: one way to write a setting, in a section as in the whole.
macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty),* $(,)?) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(mut self, $name: $type) -> Self {
            self.$name = $name;
            self
        }
    )*};
}

mod accumulator;
mod clock;
mod compression;
mod config;
mod context;
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

pub use accumulator::{Delivery, Receipt};
pub use compression::Compression;
pub use config::{
    Acks, BatchConfig, BufferConfig, BulkheadConfig, Credentials, CredentialsProvider, EngineKind,
    Idempotence, Pem, ProducerConfig, ProviderError, RetryConfig, SaslConfig, SaslMechanism, Secret, Setting,
    TelemetryConfig, TimeoutConfig, TlsConfig, TlsRoots, Token, TokenProvider,
};
pub use context::Context;
pub use error::{BrokerError, Error, ErrorCode, ErrorKind, Fate, Result};
pub use health::{
    CheckReport, Health, HealthCheck, HealthDetail, HealthKind, HealthRegistry, HealthReport, HealthValue,
    Registration, Status,
};
pub use message::{Header, Message};
pub use partitioner::{PartitionInput, Partitioner, Partitioning};
#[doc(hidden)]
pub use producer::TaskState;
pub use producer::{Liveness, Producer};
pub use resilience::{BreakerState, CircuitBreakerConfig, OpenCircuit, RateLimitConfig};
pub use telemetry::{BrokerStats, Distribution, Propagator, Stats, TopicStats, TraceHeaders};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use base64::Engine;

    /// With `UPDATE_GUIDES=1` it is written instead.
    #[test]
    fn the_chart_of_the_front_page_is_the_one_of_the_repository() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/docs");
        let chart = std::fs::read(format!("{folder}/peers.svg")).unwrap();
        let encoded = base64::engine::general_purpose::STANDARD.encode(chart);
        let definition = format!("[peers]: data:image/svg+xml;base64,{encoded}\n");
        let path = format!("{folder}/peers.uri.md");
        if std::env::var_os("UPDATE_GUIDES").is_some() {
            std::fs::write(path, definition).unwrap();
            return;
        }
        assert!(std::fs::read_to_string(path).unwrap() == definition, "run it with UPDATE_GUIDES=1");
        assert!(include_str!("../README.md").contains("![CPU per record of each producer][peers]"));
    }
}
