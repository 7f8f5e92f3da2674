//! Messages that are not sent, or not sent again: their time is over, they were called off, nothing more is sent.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Batch, Completion, Order, Queue};
use crate::accumulator::failed::Failed;
use crate::error::Error;

impl Queue {
    /// Settles what waits longer than it may.
    pub(in crate::accumulator) fn expire(&mut self, now: Instant, error: &Error) -> Failed {
        self.alarm = None;
        let mut expired = Failed::default();
        let newest = self.waiting.len().wrapping_sub(1);
        for (at, batch) in self.waiting.iter_mut().enumerate() {
            let error = because(error, batch.last_error());
            let lost = batch.expire(now, &error);
            // Receipts are numbered by position: a batch that lost a record takes no more.
            self.open &= at != newest || lost.total() == 0;
            expired += lost;
        }
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
    pub(in crate::accumulator) fn alarm(&mut self) -> Option<Instant> {
        let next = self.waiting.iter().chain(&self.resend).map(|batch| batch.expires).min()?;
        if self.alarm.is_some_and(|alarm| alarm <= next) {
            return None;
        }
        self.alarm = Some(next);
        self.alarm
    }

    pub(in crate::accumulator) fn is_overdue(&self, then: Instant) -> bool {
        self.waiting.iter().chain(&self.resend).any(|batch| batch.expires <= then)
    }

    pub(in crate::accumulator) fn disarm(&mut self) {
        self.alarm = None;
    }

    /// Takes out a record that is certainly not stored, and not on its way, and settles it with `error`.
    pub(in crate::accumulator) fn withdraw(
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
    pub(in crate::accumulator) fn fail_waiting(&mut self, error: &Error) -> Failed {
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
    pub(in crate::accumulator) fn abandon(&mut self, error: &Error) -> Failed {
        self.closed = true;
        self.abandoned = Some(error.clone());
        self.fail_waiting(error)
    }

    pub(super) fn give_up(&mut self, mut batch: Batch, error: Error) -> Failed {
        self.unsequence(&mut batch);
        batch.fail(error)
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
        for batch in self.resend.iter_mut().filter(|batch| certain && batch.order() > order) {
            batch.sequence = None;
            batch.in_doubt = false;
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
