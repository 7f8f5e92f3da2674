//! Every lane there is.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use super::Lane;
use crate::engine::NodeId;
use crate::producer::Core;
use crate::resilience::{Breaker, CircuitBreakerConfig};

/// Lanes by where they lead. They are few, and are kept as long as the producer.
#[derive(Debug)]
pub(crate) struct Lanes {
    lanes: RwLock<HashMap<Option<NodeId>, Arc<Lane>>>,
    breaker: CircuitBreakerConfig,
    /// A lane's task ended with its runtime.
    lost: AtomicBool,
}

impl Lanes {
    pub(crate) fn new(breaker: CircuitBreakerConfig) -> Self {
        Self { lanes: RwLock::default(), breaker, lost: AtomicBool::new(false) }
    }

    /// The lane to this node, or to nowhere.
    pub(crate) fn to(&self, node: Option<NodeId>) -> Arc<Lane> {
        if let Some(lane) = self.lanes.read().get(&node) {
            return lane.clone();
        }
        let mut lanes = self.lanes.write();
        let lane = lanes.entry(node).or_insert_with(|| Lane::new(node, Breaker::new(self.breaker.clone())));
        lane.clone()
    }

    pub(super) fn lost_one(&self) {
        self.lost.store(true, Ordering::Release);
    }

    /// Starts the tasks again that ended with a runtime. Nearly always there is nothing to do, and nothing is done.
    #[inline]
    pub(crate) fn revive(&self, core: &Arc<Core>) {
        if self.lost.load(Ordering::Relaxed) && self.lost.swap(false, Ordering::AcqRel) {
            for lane in self.all() {
                lane.wake(core);
            }
        }
    }

    pub(crate) fn all(&self) -> Vec<Arc<Lane>> {
        self.lanes.read().values().cloned().collect()
    }
}
