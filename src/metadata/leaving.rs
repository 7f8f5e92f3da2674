//! Partitions of topics that are gone, while something of theirs is on its way.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::record::ProducerId;
use crate::sender::Partition;

/// How long a copy of a failed batch is reckoned with: in a connection that is gone, or in a broker that hangs.
const LATE: Duration = Duration::from_secs(3_600);

/// Each with the time at which its topic was removed.
#[derive(Default)]
pub(super) struct Leaving(Mutex<Vec<(Arc<Partition>, Instant)>>);

impl Leaving {
    pub(super) fn add(&self, partitions: &[Arc<Partition>], now: Instant) {
        self.0.lock().extend(partitions.iter().map(|partition| (partition.clone(), now)));
    }

    /// Those with batches in flight.
    pub(super) fn busy(&self, now: Instant) -> Vec<Arc<Partition>> {
        let mut leaving = self.0.lock();
        leaving.retain(|(partition, since)| {
            let late = now.saturating_duration_since(*since) < LATE;
            !partition.is_idle() || (late && partition.queue(|queue| queue.successor()).is_some())
        });
        let busy = leaving.iter().filter(|(partition, _)| !partition.is_idle());
        busy.map(|(partition, _)| partition.clone()).collect()
    }

    /// Whether batches of a topic of this name are in flight.
    pub(super) fn is_busy(&self, name: &str) -> bool {
        self.0.lock().iter().any(|(partition, _)| *partition.topic == *name && !partition.is_idle())
    }

    /// Has a partition that comes back go on where the one that left ended, so that it fences late copies of what failed
    /// there: they are of that one's producer id, which may no longer be the one that partitions begin with.
    pub(super) fn hand_over(&self, to: &Partition) {
        let mut leaving = self.0.lock();
        let is_former = |former: &Partition| former.index == to.index && former.topic == to.topic;
        // There is one at most: whatever came back before took the one before it.
        let Some(at) = leaving.iter().position(|(former, _)| is_former(former)) else { return };
        let (former, _) = leaving.remove(at);
        if let Some(numbers) = former.queue(|queue| queue.successor()) {
            to.queue(|queue| queue.follow(numbers));
        }
    }

    /// What was sent to another cluster than the one that granted the producer id cannot arrive in this one.
    pub(super) fn cluster_changed(&self, is_granted: impl Fn(ProducerId) -> bool) {
        let of_this =
            |partition: &Partition| partition.queue(|queue| queue.producer_id()).is_some_and(&is_granted);
        self.0.lock().retain(|(partition, _)| !partition.is_idle() || of_this(partition));
    }
}
