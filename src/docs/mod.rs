//! Guides.

#[doc = include_str!("resilience.md")]
pub mod resilience {}

#[doc = include_str!("performance.md")]
#[doc = include_str!("peers.md")]
pub mod performance {}

#[doc = include_str!("invariants.md")]
pub mod invariants {}
