//! The batches of one partition: accepted, in flight, to be sent again.
//!
//! Pure: the time is a parameter, and nothing here waits. The order of acceptance is kept through every
//! failure: when a batch fails, the partition is *muted* until its batches in flight have been answered; then
//! those that failed go out again, in order, before anything newer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::batch::{Arrival, Batch, Order, Verdict};
use super::buffer::Buffer;
use super::completion::Completion;
use super::failed::Failed;
use super::receipt::Receipt;
use super::sequencer::{ProducerId, Sequencer};
use crate::error::Error;
use crate::record::{Records, Room, Sequence};

/// The settings that decide when a batch may go.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) idempotent: bool,
    /// Batches of one partition in flight at the same time.
    pub(crate) max_in_flight: usize,
    pub(crate) linger: Duration,
    /// From acceptance to acknowledgement.
    pub(crate) delivery: Duration,
    pub(crate) max_batch_bytes: usize,
}

/// When the next batch may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Nothing waits.
    Empty,
    /// Not before a batch in flight is answered.
    Muted,
    /// Not before this time, after a failure.
    RetryAt(Instant),
    /// At once if nothing is in flight to the broker, else when this time has come.
    LingersUntil(Instant),
    /// At once.
    Now,
}

/// What [`Queue::take`] found.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it nearly always is a batch, and is taken apart at once")]
pub(crate) enum Take {
    Batch(Batch),
    NotYet(Readiness),
    /// A producer id is needed first, another than this one.
    NeedsId(Option<i64>),
}

/// What [`Queue::append`] did.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) receipt: Receipt,
    /// The partition's lane has to look at it again.
    pub(crate) wake: bool,
    /// A batch became full by it.
    pub(crate) sealed: bool,
}

#[derive(Debug)]
struct InFlight {
    order: Order,
    completion: Arc<Completion>,
    /// An earlier attempt of it may have been stored.
    in_doubt: bool,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Batch>,
    /// The last of `waiting` takes more records.
    open: bool,
    resend: VecDeque<Batch>,
    in_flight: Vec<InFlight>,
    muted: bool,
    retry_at: Option<Instant>,
    sequencer: Sequencer,
    ordinal: u64,
    closed: bool,
    /// Why nothing is sent any more.
    abandoned: Option<Error>,
    /// When someone was told to call `expire`.
    alarm: Option<Instant>,
    /// What the last batch took: so much is made room for at once.
    room: Room,
}

impl Queue {
    /// Appends a message to the open batch, or opens one. Its room in the buffers is taken already. `None` where
    /// nothing is taken any more.
    #[inline(always)]
    pub(super) fn append(
        &mut self,
        arrival: &Arrival<'_>,
        policy: &Policy,
        open: impl FnOnce() -> (Arc<Completion>, [Option<Arc<Buffer>>; 2], i64),
    ) -> Option<Appended> {
        if self.closed {
            return None;
        }
        let had_open = self.open;
        if let (true, Some(last)) = (self.open, self.waiting.back_mut()) {
            let expires = last.expires;
            if let Some(receipt) = last.push(arrival, policy.delivery, policy.max_batch_bytes) {
                return Some(Appended { receipt, wake: last.expires < expires, sealed: false });
            }
            self.room = last.records().room();
        }
        let (completion, buffers, wall) = open();
        let mut batch = Batch::open(completion, buffers, arrival.now, wall, Records::with_room(self.room));
        let receipt = batch.push(arrival, policy.delivery, policy.max_batch_bytes)?;
        self.waiting.push_back(batch);
        self.open = true;
        Some(Appended { receipt, wake: true, sealed: had_open })
    }

