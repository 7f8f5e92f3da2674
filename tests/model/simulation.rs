//! Schedules in a simulated world: a function of their seeds.

use std::sync::Arc;

use kafka_testbed::SimNet;

use crate::ground::Ground;
use crate::runner::{Counts, Limits, Watch, one};
use crate::schedule::schedule;

/// What became of a schedule.
pub(crate) struct Outcome {
    /// Stands for everything that happened.
    pub(crate) hash: u64,
    /// The promise that was broken.
    pub(crate) failure: Option<String>,
    /// Its settings, and what happened to its cluster.
    pub(crate) schedule: String,
    /// What happened, by lines, where it was recorded.
    pub(crate) trace: Vec<String>,
}

/// Runs a schedule.
pub(crate) fn run(seed: u64, watch: &Arc<Watch>) -> Counts {
    SimNet::run(seed, |net| {
        if watch.records {
            net.record();
        }
        *watch.net.lock() = Some(net.clone());
        schedule(seed, Ground::Simulated(net), watch.clone())
    })
}

/// Runs a schedule within limits, and looks at what happened.
pub(crate) fn look(seed: u64, limits: Limits, records: bool) -> Outcome {
    let watch = Watch::new(limits, records);
    let failure = one(seed, &watch, run).err();
    watch.producer(None);
    let net = watch.net.lock().take();
    let trace = net.as_ref().map(SimNet::trace).unwrap_or_default();
    Outcome { hash: net.map_or(0, |net| net.trace_hash()), failure, trace, schedule: watch.dump() }
}
