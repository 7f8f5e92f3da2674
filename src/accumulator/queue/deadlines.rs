//! A deadline ends a message: the one place that fails messages whose time is over.

use tokio::time::Instant;

use super::failing::because;
use super::{Batch, Queue};
use crate::accumulator::waiters::Settlement;
use crate::clock::earliest;
use crate::error::{Error, Fate};

impl Queue {
    /// Fails the messages whose deadline or `timeouts.delivery` has passed, wherever they are: any task may call it.
    pub(crate) fn expire(&mut self, now: Instant, error: &Error, settlement: &mut Settlement<'_>) {
        self.alarm = None;
        for at in 0..self.waiting.len() {
            if expire_unsent(&mut self.waiting[at], now, error, settlement) {
                self.emptied += 1;
            }
        }
        self.trim(settlement);
        for mut batch in std::mem::take(&mut self.resend) {
            if batch.expires > now {
                self.resend.push_back(batch);
                continue;
            }
            batch.take_out_called_off();
            if batch.is_over(now) {
                let error = because(error, batch.last.as_ref());
                self.fail(batch, error, settlement);
                continue;
            }
            if batch.in_doubt {
                // It may be stored as it was sent, and is only recognised if it is sent like that again.
                let expired = batch.expired(None, now);
                let error = because(error, batch.last.as_ref()).with_fate(Fate::PossiblyPersisted);
                batch.copy_of(&expired).fail(error, settlement);
                batch.reckon_expiry(now);
            } else {
                self.unsequence(&mut batch);
                _ = expire_unsent(&mut batch, now, error, settlement);
            }
            self.resend.push_back(batch);
        }
        for flight in &mut self.in_flight {
            flight.expire(now, error, settlement);
        }
        self.after_answer(settlement);
    }

    /// When [`expire`](Self::expire) has to be called, if that is sooner than was last said. What is in flight comes back by
    /// itself before its time is over, as a rule.
    pub(crate) fn alarm(&mut self) -> Option<Instant> {
        let waits = self.waiting.iter().chain(&self.resend).map(|batch| batch.expires).min();
        let in_flight = self.in_flight.iter().filter_map(|flight| flight.alarm).min();
        let next = earliest(waits, in_flight)?;
        if self.alarm.is_some_and(|alarm| alarm <= next) {
            return None;
        }
        self.alarm = Some(next);
        self.alarm
    }

    /// Whether something should have been expired by `then`.
    pub(crate) fn is_overdue(&self, then: Instant) -> bool {
        self.waiting.iter().chain(&self.resend).any(|batch| batch.expires <= then)
            || self.in_flight.iter().any(|flight| flight.expires.is_some_and(|at| at <= then))
    }

    /// Forgets what [`alarm`](Self::alarm) said: the task that was to act on it is gone.
    pub(crate) fn disarm(&mut self) {
        self.alarm = None;
    }
}

/// Takes out and settles the records of a batch whose time is over, before it is sent; whether that is all of them.
fn expire_unsent(batch: &mut Batch, now: Instant, error: &Error, settlement: &mut Settlement<'_>) -> bool {
    if batch.expires > now {
        return false;
    }
    batch.take_out_called_off();
    let expired = batch.expired(None, now);
    let error = because(error, batch.last.as_ref());
    let all = !batch.records.is_empty() && expired.len() == batch.records.len();
    if all {
        batch.replace().fail(error, settlement);
    } else if !expired.is_empty() {
        batch.split_off(&expired).fail(error, settlement);
    }
    all
}