    pub(super) fn readiness(&self, now: Instant, policy: &Policy) -> Readiness {
        if self.waiting.is_empty() && self.resend.is_empty() {
            return Readiness::Empty;
        }
        let alone = policy.idempotent && !self.sequencer.may_pipeline();
        let most = if alone { 1 } else { policy.max_in_flight };
        if self.muted || self.in_flight.len() >= most {
            return Readiness::Muted;
        }
        // The broker recognises only the last five batches: one in doubt goes alone, and nothing passes it.
        if self.in_flight.iter().any(|batch| batch.in_doubt)
            || (self.front_in_doubt() && !self.in_flight.is_empty())
        {
            return Readiness::Muted;
        }
        if let Some(at) = self.retry_at.filter(|at| *at > now) {
            return Readiness::RetryAt(at);
        }
        if self.sequencer.must_restart() && !self.front_in_doubt() {
            return Readiness::Muted;
        }
        if !self.resend.is_empty() {
            return Readiness::Now;
        }
        match self.waiting.front() {
            Some(only) if self.open && self.waiting.len() == 1 => {
                Readiness::LingersUntil(only.opened + policy.linger)
            }
            _ => Readiness::Now,
        }
    }

    /// Takes the next batch if it may go. `idle`: nothing is in flight to its broker, so nothing lingers.
    pub(super) fn take(&mut self, now: Instant, idle: bool, policy: &Policy) -> Take {
        match self.readiness(now, policy) {
            Readiness::Now => {}
            Readiness::LingersUntil(until) if idle || until <= now => {}
            other => return Take::NotYet(other),
        }
        if policy.idempotent {
            if let Err(spent) = self.sequencer.needs() {
                return Take::NeedsId(spent);
            }
        }
        self.retry_at = None;
        let Some(mut batch) = self.resend.pop_front().or_else(|| self.pop_waiting()) else {
            return Take::NotYet(Readiness::Empty);
        };
        if batch.ordinal == 0 {
            self.ordinal += 1;
            batch.ordinal = self.ordinal;
        }
        if policy.idempotent && batch.sequence.is_none() {
            batch.sequence = self.sequencer.assign(batch.len());
        }
        batch.attempts += 1;
        self.in_flight.push(InFlight {
            order: batch.order(),
            completion: batch.completion().clone(),
            in_doubt: batch.in_doubt,
        });
        Take::Batch(batch)
    }

    /// Bytes of the batch that [`take`](Self::take) would return.
    pub(super) fn front_bytes(&self) -> usize {
        let front = self.resend.front().or_else(|| self.waiting.front());
        front.map_or(0, Batch::wire_bytes)
    }

    fn pop_waiting(&mut self) -> Option<Batch> {
        let batch = self.waiting.pop_front();
        if self.waiting.is_empty() {
            if let (true, Some(batch)) = (self.open, &batch) {
                self.room = batch.records().room();
            }
            self.open = false;
        }
        batch
    }

    pub(super) fn adopt(&mut self, id: ProducerId) {
        self.sequencer.adopt(id);
    }

    /// A batch in flight is stored.
    pub(super) fn stored(&mut self, order: Order, sequence: Option<Sequence>) {
        self.landed(order);
        if let Some(sequence) = sequence {
            self.sequencer.stored(sequence);
        }
        self.after_landing();
    }

    /// A batch in flight is given up.
    pub(super) fn failed(&mut self, mut batch: Batch, verdict: Verdict) -> Failed {
        self.landed(batch.order());
        batch.note(&verdict);
        let failed = self.give_up(batch, verdict.error);
        self.after_landing();
        failed
    }

    /// A batch in flight is to be sent again at `at`, under the sequence that it has.
    pub(super) fn retry(&mut self, mut batch: Batch, verdict: &Verdict, at: Instant) -> Failed {
        self.landed(batch.order());
        batch.note(verdict);
        let failed = self.send_again(batch, Some(at));
        self.after_landing();
        failed
    }

    /// The broker refused a batch in flight because of its sequence: it is certainly not stored.
    ///
    /// Behind a batch that is itself unsettled that is only to be expected, and the sequence will do. Else the
    /// broker lost track, and numbers start again.
    pub(super) fn out_of_sequence(
        &mut self,
        mut batch: Batch,
        verdict: &Verdict,
        fenced: bool,
        at: Instant,
    ) -> Failed {
        self.landed(batch.order());
        batch.note(verdict);
        batch.in_doubt = false;
        let order = batch.order();
        let behind = self.resend.front().is_some_and(|b| b.order() < order)
            || self.in_flight.iter().any(|f| f.order < order);
        if fenced {
            self.sequencer.fenced();
        } else if !behind {
            self.sequencer.broken();
        }
        let failed = self.send_again(batch, Some(at));
        self.after_landing();
        failed
    }

