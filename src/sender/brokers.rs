//! Every broker there is.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use super::Broker;
use crate::config::RandomSource;
use crate::engine::NodeId;
use crate::resilience::{Breaker, CircuitBreakerConfig};

/// Brokers by where they lead. They are few, and are kept as long as the producer.
pub(crate) struct Brokers {
    brokers: RwLock<BTreeMap<Option<NodeId>, Arc<Broker>>>,
    breaker: CircuitBreakerConfig,
    random: RandomSource,
}

impl Brokers {
    pub(crate) fn new(breaker: CircuitBreakerConfig, random: RandomSource) -> Self {
        Self { brokers: RwLock::default(), breaker, random }
    }

    /// The broker to this node, or to nowhere.
    pub(crate) fn to(&self, node: Option<NodeId>) -> Arc<Broker> {
        if let Some(broker) = self.brokers.read().get(&node) {
            return broker.clone();
        }
        let mut brokers = self.brokers.write();
        let new = || Broker::new(node, Breaker::new(self.breaker.clone(), self.random.generator(node)));
        brokers.entry(node).or_insert_with(new).clone()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Broker>> {
        self.brokers.read().values().cloned().collect()
    }
}

/// Partitions that came in when no task served their broker any more hold that broker, and are held by it.
impl Drop for Brokers {
    fn drop(&mut self) {
        for broker in self.brokers.get_mut().values() {
            broker.swap_inbox(&mut Vec::new());
        }
    }
}
