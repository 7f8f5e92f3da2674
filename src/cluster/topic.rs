//! One topic in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use crate::accumulator::{Buffer, Partition};
use crate::engine::NodeId;
use crate::partitioner::{Chooser, Partitioning};
use crate::producer::Core;

/// What every topic is made with.
#[derive(Debug)]
pub(crate) struct TopicSettings {
    pub(crate) partitioning: Partitioning,
    /// The bound that all topics share.
    pub(crate) buffer: Arc<Buffer>,
    /// Bytes that one topic may take of it, where that is less than all.
    pub(crate) share: Option<usize>,
    pub(crate) metadata_age: Duration,
    pub(crate) batch_bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Topic {
    name: Arc<str>,
    share: Option<Arc<Buffer>>,
    buffer: Arc<Buffer>,
    partitions: RwLock<Arc<Partitions>>,
    /// Held while metadata is taken over: two at a time would make a partition twice.
    learning: Mutex<()>,
    pub(crate) chooser: Chooser,
    /// How often in a row metadata called it unknown.
    missed: AtomicU32,
}

/// A topic's partitions by index, and the indices of those that have a leader.
#[derive(Debug, Default)]
pub(crate) struct Partitions {
    pub(crate) all: Vec<Arc<Partition>>,
    /// How many there are now: a topic that was made anew may have fewer than before.
    pub(crate) count: usize,
    pub(crate) led: Vec<u32>,
}

impl Topic {
    pub(super) fn new(name: Arc<str>, settings: &TopicSettings) -> Self {
        Self {
            chooser: Chooser::new(&settings.partitioning, settings.batch_bytes),
            name,
            share: settings.share.map(Buffer::new),
            buffer: settings.buffer.clone(),
            partitions: RwLock::default(),
            learning: Mutex::default(),
            missed: AtomicU32::new(0),
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn partitions(&self) -> Arc<Partitions> {
        self.partitions.read().clone()
    }

    /// Looks at the partitions without taking a share in them.
    pub(crate) fn with_partitions<T>(&self, look: impl FnOnce(&Partitions) -> T) -> T {
        look(&self.partitions.read())
    }

    /// The part of the buffer that this topic may fill, where it is bounded.
    pub(crate) fn share(&self) -> Option<&Arc<Buffer>> {
        self.share.as_ref()
    }

    /// Counts an answer that does not know this topic.
    pub(super) fn missed(&self) -> u32 {
        self.missed.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Takes over the leaders: partitions that are new are added, those that moved change their lane.
    pub(super) fn learn(&self, core: &Arc<Core>, leaders: &[Option<NodeId>]) {
        self.missed.store(0, Ordering::Relaxed);
        let _turn = self.learning.lock();
        let before = self.partitions();
        let mut all = before.all.clone();
        for index in all.len()..leaders.len() {
            let buffers = [Some(self.buffer.clone()), self.share.clone()];
            all.push(Partition::new(self.name.clone(), index as i32, buffers, core.lanes.to(None)));
        }
        let mut led = Vec::with_capacity(leaders.len());
        for (index, partition) in all.iter().enumerate() {
            let leader = leaders.get(index).copied().flatten();
            if leader.is_some() {
                led.push(index as u32);
            }
            let lane = core.lanes.to(leader);
            if partition.move_to(&lane) && !partition.is_idle() {
                partition.leader_changed();
                lane.schedule(core, partition.clone());
            }
        }
        if all.len() != before.all.len() || leaders.len() != before.count || led != before.led {
            *self.partitions.write() = Arc::new(Partitions { all, count: leaders.len(), led });
        }
    }
}
