//! The batches of one partition: accepted, in flight, to be sent again.
//!
//! Pure: the time is a parameter, and nothing here waits. The order of acceptance is kept through every
//! failure: when a batch fails, the partition is *muted* until its batches in flight have been answered; then
//! those that failed go out again, in order, before anything newer.

mod answers;
mod deadlines;
mod failing;
mod growth;
mod in_flight;
#[cfg(test)]
mod model;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub(crate) use self::answers::{lost_track, overtaken};
use self::failing::because;
use self::growth::Growth;
use self::in_flight::InFlight;
use super::batch::{Accepted, Arrival, Batch, Order};
use super::budget::Budget;
use super::completion::Completion;
use super::sequencer::Sequencer;
use super::waiters::Settlement;
use crate::clock::{earliest, later};
use crate::error::Error;
use crate::record::{ProducerId, Room};
use crate::telemetry::Part;

/// The settings that decide when a batch may go.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) idempotent: bool,
    /// Batches of one partition in flight at the same time.
    pub(crate) max_in_flight: usize,
    pub(crate) linger: Duration,
    /// From acceptance to acknowledgement.
    pub(crate) delivery: Duration,
    /// Bytes at which a batch is full. One that shrinks may hold more while it cannot be sent.
    pub(crate) max_batch_bytes: usize,
    /// Time after which an attempt has ended in any case.
    pub(crate) longest_attempt: Duration,
    /// Batches are encoded before their request leaves, and can be called back until then.
    pub(crate) encodes_first: bool,
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
pub(crate) enum Take {
    Batch(Arc<Batch>),
    NotYet(Readiness),
    /// A producer id is needed first, another than this one.
    NeedsId(Option<i64>),
}

/// What a queue holds, for explanations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    pub(crate) messages: usize,
    /// Bytes of the buffer that they take.
    pub(crate) bytes: usize,
    /// When the oldest batch was opened.
    pub(crate) oldest: Option<Instant>,
}

/// What [`Queue::append`] did.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) accepted: Accepted,
    /// The broker's task has to look at the partition again.
    pub(crate) wake: bool,
    /// A batch became full by it.
    pub(crate) sealed: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Batch>,
    /// The last of `waiting` takes more records.
    open: bool,
    /// Batches in the middle of `waiting` of which nothing is left.
    emptied: usize,
    /// Empty batches that came to the front. Dropping them may run user code.
    garbage: Vec<Batch>,
    /// Batches that were opened.
    serial: u64,
    resend: VecDeque<Batch>,
    in_flight: Vec<InFlight>,
    muted: bool,
    retry_at: Option<Instant>,
    sequencer: Sequencer,
    ordinal: u64,
    /// Batches that were stored.
    stored: u64,
    closed: bool,
    /// Why nothing is sent any more.
    abandoned: Option<Error>,
    /// The broker may have stored batches without those before them. Ends when numbers start again.
    lost_track: bool,
    /// A producer id of another cluster, and why what is in doubt under it fails.
    foreign: Option<(i64, Error)>,
    /// The newest batch that is stored, and its offset.
    newest_stored: Option<(Order, Option<i64>)>,
    /// When `expire` has to be called, as reported by `alarm`.
    alarm: Option<Instant>,
    /// What the last batch took: so much is made room for at once.
    room: Room,
    growth: Growth,
    /// Counts the messages that were accepted.
    accepted: Part,
}

impl Queue {
    pub(crate) fn new(accepted: Part) -> Self {
        Self { accepted, ..Self::default() }
    }

    /// Appends a message to the open batch, or opens one. Its room in the budget is taken already. `None` where
    /// nothing is taken any more.
    #[inline]
    pub(crate) fn append(
        &mut self,
        arrival: &Arrival<'_>,
        policy: &Policy,
        open: impl FnOnce(u64) -> (Arc<Completion>, Budget, i64),
    ) -> Option<Appended> {
        if self.closed {
            return None;
        }
        let had_open = self.open;
        if let (true, Some(last)) = (self.open, self.waiting.back_mut()) {
            let (expires, had_outgrown) = (last.expires, last.outgrows(policy.max_batch_bytes));
            let most = policy.max_batch_bytes + self.growth.beyond();
            if let Some(accepted) = last.push(arrival, policy.delivery, most) {
                self.accepted.add(1);
                let sealed = !had_outgrown && last.outgrows(policy.max_batch_bytes);
                return Some(Appended { accepted, wake: sealed || last.expires < expires, sealed });
            }
            self.room = self.growth.room(&last.records, policy.max_batch_bytes);
        }
        self.serial += 1;
        let (completion, budget, wall) = open(self.serial);
        let records = budget.records(self.room);
        let mut batch = Batch::open(completion, budget, arrival.now, wall, records);
        let accepted = batch.push(arrival, policy.delivery, policy.max_batch_bytes)?;
        self.accepted.add(1);
        self.waiting.push_back(batch);
        self.open = true;
        Some(Appended { accepted, wake: true, sealed: had_open })
    }

