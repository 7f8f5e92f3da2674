//! Promises, as tests: on a cluster in this process, and on a real Apache Kafka where there is one.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bad_input;
mod cluster;
mod conformance;
mod delivery;
mod fake;
mod lifecycle;
mod logging;
mod real;
