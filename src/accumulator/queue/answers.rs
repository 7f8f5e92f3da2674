//! What comes back of the batches in flight.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Batch, Order, Policy, Queue, because};
use crate::accumulator::waiters::Settlement;
use crate::error::{Error, ErrorKind};

impl Queue {
    /// A batch in flight is about to be written. Returns `false` if it is called back: something in it was called off,
    /// or something before it has failed meanwhile.
    pub(crate) fn depart(&mut self, batch: &Batch) -> bool {
        let muted = self.muted;
        let Some(flight) = self.in_flight.iter_mut().find(|flight| flight.order() == batch.order()) else {
            return true;
        };
        flight.written = !muted && flight.called_off.is_empty();
        flight.written
    }

    /// A batch in flight was not written.
    pub(crate) fn recalled(&mut self, batch: Arc<Batch>, settlement: &mut Settlement<'_>) {
        let Some(mut batch) = self.landed(batch, settlement) else { return };
        batch.attempts = batch.attempts.saturating_sub(1);
        self.send_again(batch, None, settlement);
        self.after_answer(settlement);
    }

    /// A batch in flight is stored, and its messages are settled. Returns the batch, whose memory can be used again.
    ///
    /// What stands before it and is certainly not stored was overtaken: the broker took this batch without knowing what
    /// comes before it. It fails, since it could only be stored behind newer messages.
    pub(crate) fn stored(
        &mut self,
        batch: Arc<Batch>,
        offset: Option<i64>,
        now: Instant,
        settlement: &mut Settlement<'_>,
    ) -> Option<Batch> {
        self.stored += 1;
        self.trim(settlement);
        let batch = self.landed(batch, settlement);
        if let Some(batch) = &batch {
            if let Some(sequence) = batch.sequence {
                self.sequencer.stored(sequence, now);
            }
            self.lost_track |= self.is_in_another_log(batch.order(), offset);
            self.newest_stored = self.newest_stored.max(Some((batch.order(), offset)));
        }
        self.fail_overtaken(settlement);
        self.after_answer(settlement);
        batch
    }

    /// Also behind a batch in doubt, which stays where the broker still recognizes it.
    pub(super) fn fail_overtaken(&mut self, settlement: &mut Settlement<'_>) {
        if self.resend.iter().any(|batch| self.is_overtaken(batch)) {
            for batch in std::mem::take(&mut self.resend) {
                self.put_back(batch, settlement);
            }
        }
    }

    fn is_overtaken(&self, batch: &Batch) -> bool {
        let newest = self.newest_stored.map(|(order, _)| order);
        (!batch.in_doubt || self.lost_track) && Some(batch.order()) < newest
    }

    /// Whether a batch was stored ahead of one before it that is not settled: its offset is lower than that of a batch before
    /// both, so that it is in another log, which did not know what comes before it.
    fn is_in_another_log(&self, order: Order, offset: Option<i64>) -> bool {
        let went_back = match (self.newest_stored, offset) {
            (Some((newest, Some(before))), Some(offset)) => newest < order && offset < before,
            _ => false,
        };
        let sent = self.in_flight.iter().map(|flight| flight.order());
        let mut unsettled = sent.chain(self.resend.iter().map(Batch::order));
        went_back && unsettled.any(|other| other < order)
    }

