//! What is asked beside requests with messages: for a producer id, and by a probe of the circuit breaker.

use std::sync::Arc;

use tokio::time::Instant;

use super::BrokerTask;
use crate::engine::NodeId;
use crate::error::Result;
use crate::record::ProducerId;
use crate::resilience::BreakerState;
use crate::sender::partition::Partition;

impl BrokerTask {
    pub(super) fn ask_id(&mut self, partition: Arc<Partition>, spent: Option<i64>) {
        match &mut self.asking {
            Some((_, waiting)) => waiting.push(partition),
            None => {
                let core = self.core.clone();
                let ask = Box::pin(async move { core.producer_id.fetch(&core, spent).await });
                self.asking = Some((ask, vec![partition]));
            }
        }
    }

    pub(super) fn id_fetched(&mut self, id: &Result<ProducerId>) {
        let waiting = self.asking.take().map(|(_, waiting)| waiting).unwrap_or_default();
        for partition in &waiting {
            match id {
                Ok(id) => partition.queue(|queue| queue.adopt(*id)),
                Err(error) => self.core.fail_waiting(partition, error),
            }
        }
        waiting.into_iter().for_each(|partition| self.receive(partition));
    }

    pub(super) fn probe(&mut self, node: NodeId) {
        if self.probing.is_some() {
            // Its end wakes this task.
            return;
        }
        self.core.stats.breaker(&self.core.engine.name_of(node), BreakerState::HalfOpen);
        let engine = self.core.engine.clone();
        self.probing = Some(Box::pin(async move { engine.probe(Some(node)).await }));
    }

    pub(super) fn probed(&mut self, result: &Result<()>) {
        if result.is_err() {
            // Nothing else notices, while the breaker is open, that the broker has another address.
            self.core.metadata.refresh_soon(&self.core);
        }
        self.probing = None;
        let now = Instant::now();
        let change = self.broker.breaker().probe_result(result.is_ok(), now);
        self.core.broker_breaker_changed(&self.broker, change);
        if let Some(node) = self.broker.node {
            self.core.stats.breaker(&self.core.engine.name_of(node), self.broker.breaker_state(now));
        }
    }
}
