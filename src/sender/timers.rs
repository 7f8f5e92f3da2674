//! Partitions that have to be looked at again at a certain time.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;

use tokio::time::Instant;

use super::partition::Partition;

/// Partitions by time, soonest first.
#[derive(Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<Entry>>,
}

struct Entry {
    at: Instant,
    partition: Arc<Partition>,
}

impl Timers {
    pub(super) fn push(&mut self, at: Instant, partition: Arc<Partition>) {
        self.heap.push(Reverse(Entry { at, partition }));
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// The soonest partition, if its time has come.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Arc<Partition>> {
        if self.next()? > now {
            return None;
        }
        self.pop()
    }

    /// Forgets what is out of date at the front: `renew` takes a partition's time back, and returns the time that holds
    /// for it now, if any.
    pub(super) fn refresh(&mut self, renew: impl Fn(&Partition) -> Option<Instant>) {
        while let Some(Reverse(Entry { at, partition })) = self.heap.pop() {
            if let Some(next) = renew(&partition) {
                self.push(next, partition);
                if next <= at {
                    return;
                }
            }
        }
    }

    /// The soonest partition, whatever its time.
    pub(super) fn pop(&mut self) -> Option<Arc<Partition>> {
        self.heap.pop().map(|Reverse(entry)| entry.partition)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}