    /// Another cluster answers, where the present producer id may belong to another producer: what may be stored in the
    /// former cluster fails with `error`, and all else waits for a new id.
    pub(crate) fn cluster_changed(&mut self, error: &Error, settlement: &mut Settlement<'_>) {
        if let Some(current) = self.sequencer.current {
            let former = self.foreign.replace((current.id, error.clone()));
            settlement.let_go_error(former.map(|(_, error)| error));
        }
        self.sequencer.spend();
        self.newest_stored = None;
        // What is not written yet is called back.
        self.muted = true;
        for batch in std::mem::take(&mut self.resend) {
            self.put_back(batch, settlement);
        }
        self.after_answer(settlement);
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

    /// A batch in flight failed for good.
    pub(crate) fn failed(&mut self, batch: Arc<Batch>, error: &Error, settlement: &mut Settlement<'_>) {
        let Some(mut batch) = self.landed(batch, settlement) else { return };
        settlement.let_go_error(batch.note(error));
        self.fail(batch, error.clone(), settlement);
        self.after_answer(settlement);
    }

    /// A batch in flight is to be sent again at `at`, under the sequence that it has.
    pub(crate) fn retry(
        &mut self,
        batch: Arc<Batch>,
        error: &Error,
        at: Instant,
        settlement: &mut Settlement<'_>,
    ) {
        let Some(mut batch) = self.landed(batch, settlement) else { return };
        settlement.let_go_error(batch.note(error));
        self.sequencer.broker_may_have_forgotten();
        self.send_again(batch, Some(at), settlement);
        self.after_answer(settlement);
    }

    /// The broker refused a batch in flight because of its sequence: it is certainly not stored.
    ///
    /// Behind a batch that is itself unsettled that is only to be expected, and the sequence will do. Else the
    /// broker lost track, and numbers start again.
    pub(crate) fn out_of_sequence(
        &mut self,
        batch: Arc<Batch>,
        error: &Error,
        fenced: bool,
        at: Instant,
        settlement: &mut Settlement<'_>,
    ) {
        let Some(mut batch) = self.landed(batch, settlement) else { return };
        settlement.let_go_error(batch.note(error));
        batch.in_doubt = false;
        self.sequencer.broker_may_have_forgotten();
        let order = batch.order();
        let behind = self.resend.front().is_some_and(|b| b.order() < order)
            || self.in_flight.iter().any(|flight| flight.order() < order);
        if fenced {
            self.sequencer.fenced();
        } else if !behind {
            self.sequencer.broken();
        }
        self.lost_track |= !behind;
        self.send_again(batch, Some(at), settlement);
        self.after_answer(settlement);
    }

    /// A batch in flight, which is not written, takes `packed` bytes on the wire. Returns whether that is too much.
    pub(crate) fn compressed(&mut self, batch: &Batch, packed: usize, policy: &Policy) -> bool {
        let most = policy.max_batch_bytes;
        self.growth.compressed(batch.records.wire_bytes(), packed, most);
        // What is in doubt is sent again as it was.
        batch.outgrows(most) && packed > self.growth.most_on_wire() && !batch.in_doubt
    }

    /// A batch in flight was not written, since it is too large: pieces are sent instead that can be expected not to be.
    ///
    /// They have its numbers, so that whatever follows it follows them.
    pub(crate) fn divide_unwritten(
        &mut self,
        batch: Arc<Batch>,
        policy: &Policy,
        settlement: &mut Settlement<'_>,
    ) {
        let Some(mut batch) = self.landed(batch, settlement) else { return };
        batch.attempts = batch.attempts.saturating_sub(1);
        let most = policy.max_batch_bytes + self.growth.beyond();
        let mut rest = vec![batch];
        let mut is_whole = true;
        while let Some(piece) = rest.pop() {
            let too_large = std::mem::take(&mut is_whole) || piece.outgrows(most);
            match if too_large { piece.divide() } else { Err(piece) } {
                Ok((left, right)) => rest.extend([left, right]),
                Err(piece) => self.send_again(piece, None, settlement),
            }
        }
        self.after_answer(settlement);
    }

    /// The broker found a batch in flight too large, which took `packed` bytes: its halves are sent instead. A single
    /// record fails.
    pub(crate) fn divide(
        &mut self,
        batch: Arc<Batch>,
        packed: usize,
        error: &Error,
        settlement: &mut Settlement<'_>,
    ) {
        self.growth.too_large(packed);
        let Some(mut batch) = self.landed(batch, settlement) else { return };
        settlement.let_go_error(batch.note(error));
        self.unsequence(&mut batch);
        match batch.divide() {
            Ok((left, right)) => {
                self.send_again(left, None, settlement);
                self.send_again(right, None, settlement);
            }
            Err(batch) => batch.fail(error.clone(), settlement),
        }
        self.after_answer(settlement);
    }

    /// Some records of a batch in flight were refused, and with them the batch: those that are `bad`, by their places,
    /// fail each with its error, the others are sent again at `at`.
    pub(crate) fn drop_records(
        &mut self,
        batch: Arc<Batch>,
        error: &Error,
        at: Option<Instant>,
        bad: Vec<(usize, Error)>,
        settlement: &mut Settlement<'_>,
    ) {
        let Some(mut batch) = self.landed(batch, settlement) else { return };
        settlement.let_go_error(batch.note(error));
        self.unsequence(&mut batch);
        let (positions, errors): (Vec<_>, Vec<_>) = bad.into_iter().unzip();
        let refused = batch.split_off(&positions);
        for (position, error) in errors.into_iter().enumerate() {
            refused.copy_of(&[position]).fail(error, settlement);
        }
        refused.end(settlement);
        self.send_again(batch, at, settlement);
        self.after_answer(settlement);
    }

    /// Removes a batch from those in flight, and returns it. Takes out what was called off before it was
    /// written.
    fn landed(&mut self, batch: Arc<Batch>, settlement: &mut Settlement<'_>) -> Option<Batch> {
        let at = self.in_flight.iter().position(|flight| Arc::ptr_eq(&flight.batch, &batch))?;
        let (mut batch, called_off) = self.in_flight.remove(at).land(batch)?;
        if !called_off.is_empty() {
            self.unsequence(&mut batch);
            batch.split_off(&called_off).end(settlement);
        }
        Some(batch)
    }

    /// Once nothing is in flight, what failed may go again; numbers start again where they have to.
    pub(super) fn after_answer(&mut self, settlement: &mut Settlement<'_>) {
        if !self.in_flight.is_empty() {
            return;
        }
        self.muted = false;
        if self.sequencer.restart && !self.front_in_doubt() {
            if std::mem::take(&mut self.lost_track) {
                self.fail_doubtful(settlement);
            }
            // The first of them is certainly not stored, so neither are those behind it.
            for batch in &mut self.resend {
                batch.sequence = None;
                batch.in_doubt = false;
            }
            self.fail_overtaken(settlement);
            self.sequencer.start_again();
        }
    }

    /// A broker that lost track may have taken these without the batch before them: under other numbers they would be
    /// stored again.
    fn fail_doubtful(&mut self, settlement: &mut Settlement<'_>) {
        for mut batch in std::mem::take(&mut self.resend) {
            if !batch.in_doubt {
                self.resend.push_back(batch);
                continue;
            }
            self.sequencer.left_in_doubt();
            (batch.sequence, batch.in_doubt) = (None, false);
            let error = because(&lost_track(), batch.last.as_ref());
            batch.fail(error, settlement);
        }
    }

    /// `at`: not before this time, if any.
    pub(super) fn send_again(&mut self, batch: Batch, at: Option<Instant>, settlement: &mut Settlement<'_>) {
        self.put_back(batch, settlement);
        self.muted = true;
        self.retry_at = at.or(self.retry_at);
    }

    fn put_back(&mut self, batch: Batch, settlement: &mut Settlement<'_>) {
        if batch.records.is_empty() {
            return batch.end(settlement);
        }
        if let Some(error) = self.refusal(&batch) {
            let error = because(&error, batch.last.as_ref());
            return self.fail(batch, error, settlement);
        }
        let place = self.resend.partition_point(|other| other.order() < batch.order());
        self.resend.insert(place, batch);
    }
}

/// Why messages fail that a broker may have stored before it lost track of this producer.
pub(crate) fn lost_track() -> Error {
    Error::new(
        ErrorKind::SequenceLost,
        "it may be stored, and could be stored twice if it were sent again: the broker had lost track of this producer (the \
         topic was created again, or its log was truncated)",
    )
}

/// Why messages fail that newer ones have overtaken.
pub(crate) fn overtaken() -> Error {
    Error::new(
        ErrorKind::SequenceLost,
        "newer messages were stored first, since the broker had lost track of this producer (the topic was created again, \
         or its log was truncated): stored now, it would stand out of order",
    )
}
