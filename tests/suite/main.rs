//! Promises, as tests: on a cluster in this process, and on a real Apache Kafka where there is one.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod answers_sweep;
mod bad_input;
#[cfg(feature = "blocking")]
mod blocking;
mod breaker;
mod brief_waits;
mod bulk;
mod busy_pool;
mod callbacks_sweep;
mod cluster;
mod compressed_batches;
mod configuration;
mod conformance;
mod connector;
mod deadlines;
mod delivery;
mod describe;
mod design;
mod economy;
mod error_table;
mod errors_explain;
mod fake;
mod faults;
mod foreign_ends;
mod freeze;
mod frozen_leader;
mod futures_sweep;
mod health;
mod identity;
mod json_logs;
#[path = "../../examples/soak/ledger.rs"]
#[allow(dead_code, reason = "shared with the soak")]
mod ledger;
mod lifecycle;
mod logging;
mod logins;
#[cfg(feature = "metrics")]
mod metrics;
mod odd_versions;
mod old_brokers;
#[cfg(feature = "opentelemetry")]
mod opentelemetry;
mod proxies;
mod racks;
mod real;
mod real_faults;
mod real_schedules;
mod recovery;
mod regressions;
mod runtimes;
mod schedules;
mod sequences;
mod settings_sweep;
mod sink;
mod slow_network;
mod support;
mod telemetry;
mod topic_ids;
mod topic_producer;
mod topics_in_use;
mod turns;
mod unknown_topics;
mod versions;
mod waits;
