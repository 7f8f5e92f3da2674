//! Guides.

#[doc = include_str!("configuration.md")]
pub mod configuration {}

#[doc = include_str!("guarantees.md")]
pub mod guarantees {}

#[doc = include_str!("brokers.md")]
pub mod brokers {}

#[doc = include_str!("errors.md")]
pub mod errors {}

#[doc = include_str!("security.md")]
pub mod security {}

#[doc = include_str!("serverless.md")]
pub mod serverless {}

#[doc = include_str!("resilience.md")]
pub mod resilience {}

#[doc = include_str!("performance.md")]
#[doc = include_str!("peers.md")]
pub mod performance {}

#[doc = include_str!("testing.md")]
pub mod testing {}

#[doc = include_str!("invariants.md")]
pub mod invariants {}

#[doc = include_str!("comparison.md")]
pub mod comparison {}

#[doc = include_str!("telemetry.md")]
pub mod telemetry {}

#[doc = include_str!("health.md")]
pub mod health {}

#[doc = include_str!("static_builds.md")]
pub mod static_builds {}

#[doc = include_str!("dependencies.md")]
pub mod dependencies {}

#[doc = include_str!("migrating.md")]
pub mod migrating {}
