//! Every lane there is.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use super::Lane;
use crate::engine::NodeId;
use crate::resilience::{Breaker, CircuitBreakerConfig};

/// Lanes by where they lead. They are few, and are kept as long as the producer.
#[derive(Debug)]
pub(crate) struct Lanes {
    lanes: RwLock<HashMap<Option<NodeId>, Arc<Lane>>>,
    breaker: CircuitBreakerConfig,
}

impl Lanes {
    pub(crate) fn new(breaker: CircuitBreakerConfig) -> Self {
        Self { lanes: RwLock::default(), breaker }
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

    pub(crate) fn all(&self) -> Vec<Arc<Lane>> {
        self.lanes.read().values().cloned().collect()
    }
}
