//! What the producer's tasks ask of it: see [`crate::supervisor`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Core;
use crate::error::{Error, Wait};
use crate::sender::{Partition, waiting};
use crate::supervisor::Owner;

/// A message that is overdue by so much is settled by the watch over the tasks: the one that should have is held up.
const OVERDUE: Duration = Duration::from_millis(50);

/// One task of a producer.
#[doc(hidden)]
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskState {
    /// What it does.
    pub name: String,
    /// How often its runtime polled it.
    pub polls: u64,
    /// The number of its turns, where it works in turns.
    pub turns: u64,
    /// Whether a thread is busy with it at the moment.
    pub busy: bool,
}

impl Core {
    pub(crate) fn tasks(&self) -> Vec<TaskState> {
        let turns: HashMap<_, _> =
            self.brokers.all().iter().map(|broker| (broker.name(), broker.turns())).collect();
        let state = |(name, polls, busy): (Arc<str>, u64, bool)| {
            let turns = turns.get(&*name).copied().unwrap_or(polls);
            TaskState { name: name.to_string(), polls, turns, busy }
        };
        self.supervisor.tasks().into_iter().map(state).collect()
    }
}

impl Owner for Core {
    fn is_busy(&self) -> bool {
        self.stats.unsettled() > 0
    }

    fn settle_overdue(self: Arc<Self>) {
        let now = Instant::now();
        let Some(overdue) = now.checked_sub(OVERDUE) else { return };
        for partition in self.metadata.partitions() {
            if partition.queue(|queue| queue.is_overdue(overdue)) {
                let error = self.expired(&partition, now);
                self.settle(&partition, &error, |queue, settlement| queue.expire(now, &error, settlement));
                // The next deadline is the task's again.
                partition.broker().schedule(&self, partition.clone());
            }
        }
    }

    fn moving(&self) {
        self.log.tasks_moved();
        self.engine.disconnect();
    }

    fn home_ended(&self) {
        for partition in self.metadata.partitions() {
            partition.wake();
        }
    }

    fn strand(&self, error: &Error) {
        for partition in self.metadata.partitions() {
            self.fail_waiting(&partition, error);
        }
    }

    fn wait_of(&self, topic: &str, partition: i32) -> Option<Wait> {
        let current = self.metadata.partition(topic, partition);
        // One of a topic that is gone may still have something in flight.
        let former = || {
            let is_it = |p: &Arc<Partition>| (&*p.topic, p.index) == (topic, partition);
            self.metadata.partitions().into_iter().find(is_it)
        };
        let partition = current.or_else(former)?;
        Some(waiting::of(self, &partition, Instant::now()))
    }

    fn panicked(&self, task: &str, message: &str, restarts: bool) {
        self.log.task_panicked(task, message, restarts);
    }
}