    /// The broker found a batch in flight too large: its halves are sent instead. A single record is given up.
    pub(super) fn divide(&mut self, mut batch: Batch, verdict: &Verdict) -> Failed {
        self.landed(batch.order());
        batch.note(verdict);
        self.unsequence(&mut batch);
        let failed = match batch.divide() {
            Ok((left, right)) => {
                let mut failed = self.send_again(left, None);
                failed += self.send_again(right, None);
                failed
            }
            Err(batch) => batch.fail(verdict.error.clone()),
        };
        self.after_landing();
        failed
    }

    /// Some records of a batch in flight were refused, and with them the batch: those for which `error_of` has
    /// an error are given up, the others are sent again. Returns how many were given up.
    pub(super) fn drop_records(
        &mut self,
        mut batch: Batch,
        verdict: &Verdict,
        error_of: impl Fn(usize) -> Option<Error>,
    ) -> Failed {
        self.landed(batch.order());
        batch.note(verdict);
        self.unsequence(&mut batch);
        let bad = (0..batch.len()).filter_map(|position| Some((error_of(position)?, vec![position])));
        let mut failed = batch.fail_some(bad.collect());
        if !batch.is_empty() {
            failed += self.send_again(batch, None);
        }
        self.after_landing();
        failed
    }

    /// Settles what waits longer than it may.
    pub(super) fn expire(&mut self, now: Instant, error: &Error) -> Failed {
        self.alarm = None;
        let mut expired = Failed::default();
        for batch in &mut self.waiting {
            let error = because(error, batch.last_error());
            expired += batch.expire(now, &error);
        }
        // Receipts are numbered by position: a batch that lost a record takes no more.
        self.open &= expired.total() == 0;
        self.waiting.retain(|batch| !batch.is_empty());
        for mut batch in std::mem::take(&mut self.resend) {
            if batch.expires > now {
                self.resend.push_back(batch);
                continue;
            }
            let error = because(error, batch.last_error());
            if batch.is_over(now) {
                expired += self.give_up(batch, error);
            } else if !batch.in_doubt {
                self.unsequence(&mut batch);
                expired += batch.expire(now, &error);
                self.resend.push_back(batch);
            } else {
                // It may be stored as it was sent, and is only recognised if it is sent like that again.
                let (settled, next) =
                    batch.settle_expired(batch.expires - Duration::from_millis(1), now, &error);
                batch.expires = next;
                expired += settled;
                self.resend.push_back(batch);
            }
        }
        self.after_landing();
        expired
    }

    /// When the first record that waits is given up, if that is sooner than was last said.
    pub(super) fn alarm(&mut self) -> Option<Instant> {
        let next = self.waiting.iter().chain(&self.resend).map(|batch| batch.expires).min()?;
        if self.alarm.is_some_and(|alarm| alarm <= next) {
            return None;
        }
        self.alarm = Some(next);
        self.alarm
    }

    pub(super) fn disarm(&mut self) {
        self.alarm = None;
    }

    /// Takes out a record that is certainly not stored, and not on its way, and settles it with `error`.
    pub(super) fn withdraw(
        &mut self,
        completion: &Arc<Completion>,
        index: u32,
        error: &Error,
    ) -> Option<Failed> {
        let newest = self.waiting.len().wrapping_sub(1);
        for (at, batch) in self.waiting.iter_mut().enumerate() {
            let Some(failed) = batch.withdraw(completion, index, error) else {
                continue;
            };
            // Receipts are numbered by position: a batch that lost a record takes no more.
            self.open &= at != newest;
            if batch.is_empty() {
                self.waiting.remove(at);
            }
            return Some(failed);
        }
        let certain = |batch: &Batch| !batch.in_doubt && Arc::ptr_eq(batch.completion(), completion);
        for at in 0..self.resend.len() {
            if !certain(&self.resend[at]) {
                continue;
            }
            let order = self.resend[at].order();
            let Some(failed) = self.resend[at].withdraw(completion, index, error) else {
                continue;
            };
            if self.resend[at].sequence.take().is_some() {
                self.break_behind(order, true);
            }
            self.resend.retain(|batch| !batch.is_empty());
            self.after_landing();
            return Some(failed);
        }
        None
    }

