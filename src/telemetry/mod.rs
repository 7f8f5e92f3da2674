//! Everything that is emitted: events, spans, counters, metrics, and the headers that carry a trace.

mod counters;
mod distribution;
mod event;
mod log;
mod metrics;
#[cfg(feature = "opentelemetry")]
mod opentelemetry;
mod propagation;
mod span;
mod stats;
mod tally;

pub(crate) use counters::{Acked, Counters, Sent};
pub use distribution::Distribution;
pub(crate) use event::Operation;
pub(crate) use log::Log;
pub(crate) use metrics::{CLUSTER, Meters};
pub use propagation::{Propagator, TraceHeaders};
pub(crate) use span::{Sending, Spans};
pub use stats::{BrokerStats, Stats, TopicStats};
pub(crate) use tally::Part;