    /// What the messages of the newest batch wait for.
    #[inline]
    pub(crate) fn newest(&self) -> Option<&Arc<Completion>> {
        self.waiting.back().map(|batch| &batch.completion)
    }

    pub(crate) fn readiness(&self, now: Instant, policy: &Policy) -> Readiness {
        if !self.waits() {
            return Readiness::Empty;
        }
        let alone = policy.idempotent && !self.sequencer.may_pipeline(now);
        let most = if alone { 1 } else { policy.max_in_flight };
        if self.muted || self.in_flight.len() >= most {
            return Readiness::Muted;
        }
        // The broker recognises only the last five batches: one in doubt goes alone, and nothing passes it.
        if self.in_flight.iter().any(|flight| flight.batch.in_doubt)
            || (self.front_in_doubt() && !self.in_flight.is_empty())
        {
            return Readiness::Muted;
        }
        if let Some(at) = self.retry_at.filter(|at| *at > now) {
            return Readiness::RetryAt(at);
        }
        if self.sequencer.restart && !self.front_in_doubt() {
            return Readiness::Muted;
        }
        if !self.resend.is_empty() {
            return Readiness::Now;
        }
        match self.waiting.front() {
            Some(only) if self.open && self.waiting.len() == 1 && !only.outgrows(policy.max_batch_bytes) => {
                Readiness::LingersUntil(later(only.opened, policy.linger))
            }
            _ => Readiness::Now,
        }
    }

    /// Takes the next batch if it may go. `idle`: nothing is in flight to its broker, so nothing lingers.
    pub(crate) fn take(&mut self, now: Instant, idle: bool, policy: &Policy) -> Take {
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
        let Some(mut batch) = self.resend.pop_front().or_else(|| self.pop_waiting(policy)) else {
            return Take::NotYet(Readiness::Empty);
        };
        batch.take_out_called_off();
        if batch.ordinal == 0 {
            self.ordinal += 1;
            batch.ordinal = self.ordinal;
        }
        if policy.idempotent && batch.sequence.is_none() {
            batch.sequence = self.sequencer.assign(batch.records.len());
        }
        batch.attempts += 1;
        let batch = Arc::new(batch);
        self.in_flight.push(InFlight::new(batch.clone(), now, policy));
        Take::Batch(batch)
    }

    /// Bytes that the batch which [`take`](Self::take) would return is expected to take on the wire.
    pub(crate) fn front_bytes(&self) -> usize {
        let front = self.resend.front().or_else(|| self.waiting.front());
        front.map_or(0, |batch| self.expected_bytes(batch))
    }

    /// Bytes that a batch is expected to take on the wire.
    pub(crate) fn expected_bytes(&self, batch: &Batch) -> usize {
        self.growth.on_wire(batch.records.wire_bytes())
    }

    fn pop_waiting(&mut self, policy: &Policy) -> Option<Batch> {
        let batch = self.waiting.pop_front();
        while self.waiting.front().is_some_and(|batch| batch.records.is_empty()) {
            self.garbage.extend(self.waiting.pop_front());
            self.emptied = self.emptied.saturating_sub(1);
        }
        if self.waiting.is_empty() {
            if let (true, Some(batch)) = (self.open, &batch) {
                self.room = self.growth.room(&batch.records, policy.max_batch_bytes);
            }
            self.open = false;
        }
        batch
    }

    pub(crate) fn adopt(&mut self, id: ProducerId) {
        self.sequencer.adopt(id);
    }

    /// Nothing more joins the batches that are here; what they and those in flight wait for.
    pub(crate) fn seal(&mut self) -> Vec<Arc<Completion>> {
        self.open = false;
        self.unsettled()
    }

