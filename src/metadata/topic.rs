//! One topic in use.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::history::History;
use crate::accumulator::{Budget, Buffer, Queue};
use crate::config::RandomSource;
use crate::core::Core;
use crate::engine::{Leadership, NodeId};
use crate::partitioner::{Chooser, Partitioning};
use crate::sender::Partition;

/// What every topic is made with.
#[derive(Debug)]
pub(crate) struct TopicSettings {
    pub(crate) partitioning: Partitioning,
    /// The bound that all topics share.
    pub(crate) buffer: Arc<Buffer>,
    /// Bytes that one topic may take of it, where that is less than all.
    pub(crate) share: Option<usize>,
    pub(crate) metadata_age: Duration,
    /// A topic that is unused for this long is forgotten.
    pub(crate) metadata_idle: Duration,
    pub(crate) batch_bytes: usize,
    pub(crate) random: RandomSource,
}

/// As metadata described it last; what is known anew is a new one.
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    /// Space for its messages.
    pub(crate) budget: Budget,
    pub(crate) partitions: Partitions,
    pub(crate) chooser: Chooser,
    /// Shared by all that are this topic.
    history: Arc<Mutex<History>>,
}

/// A topic's partitions by index, and the indices of those that have a leader.
#[derive(Default)]
pub(crate) struct Partitions {
    pub(crate) all: Vec<Arc<Partition>>,
    /// The current number: a topic that was created again may have fewer than before.
    pub(crate) count: usize,
    pub(crate) led: Vec<u32>,
}

impl Topic {
    pub(super) fn new(name: Arc<str>, settings: &TopicSettings) -> Self {
        Self {
            chooser: Chooser::new(
                &settings.partitioning,
                settings.batch_bytes,
                settings.random.generator(&name),
            ),
            name,
            budget: Budget::new(settings.buffer.clone(), settings.share),
            partitions: Partitions::default(),
            history: Arc::new(Mutex::new(History::new(Instant::now()))),
        }
    }

    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock()
    }

    /// Has what is sent from here on name the topic by its id (KIP-516).
    pub(super) fn identify(&self) {
        let id = self.history().id();
        self.partitions.all.iter().for_each(|partition| partition.belongs_to(id));
    }

    /// How many batches were taken, and how many stored.
    pub(super) fn progress(&self) -> (u64, u64) {
        let each = self.partitions.all.iter().map(|partition| partition.queue(|queue| queue.progress()));
        each.fold((0, 0), |(taken, stored), (more, also)| (taken + more, stored + also))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.partitions.all.iter().all(|partition| partition.is_idle())
    }

    /// This topic with these leaders, where that is something new: partitions that were not there before are added,
    /// those that moved change their broker.
    pub(super) fn led_by(
        &self,
        core: &Arc<Core>,
        leaders: &[Leadership],
        near: &HashSet<NodeId>,
    ) -> Option<Self> {
        let now = Instant::now();
        let before = &self.partitions;
        let mut all = before.all.clone();
        for index in all.len()..leaders.len() {
            let broker = core.brokers.to(None);
            let (supervisor, log) = (core.supervisor.clone(), core.log.clone());
            let partition = Partition::new(
                self.name.clone(),
                index as i32,
                self.budget.clone(),
                broker,
                supervisor,
                core.stats.accepted(),
                log,
            );
            partition.belongs_to(self.history().id());
            core.metadata.leaving.hand_over(&partition);
            all.push(partition);
        }
        let mut led = Vec::with_capacity(leaders.len());
        let mut led_nearby = Vec::new();
        for (index, partition) in all.iter().enumerate() {
            let reported = leaders.get(index).copied().unwrap_or(Leadership { node: None, epoch: -1 });
            let leader = match self.history().is_current(index, reported.epoch, now) {
                true => reported.node,
                false => partition.broker().node,
            };
            if leader.is_some() {
                led.push(index as u32);
            }
            if leader.is_some_and(|leader| near.contains(&leader)) {
                led_nearby.push(index as u32);
            }
            let broker = core.brokers.to(leader);
            if partition.move_to(&broker) && !partition.is_idle() {
                partition.queue(Queue::leader_changed);
                broker.schedule(core, partition.clone());
            }
        }
        let same = all.len() == before.all.len()
            && leaders.len() == before.count
            && led == before.led
            && led_nearby == self.chooser.near;
        (!same).then(|| Self {
            name: self.name.clone(),
            budget: self.budget.clone(),
            partitions: Partitions { all, count: leaders.len(), led },
            chooser: self.chooser.towards(led_nearby),
            history: self.history.clone(),
        })
    }
}
