//! What comes back of the batches in flight.

use tokio::time::Instant;

use super::{Batch, Order, Queue, Sequence, Verdict, because};
use crate::accumulator::failed::Failed;
use crate::error::{Error, ErrorKind};

impl Queue {
    /// A batch in flight is stored.
    ///
    /// What stands before it and is certainly not stored was overtaken: the broker took this batch without knowing what
    /// comes before it. It fails, since it could only be stored behind newer messages.
    pub(in crate::accumulator) fn stored(
        &mut self,
        order: Order,
        sequence: Option<Sequence>,
        now: Instant,
    ) -> Failed {
        self.stored += 1;
        self.landed(order);
        if let Some(sequence) = sequence {
            self.sequencer.stored(sequence, now);
        }
        self.newest_stored = self.newest_stored.max(Some(order));
        let mut failed = Failed::default();
        for batch in std::mem::take(&mut self.resend) {
            if self.is_overtaken(&batch) {
                let error = because(&overtaken(), batch.last_error());
                failed += self.give_up(batch, error);
            } else {
                self.resend.push_back(batch);
            }
        }
        self.after_landing();
        failed
    }

    fn is_overtaken(&self, batch: &Batch) -> bool {
        !batch.in_doubt && Some(batch.order()) < self.newest_stored
    }

    /// Another cluster answers, where the present producer id belongs to somebody else: what may be stored in the former
    /// cluster fails with `error`, and all else waits for a new id.
    pub(in crate::accumulator) fn cluster_changed(&mut self, error: &Error) -> Failed {
        if let Some(current) = self.sequencer.current() {
            self.foreign = Some((current.id, error.clone()));
        }
        self.sequencer.spend();
        self.newest_stored = None;
        let mut failed = Failed::default();
        for batch in std::mem::take(&mut self.resend) {
            failed += self.send_again(batch, None);
        }
        self.after_landing();
        failed
    }

    /// Why `batch` cannot be sent again.
    fn refusal(&self, batch: &Batch) -> Option<Error> {
        if self.abandoned.is_some() {
            return self.abandoned.clone();
        }
        if self.is_overtaken(batch) {
            return Some(overtaken());
        }
        let (foreign, error) = self.foreign.as_ref()?;
        let of_foreign = batch.sequence.is_some_and(|sequence| sequence.producer_id == *foreign);
        (batch.in_doubt && of_foreign).then(|| error.clone())
    }

    /// A batch in flight is given up.
    pub(in crate::accumulator) fn failed(&mut self, mut batch: Batch, verdict: Verdict) -> Failed {
        self.landed(batch.order());
        batch.note(&verdict);
        let failed = self.give_up(batch, verdict.error);
        self.after_landing();
        failed
    }

    /// A batch in flight is to be sent again at `at`, under the sequence that it has.
    pub(in crate::accumulator) fn retry(
        &mut self,
        mut batch: Batch,
        verdict: &Verdict,
        at: Instant,
    ) -> Failed {
        self.landed(batch.order());
        batch.note(verdict);
        self.sequencer.broker_may_have_forgotten();
        let failed = self.send_again(batch, Some(at));
        self.after_landing();
        failed
    }

    /// The broker refused a batch in flight because of its sequence: it is certainly not stored.
    ///
    /// Behind a batch that is itself unsettled that is only to be expected, and the sequence will do. Else the
    /// broker lost track, and numbers start again.
    pub(in crate::accumulator) fn out_of_sequence(
        &mut self,
        mut batch: Batch,
        verdict: &Verdict,
        fenced: bool,
        at: Instant,
    ) -> Failed {
        self.landed(batch.order());
        batch.note(verdict);
        batch.in_doubt = false;
        self.sequencer.broker_may_have_forgotten();
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
    pub(in crate::accumulator) fn divide(&mut self, mut batch: Batch, verdict: &Verdict) -> Failed {
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
    pub(in crate::accumulator) fn drop_records(
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

    pub(super) fn landed(&mut self, order: Order) {
        if let Some(at) = self.in_flight.iter().position(|f| f.order == order) {
            self.in_flight.remove(at);
        }
    }

    /// Once nothing is in flight, what failed may go again; numbers start again where they have to.
    pub(super) fn after_landing(&mut self) {
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

    /// `at`: not before this time, if any.
    pub(super) fn send_again(&mut self, batch: Batch, at: Option<Instant>) -> Failed {
        if let Some(error) = self.refusal(&batch) {
            let error = because(&error, batch.last_error());
            return self.give_up(batch, error);
        }
        let place = self.resend.partition_point(|other| other.order() < batch.order());
        self.resend.insert(place, batch);
        self.muted = true;
        self.retry_at = at.or(self.retry_at);
        Failed::default()
    }
}

fn overtaken() -> Error {
    Error::new(
        ErrorKind::SequenceLost,
        "newer messages were stored first, since the broker had lost track of this producer (the topic was created again, \
         or its log was truncated): stored now, it would stand out of order",
    )
}