    /// What the batches that are here and those in flight wait for.
    pub(crate) fn unsettled(&self) -> Vec<Arc<Completion>> {
        let here = self.waiting.iter().chain(&self.resend).map(|batch| &batch.completion);
        here.chain(self.in_flight.iter().map(|flight| &flight.batch.completion)).cloned().collect()
    }

    /// Accepts nothing any more. What is here is still sent.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// Another broker leads: what waits after a failure need not wait longer.
    pub(crate) fn leader_changed(&mut self) {
        self.retry_at = None;
        self.sequencer.broker_may_have_forgotten();
    }

    /// The producer id and epoch of what is sent from here; a queue that takes the place of this one has to begin above.
    pub(crate) fn producer_id(&self) -> Option<ProducerId> {
        self.sequencer.current
    }

    /// Where a queue that takes the place of this one goes on: `Some` while late copies of what failed here may still be
    /// on their way, and nothing fences them yet.
    pub(crate) fn successor(&self) -> Option<Sequencer> {
        self.sequencer.successor()
    }

    /// Goes on where the queue ended whose place this one takes.
    pub(crate) fn follow(&mut self, successor: Sequencer) {
        self.sequencer = successor;
    }

    /// The broker has a higher epoch for the present producer id, or says so. `in_doubt`: an earlier attempt of the batch that
    /// it refused may still be on its way.
    pub(crate) fn fenced(&mut self, in_doubt: bool) {
        if in_doubt {
            self.sequencer.left_in_doubt();
        }
        self.sequencer.fenced();
    }

    /// Another topic of the same name took the place of the one that was known: sequence numbers start again under a
    /// higher epoch, one batch at a time, and late copies of what was sent to the former topic are fenced.
    pub(crate) fn topic_recreated(&mut self, settlement: &mut Settlement<'_>) {
        self.lost_track = true;
        self.sequencer.broker_may_have_forgotten();
        self.sequencer.broken();
        // What is not written yet is called back.
        self.muted = true;
        self.fail_overtaken(settlement);
        self.after_answer(settlement);
    }

    /// How many batches were taken, and how many stored.
    pub(crate) fn progress(&self) -> (u64, u64) {
        (self.ordinal, self.stored)
    }

    /// Whether anything is to be sent.
    pub(crate) fn waits(&self) -> bool {
        !self.waiting.is_empty() || !self.resend.is_empty()
    }

    pub(crate) fn is_idle(&self) -> bool {
        !self.waits() && self.in_flight.is_empty()
    }

    /// What is here and not settled.
    pub(crate) fn load(&self) -> Load {
        let here = self.waiting.iter().chain(&self.resend);
        let batches = here.chain(self.in_flight.iter().map(|flight| &*flight.batch));
        let mut load = Load::default();
        for batch in batches.filter(|batch| !batch.records.is_empty()) {
            load.messages += batch.records.len();
            load.bytes += batch.footprint;
            load.oldest = earliest(load.oldest, Some(batch.opened));
        }
        load
    }

    /// Attempts of the batch that is sent again next, and why the last one failed. While others are in flight it waits
    /// for those first.
    pub(crate) fn failed_attempt(&self) -> Option<(u32, Error)> {
        let batch = self.resend.front().filter(|_| self.in_flight.is_empty())?;
        batch.last.as_ref().map(|error| (batch.attempts, error.clone()))
    }

    /// Why the last attempt failed of the batch that this completion belongs to.
    pub(crate) fn last_error(&self, completion: &Arc<Completion>) -> Option<Error> {
        let waiting = self.resend.iter().map(|batch| (&batch.completion, batch.last.as_ref()));
        let in_flight =
            self.in_flight.iter().map(|flight| (&flight.batch.completion, flight.batch.last.as_ref()));
        let mut mine = waiting.chain(in_flight).filter(|(of, _)| Arc::ptr_eq(of, completion));
        mine.find_map(|(_, last)| last).cloned()
    }

    /// Bytes that wait to be sent, for the partitioner of keyless messages.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.waiting.iter().map(|batch| batch.records.wire_bytes()).sum()
    }

    fn front_in_doubt(&self) -> bool {
        self.resend.front().is_some_and(|batch| batch.in_doubt)
    }
}
