//! One partition: its queue, and the broker that serves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use super::broker::Broker;
use crate::accumulator::{
    Appended, Arrival, Batch, Budget, Completion, Policy, Queue, Receipt, Settlement, Take, Woken,
};
use crate::engine::TopicId;
use crate::error::{Error, Failed};
use crate::supervisor::Supervisor;
use crate::telemetry::{Log, Part};

/// See the [module](self). The queue is behind a lock, which is never held while user code runs: see
/// [`queue`](Self::queue) and [`settle`](Self::settle).
pub(crate) struct Partition {
    pub(crate) topic: Arc<str>,
    pub(crate) index: i32,
    budget: Budget,
    queue: Mutex<Queue>,
    broker: RwLock<Arc<Broker>>,
    supervisor: Arc<Supervisor>,
    /// Since when that broker leads it.
    led_since: Mutex<Instant>,
    /// Which topic it belongs to, once that is known.
    topic_id: Mutex<Option<TopicId>>,
    log: Log,
    /// The last request that took a batch of this partition.
    request: AtomicU64,
    /// What the last answer said that leaves no doubt about it.
    uses_append_time: AtomicBool,
}

impl Partition {
    pub(crate) fn new(
        topic: Arc<str>,
        index: i32,
        budget: Budget,
        broker: Arc<Broker>,
        supervisor: Arc<Supervisor>,
        accepted: Part,
        log: Log,
    ) -> Arc<Self> {
        Arc::new(Self {
            topic,
            index,
            budget,
            queue: Mutex::new(Queue::new(accepted)),
            broker: RwLock::new(broker),
            supervisor,
            led_since: Mutex::new(Instant::now()),
            topic_id: Mutex::default(),
            log,
            request: AtomicU64::new(0),
            uses_append_time: AtomicBool::new(false),
        })
    }

    /// Lends the queue, locked. `ask` must not run user code, nor drop what may: messages, wakers, errors.
    #[inline]
    pub(crate) fn queue<T>(&self, ask: impl FnOnce(&mut Queue) -> T) -> T {
        ask(&mut self.queue.lock())
    }

    /// Lets the queue decide under the lock, and carries that out once it is released, as it may run user code.
    /// Returns how many messages failed.
    pub(crate) fn settle(&self, decide: impl FnOnce(&mut Queue, &mut Settlement<'_>)) -> Failed {
        let mut settlement = Settlement::new(&self.log);
        decide(&mut self.queue.lock(), &mut settlement);
        settlement.carry_out()
    }

    /// The broker that leads it.
    pub(crate) fn broker(&self) -> Arc<Broker> {
        self.broker.read().clone()
    }

    /// Hands the partition to the broker that leads it now. Returns whether that is another one than before.
    pub(crate) fn move_to(&self, broker: &Arc<Broker>) -> bool {
        let mut current = self.broker.write();
        let moved = !Arc::ptr_eq(&current, broker);
        if moved {
            *self.led_since.lock() = Instant::now();
        }
        *current = broker.clone();
        moved
    }

    /// Since when its broker leads it, or no broker does.
    pub(crate) fn led_since(&self) -> Instant {
        *self.led_since.lock()
    }

    pub(crate) fn topic_id(&self) -> Option<TopicId> {
        *self.topic_id.lock()
    }

    /// From here on batches are sent to this topic. Its queue has to know first where that is another one.
    pub(crate) fn belongs_to(&self, topic: Option<TopicId>) {
        *self.topic_id.lock() = topic;
    }

    /// Appends a message; `None` after [`Queue::close`]. `wall` returns the milliseconds since 1970; it is called only
    /// when a batch is opened.
    #[inline]
    pub(crate) fn append(
        &self,
        arrival: &Arrival<'_>,
        policy: &Policy,
        wall: impl FnOnce() -> i64,
    ) -> Option<(Receipt, Appended)> {
        let mut queue = self.queue.lock();
        let appended = queue.append(arrival, policy, |serial| self.open(serial, wall()))?;
        queue.newest().map(|batch| (Receipt::new(batch.clone(), appended.accepted), appended))
    }

    /// Appends messages in their order, under one lock, until one is not taken any more. `accept` gets the receipt of
    /// each, and must not run user code. Returns whether the broker task has to look at the partition, and whether a
    /// batch became full.
    pub(crate) fn append_all<'a>(
        &self,
        arrivals: impl Iterator<Item = Arrival<'a>>,
        policy: &Policy,
        wall: impl Fn() -> i64,
        mut accept: impl FnMut(Receipt),
    ) -> (bool, bool) {
        let (mut wake, mut sealed) = (false, false);
        let mut queue = self.queue.lock();
        for arrival in arrivals {
            let appended = queue.append(&arrival, policy, |serial| self.open(serial, wall()));
            let (Some(appended), Some(batch)) = (appended, queue.newest()) else {
                break;
            };
            accept(Receipt::new(batch.clone(), appended.accepted));
            wake |= appended.wake;
            sealed |= appended.sealed;
        }
        (wake, sealed)
    }

