//! One partition, as the sending side sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use super::batch::{Arrival, Batch, Verdict};
use super::buffer::Buffer;
use super::completion::Completion;
use super::queue::{Appended, Policy, Queue, Readiness, Take, lost_track, overtaken};
use super::waiters::{Settlement, Woken};
use crate::error::Error;
use crate::error::Failed;
use crate::record::ProducerId;
use crate::sender::Lane;
use crate::supervisor::Supervisor;
use crate::telemetry::Log;

/// A partition's queue behind its lock, and the lane that serves it.
#[derive(Debug)]
pub(crate) struct Partition {
    topic: Arc<str>,
    index: i32,
    buffers: [Option<Arc<Buffer>>; 2],
    queue: Mutex<Queue>,
    lane: RwLock<Arc<Lane>>,
    supervisor: Arc<Supervisor>,
    /// Since when that lane serves it.
    led_since: Mutex<Instant>,
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
        buffers: [Option<Arc<Buffer>>; 2],
        lane: Arc<Lane>,
        supervisor: Arc<Supervisor>,
        log: Log,
    ) -> Arc<Self> {
        Arc::new(Self {
            topic,
            index,
            buffers,
            queue: Mutex::default(),
            lane: RwLock::new(lane),
            supervisor,
            led_since: Mutex::new(Instant::now()),
            log,
            request: AtomicU64::new(0),
            uses_append_time: AtomicBool::new(false),
        })
    }

    pub(crate) fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    pub(crate) fn index(&self) -> i32 {
        self.index
    }

    pub(crate) fn lane(&self) -> Arc<Lane> {
        self.lane.read().clone()
    }

    /// Hands the partition to another lane; the former one, if it is another.
    pub(crate) fn move_to(&self, lane: &Arc<Lane>) -> bool {
        let mut current = self.lane.write();
        let moved = !Arc::ptr_eq(&current, lane);
        if moved {
            *self.led_since.lock() = Instant::now();
        }
        *current = lane.clone();
        moved
    }

    /// Since when the broker of its lane leads it, or none does.
    pub(crate) fn led_since(&self) -> Instant {
        *self.led_since.lock()
    }

    /// Whether a batch that failed waits to be sent again.
    pub(crate) fn is_retrying(&self) -> bool {
        self.queue.lock().is_retrying()
    }

    /// Why the last attempt failed of the batch that this completion belongs to; `None` where it did not.
    pub(crate) fn last_error(&self, completion: &Arc<Completion>) -> Option<Error> {
        self.queue.lock().last_error(completion)
    }

    /// Appends a message; `None` where nothing is taken any more. `wall` tells the milliseconds since 1970, and is asked
    /// only when a batch is opened.
    #[inline]
    pub(crate) fn append(
        &self,
        arrival: &Arrival<'_>,
        policy: &Policy,
        wall: impl FnOnce() -> i64,
    ) -> Option<Appended> {
        self.queue.lock().append(arrival, policy, |serial| {
            let completion = Completion::new(self.topic.clone(), self.index, serial, self.supervisor.clone());
            (completion, self.buffers.clone(), wall())
        })
    }

    pub(crate) fn readiness(&self, now: Instant, policy: &Policy) -> Readiness {
        self.queue.lock().readiness(now, policy)
    }

    /// Takes the next batch if it may go and has at most `room` bytes.
    pub(crate) fn take(&self, now: Instant, idle: bool, room: usize, policy: &Policy) -> Option<Take> {
        let mut queue = self.queue.lock();
        if queue.front_bytes() > room {
            return None;
        }
        Some(queue.take(now, idle, policy))
    }

    pub(crate) fn adopt(&self, id: ProducerId) {
        self.queue.lock().adopt(id);
    }

    /// Has the queue decide, and carries out what it decided once its lock is released: whatever runs the user's code.
    fn settle<T>(&self, decide: impl FnOnce(&mut Queue, &mut Settlement<'_>) -> T) -> (T, Failed) {
        let mut settlement = Settlement::new(&self.log);
        let decided = decide(&mut self.queue.lock(), &mut settlement);
        (decided, settlement.carry_out())
    }

    /// The batch is stored. `count` learns how many of its messages that settles, before anyone is woken. Returns what is
    /// overtaken by it, and therefore failed.
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
        let (rest, failed) = self.settle(|queue, settlement| queue.stored(batch, now, settlement));
        if let Some(rest) = rest {
            rest.recycle(&self.log);
        }
        failed
    }

    /// The error of messages that were overtaken.
    pub(crate) fn overtaken(&self) -> Error {
        overtaken().with_topic(self.topic.clone()).with_partition(self.index)
    }

    /// The error of messages that a broker may have stored before it lost track of this producer.
    pub(crate) fn lost_track(&self) -> Error {
        lost_track().with_topic(self.topic.clone()).with_partition(self.index)
    }

    /// The time of appending, where the topic uses it. To a batch that it had stored already a broker answers the time at
    /// which it did so, whatever the topic uses.
    fn trusted(&self, append_time: Option<i64>, in_doubt: bool) -> Option<i64> {
        if !in_doubt {
            self.uses_append_time.store(append_time.is_some(), Ordering::Relaxed);
        }
        append_time.filter(|_| self.uses_append_time.load(Ordering::Relaxed))
    }

    /// The broker may know less of this producer than it acknowledged: one batch is sent at a time until it acknowledges
    /// another.
    #[allow(dead_code, reason = "for whoever learns that a broker lost its state")]
    pub(crate) fn broker_may_have_forgotten(&self) {
        self.queue.lock().broker_may_have_forgotten();
    }

    /// Another topic of the same name is in the place of the one that was known: sequence numbers start again under a
    /// higher epoch, one batch at a time, and late copies of what was sent to the former topic are fenced.
    pub(crate) fn topic_recreated(&self) -> Failed {
        self.settle(|queue, settlement| queue.topic_recreated(settlement)).1
    }

    /// Another cluster answers. The producer id is somebody else's there: nothing more is sent under it, messages that may
    /// be stored in the former cluster fail with `error`, and all others are sent under the next id that is adopted.
    ///
    /// Call [`Identities::retire`](crate::sender::Identities::retire) first, so that the next id is a new one.
    pub(crate) fn cluster_changed(&self, error: &Error) -> Failed {
        self.settle(|queue, settlement| queue.cluster_changed(error, settlement)).1
    }

    /// The producer id and epoch of what is sent from here; who comes after this partition has to begin above it.
    pub(crate) fn producer_id(&self) -> Option<ProducerId> {
        self.queue.lock().producer_id()
    }

    /// A batch is about to be written. Returns `false` where it has to be [called back](Self::recalled) instead.
    pub(crate) fn depart(&self, batch: &Batch) -> bool {
        self.queue.lock().depart(batch)
    }

    /// A batch was not written.
    pub(crate) fn recalled(&self, batch: Arc<Batch>) -> Failed {
        self.settle(|queue, settlement| queue.recalled(batch, settlement)).1
    }

    pub(crate) fn failed(&self, batch: Arc<Batch>, verdict: &Verdict) -> Failed {
        self.settle(|queue, settlement| queue.failed(batch, verdict, settlement)).1
    }

    pub(crate) fn retry(&self, batch: Arc<Batch>, verdict: &Verdict, at: Instant) -> Failed {
        self.settle(|queue, settlement| queue.retry(batch, verdict, at, settlement)).1
    }

    pub(crate) fn out_of_sequence(
        &self,
        batch: Arc<Batch>,
        verdict: &Verdict,
        fenced: bool,
        at: Instant,
    ) -> Failed {
        self.settle(|queue, settlement| queue.out_of_sequence(batch, verdict, fenced, at, settlement)).1
    }

    pub(crate) fn divide(&self, batch: Arc<Batch>, verdict: &Verdict) -> Failed {
        self.settle(|queue, settlement| queue.divide(batch, verdict, settlement)).1
    }

    pub(crate) fn drop_records(
        &self,
        batch: Arc<Batch>,
        verdict: &Verdict,
        at: Option<Instant>,
        bad: Vec<(usize, Error)>,
    ) -> Failed {
        self.settle(|queue, settlement| queue.drop_records(batch, verdict, at, bad, settlement)).1
    }

    /// Settles the messages whose time is over, wherever they are: anyone may call it.
    pub(crate) fn expire(&self, now: Instant, error: &Error) -> Failed {
        self.settle(|queue, settlement| queue.expire(now, error, settlement)).1
    }

    /// When [`expire`](Self::expire) has to be called, if that is sooner than was last said.
    pub(crate) fn alarm(&self) -> Option<Instant> {
        self.queue.lock().alarm()
    }

    /// What [`alarm`](Self::alarm) said is forgotten.
    pub(crate) fn disarm(&self) {
        self.queue.lock().disarm();
    }

    /// Whether this is the first call for `request`: one request holds one batch of a partition.
    pub(crate) fn enter(&self, request: u64) -> bool {
        self.request.swap(request, Ordering::Relaxed) != request
    }

    pub(crate) fn withdraw(&self, completion: &Arc<Completion>, index: u32, error: &Error) -> Option<Failed> {
        let (withdrawn, failed) =
            self.settle(|queue, settlement| queue.withdraw(completion, index, error, settlement));
        withdrawn.then_some(failed)
    }

    pub(crate) fn fail_waiting(&self, error: &Error) -> Failed {
        self.settle(|queue, settlement| queue.fail_waiting(error, settlement)).1
    }

    /// Nothing is sent from here any more: what waits fails with `error`, and so does what comes back unstored.
    pub(crate) fn abandon(&self, error: &Error) -> Failed {
        self.settle(|queue, settlement| queue.abandon(error, settlement)).1
    }

    /// Whether something that waits should have been expired before `then`.
    pub(crate) fn is_overdue(&self, then: Instant) -> bool {
        self.queue.lock().is_overdue(then)
    }

    /// Wakes whoever waits for a batch of this partition, so that they look around.
    pub(crate) fn wake(&self) {
        let unsettled = self.queue.lock().unsettled();
        let mut woken = Woken::default();
        unsettled.iter().for_each(|completion| completion.waiting(&mut woken));
        woken.wake(&self.log);
    }

    pub(crate) fn seal(&self) -> Vec<Arc<Completion>> {
        self.queue.lock().seal()
    }

    pub(crate) fn close(&self) {
        self.queue.lock().close();
    }

    /// Another broker leads: what waits out a failure need not wait longer.
    pub(crate) fn leader_changed(&self) {
        self.queue.lock().leader_changed();
    }

    /// How many batches were taken, and how many stored.
    pub(crate) fn progress(&self) -> (u64, u64) {
        self.queue.lock().progress()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.queue.lock().is_idle()
    }

    /// Bytes that wait to be sent, for the partitioner of keyless messages.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queue.lock().queued_bytes()
    }
}