    /// Settles everything that is not in flight with `error`.
    pub(super) fn fail_waiting(&mut self, error: &Error) -> Failed {
        let waiting = std::mem::take(&mut self.waiting);
        let resend = std::mem::take(&mut self.resend);
        self.open = false;
        let mut failed = Failed::default();
        for batch in resend.into_iter().chain(waiting) {
            let error = because(error, batch.last_error());
            failed += self.give_up(batch, error);
        }
        self.after_landing();
        failed
    }

    /// Nothing is sent from here any more: what waits fails with `error`, and so does what comes back unstored.
    pub(super) fn abandon(&mut self, error: &Error) -> Failed {
        self.closed = true;
        self.abandoned = Some(error.clone());
        self.fail_waiting(error)
    }

    /// Nothing more joins the batches that are here; what they and those in flight wait for.
    pub(super) fn seal(&mut self) -> Vec<Arc<Completion>> {
        self.open = false;
        let here = self.waiting.iter().chain(&self.resend).map(Batch::completion);
        here.chain(self.in_flight.iter().map(|f| &f.completion)).cloned().collect()
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn leader_changed(&mut self) {
        self.retry_at = None;
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.resend.is_empty() && self.in_flight.is_empty()
    }

    pub(super) fn queued_bytes(&self) -> usize {
        self.waiting.iter().map(Batch::wire_bytes).sum()
    }

    /// `at`: not before this time, if any.
    fn send_again(&mut self, batch: Batch, at: Option<Instant>) -> Failed {
        if let Some(error) = &self.abandoned {
            let error = because(error, batch.last_error());
            return self.give_up(batch, error);
        }
        let place = self.resend.partition_point(|other| other.order() < batch.order());
        self.resend.insert(place, batch);
        self.muted = true;
        self.retry_at = at.or(self.retry_at);
        Failed::default()
    }

    fn give_up(&mut self, mut batch: Batch, error: Error) -> Failed {
        self.unsequence(&mut batch);
        batch.fail(error)
    }

    /// A batch will not be stored as it was sent.
    fn unsequence(&mut self, batch: &mut Batch) {
        if batch.sequence.take().is_some() {
            self.break_behind(batch.order(), !batch.in_doubt);
            self.muted = true;
        }
        batch.in_doubt = false;
    }

    /// The batch at `order` leaves a gap in the sequence. If it is certainly not stored, neither is what was sent behind
    /// it; what was sent *ahead* of it may be.
    fn break_behind(&mut self, order: Order, certain: bool) {
        self.sequencer.broken();
        for batch in self.resend.iter_mut().filter(|batch| certain && batch.order() > order) {
            batch.sequence = None;
            batch.in_doubt = false;
        }
    }

    fn landed(&mut self, order: Order) {
        if let Some(at) = self.in_flight.iter().position(|f| f.order == order) {
            self.in_flight.remove(at);
        }
    }

    /// Once nothing is in flight, what failed may go again; numbers start again where they have to.
    fn after_landing(&mut self) {
        if !self.in_flight.is_empty() {
            return;
        }
        self.muted = false;
        if self.sequencer.must_restart() && !self.front_in_doubt() {
            // The first of them is certainly not stored, so neither are those behind it.
            for batch in &mut self.resend {
                batch.sequence = None;
                batch.in_doubt = false;
            }
            self.sequencer.start_again();
        }
    }

    fn front_in_doubt(&self) -> bool {
        self.resend.front().is_some_and(|batch| batch.in_doubt)
    }
}

/// `error`, with what went wrong before as its cause.
fn because(error: &Error, last: Option<&Error>) -> Error {
    match last {
        Some(last) => error.clone().with_source(last.clone()),
        None => error.clone(),
    }
}