    fn open(&self, serial: u64, wall: i64) -> (Arc<Completion>, Budget, i64) {
        let completion = Completion::new(self.topic.clone(), self.index, serial, self.supervisor.clone());
        (completion, self.budget.clone(), wall)
    }

    /// Takes the next batch if it may be sent and is expected to take at most `room` bytes.
    pub(crate) fn take(&self, now: Instant, idle: bool, room: usize, policy: &Policy) -> Option<Take> {
        self.queue(|queue| (queue.front_bytes() <= room).then(|| queue.take(now, idle, policy)))
    }

    /// The batch is stored. `count` receives the number of messages that this settles, before their tasks are woken.
    /// Returns the messages that the batch has overtaken, which therefore failed.
    pub(crate) fn stored(
        &self,
        batch: Arc<Batch>,
        offset: Option<i64>,
        append_time: Option<i64>,
        now: Instant,
        count: impl FnOnce(usize),
    ) -> Failed {
        let append_time = self.trusted(append_time, batch.in_doubt);
        // Settled before the queue forgets it: `flush` waits for what the queue knows.
        let mut woken = Woken::default();
        count(batch.store(offset, append_time, &self.log, &mut woken));
        woken.wake(&self.log);
        let mut rest = None;
        let failed = self.settle(|queue, settlement| rest = queue.stored(batch, offset, now, settlement));
        if let Some(rest) = rest {
            rest.recycle(&self.log);
        }
        failed
    }

    /// An error of this partition.
    pub(crate) fn describe(&self, error: Error) -> Error {
        error.with_topic(self.topic.clone()).with_partition(self.index)
    }

    /// The time of appending, where the topic uses it. For a batch that was stored already, a broker answers the time at
    /// which it stored it, whatever the topic uses.
    fn trusted(&self, append_time: Option<i64>, in_doubt: bool) -> Option<i64> {
        if !in_doubt {
            self.uses_append_time.store(append_time.is_some(), Ordering::Relaxed);
        }
        append_time.filter(|_| self.uses_append_time.load(Ordering::Relaxed))
    }

    /// Whether this is the first call for `request`: one request holds one batch of a partition.
    pub(crate) fn enter(&self, request: u64) -> bool {
        self.request.swap(request, Ordering::Relaxed) != request
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.queue(|queue| queue.is_idle())
    }

    /// Cancels a message. `None` where it is too late for that.
    pub(crate) fn withdraw(&self, completion: &Arc<Completion>, index: u32, error: &Error) -> Option<Failed> {
        let mut withdrawn = false;
        let failed = self.settle(|queue, settlement| {
            withdrawn = queue.withdraw(completion, index, error, settlement);
        });
        withdrawn.then_some(failed)
    }

    /// Wakes every task that waits for a batch of this partition, so that it looks around.
    pub(crate) fn wake(&self) {
        let unsettled = self.queue(|queue| queue.unsettled());
        let mut woken = Woken::default();
        unsettled.iter().for_each(|completion| completion.waiting(&mut woken));
        woken.wake(&self.log);
    }
}
