//! Messages that are not sent, or not sent again: they were cancelled, or nothing more is sent.

use std::sync::Arc;

use super::{Batch, Completion, Order, Queue};
use crate::accumulator::waiters::Settlement;
use crate::error::Error;

impl Queue {
    /// Settles a record that is certainly not stored, and not on its way, with `error`; whether it is such a one.
    pub(crate) fn withdraw(
        &mut self,
        completion: &Arc<Completion>,
        index: u32,
        error: &Error,
        settlement: &mut Settlement<'_>,
    ) -> bool {
        let is_of = |batch: &Batch| Arc::ptr_eq(&batch.completion, completion);
        let place = self.waiting.binary_search_by_key(&completion.serial, |b| b.completion.serial);
        // The message may have been accepted by a queue that was in the place of this one.
        if let Some(at) = place.ok().filter(|at| is_of(&self.waiting[*at])) {
            let Some(record) = self.waiting[at].call_off(index) else {
                return false;
            };
            record.fail(error.clone(), settlement);
            if self.waiting[at].records.is_empty() {
                self.emptied += 1;
                self.waiting[at].replace().end(settlement);
            }
            self.trim(settlement);
            return true;
        }
        let certain = |batch: &Batch| !batch.in_doubt && is_of(batch);
        for at in 0..self.resend.len() {
            if !certain(&self.resend[at]) {
                continue;
            }
            let order = self.resend[at].order();
            let Some(record) = self.resend[at].call_off(index) else {
                continue;
            };
            record.fail(error.clone(), settlement);
            if self.resend[at].sequence.take().is_some() {
                self.break_behind(order, true);
            }
            if self.resend[at].records.is_empty() {
                if let Some(batch) = self.resend.remove(at) {
                    batch.end(settlement);
                }
            }
            self.after_answer(settlement);
            return true;
        }
        let flight = self.in_flight.iter_mut().find(|flight| !flight.written && certain(&flight.batch));
        flight.is_some_and(|flight| flight.call_off(index, error, settlement))
    }

    /// Settles everything that is not in flight with `error`.
    pub(crate) fn fail_waiting(&mut self, error: &Error, settlement: &mut Settlement<'_>) {
        let waiting = std::mem::take(&mut self.waiting);
        let resend = std::mem::take(&mut self.resend);
        (self.open, self.emptied) = (false, 0);
        for mut batch in resend.into_iter().chain(waiting) {
            if batch.records.is_empty() {
                settlement.let_go(batch);
                continue;
            }
            batch.take_out_called_off();
            let error = because(error, batch.last.as_ref());
            self.fail(batch, error, settlement);
        }
        self.after_answer(settlement);
    }

    /// Nothing is sent from here any more: what waits fails with `error`, and so does what comes back unstored.
    pub(crate) fn abandon(&mut self, error: &Error, settlement: &mut Settlement<'_>) {
        self.closed = true;
        self.abandoned.get_or_insert_with(|| error.clone());
        self.fail_waiting(error, settlement);
    }

    pub(super) fn fail(&mut self, mut batch: Batch, error: Error, settlement: &mut Settlement<'_>) {
        self.unsequence(&mut batch);
        match batch.records.is_empty() {
            true => batch.end(settlement),
            false => batch.fail(error, settlement),
        }
    }

    /// A batch will not be stored as it was sent.
    pub(super) fn unsequence(&mut self, batch: &mut Batch) {
        if batch.sequence.take().is_some() {
            self.break_behind(batch.order(), !batch.in_doubt);
            if batch.in_doubt {
                self.sequencer.left_in_doubt();
            }
            self.muted = true;
        }
        batch.in_doubt = false;
    }

    /// The batch at `order` leaves a gap in the sequence. If it is certainly not stored, neither is what was sent behind
    /// it; what was sent *ahead* of it may be.
    pub(super) fn break_behind(&mut self, order: Order, certain: bool) {
        self.sequencer.broken();
        let certain = certain && !self.lost_track;
        for batch in self.resend.iter_mut().filter(|batch| certain && batch.order() > order) {
            batch.sequence = None;
            batch.in_doubt = false;
        }
    }

    /// Takes away batches of which nothing is left: at the ends at once, so that none is found there, in the middle many
    /// at a time.
    pub(super) fn trim(&mut self, settlement: &mut Settlement<'_>) {
        self.garbage.drain(..).for_each(|batch| settlement.let_go(batch));
        if self.waiting.back().is_some_and(Batch::is_reduced) {
            self.open = false;
        }
        while self.waiting.back().is_some_and(|batch| batch.records.is_empty()) {
            self.waiting.pop_back().into_iter().for_each(|batch| settlement.let_go(batch));
            (self.open, self.emptied) = (false, self.emptied.saturating_sub(1));
        }
        while self.waiting.front().is_some_and(|batch| batch.records.is_empty()) {
            self.waiting.pop_front().into_iter().for_each(|batch| settlement.let_go(batch));
            self.emptied = self.emptied.saturating_sub(1);
        }
        if self.emptied * 2 > self.waiting.len() {
            self.emptied = 0;
            for batch in std::mem::take(&mut self.waiting) {
                match batch.records.is_empty() {
                    true => settlement.let_go(batch),
                    false => self.waiting.push_back(batch),
                }
            }
        }
    }
}

/// `error`, with what went wrong before as its cause.
pub(super) fn because(error: &Error, last: Option<&Error>) -> Error {
    match last {
        Some(last) => error.clone().with_source(last.clone()),
        None => error.clone(),
    }
}
