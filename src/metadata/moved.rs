//! A leader that moved, as the broker says that no longer leads: nobody has to be asked (KIP-951).

use std::sync::Arc;

use tokio::time::Instant;

use super::Metadata;
use crate::accumulator::Queue;
use crate::core::Core;
use crate::engine::Leadership;
use crate::sender::Partition;

impl Metadata {
    /// Whether this is the leader of an election that was not known yet; from here on it is.
    pub(crate) fn is_newer(&self, partition: &Arc<Partition>, leader: Leadership) -> bool {
        let Some(topic) = self.topic(&partition.topic) else {
            return false;
        };
        let (index, now) = (partition.index as usize, Instant::now());
        let is_in_use = topic.partitions.all.get(index).is_some_and(|used| Arc::ptr_eq(used, partition));
        is_in_use && topic.history().is_newer(index, leader.epoch, now)
    }

    /// Hands the partition to its new leader, at once.
    pub(crate) fn follow(&self, core: &Arc<Core>, partition: &Arc<Partition>, leader: Leadership) {
        let broker = core.brokers.to(leader.node);
        partition.move_to(&broker);
        partition.queue(Queue::leader_changed);
        broker.schedule(core, partition.clone());
    }
}
