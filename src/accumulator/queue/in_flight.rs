//! A batch that was taken to be sent, as its queue sees it.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Batch, Order, Policy, because};
use crate::accumulator::waiters::Settlement;
use crate::clock::later;
use crate::error::{Error, Fate};

#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) batch: Arc<Batch>,
    /// When the time of the next record is over.
    pub(super) expires: Option<Instant>,
    /// The same, unless the attempt ends sooner in any case: a timer costs more than it seems.
    pub(super) alarm: Option<Instant>,
    /// Expiries up to here are settled.
    checked: Option<Instant>,
    /// Some of it may be on its way. Until then it can still be called back.
    pub(super) written: bool,
    /// Positions of records that were settled before it was written.
    pub(super) called_off: Vec<usize>,
}

impl InFlight {
    pub(super) fn new(batch: Arc<Batch>, now: Instant, policy: &Policy) -> Self {
        let expires = batch.expires;
        let limit = later(now, policy.longest_attempt);
        Self {
            alarm: Some(expires).filter(|at| *at < limit),
            expires: Some(expires),
            checked: None,
            written: !policy.encodes_first,
            called_off: Vec::new(),
            batch,
        }
    }

    pub(super) fn order(&self) -> Order {
        self.batch.order()
    }

    /// Whether it can be called back, in part or as a whole.
    fn is_certain(&self) -> bool {
        !self.written && !self.batch.in_doubt
    }

    /// Settles what waits longer than it may. What was sent still counts for the sequence, and may yet be stored.
    pub(super) fn expire(&mut self, now: Instant, error: &Error, settlement: &mut Settlement<'_>) {
        if self.expires.is_none_or(|at| at > now) {
            return;
        }
        let mut expired = self.batch.expired(self.checked, now);
        expired.retain(|position| !self.called_off.contains(position));
        self.checked = Some(now);
        self.expires = self.batch.next_expiry(now);
        self.alarm = self.alarm.and(self.expires);
        if expired.is_empty() {
            return;
        }
        let mut error = because(error, self.batch.last.as_ref());
        if self.is_certain() {
            self.called_off.extend(&expired);
        } else {
            error = error.with_fate(Fate::PossiblyPersisted);
        }
        self.batch.copy_of(&expired).fail(error, settlement);
    }

    /// Settles a record that is not written yet; whether it is here.
    pub(super) fn call_off(&mut self, index: u32, error: &Error, settlement: &mut Settlement<'_>) -> bool {
        let Some(position) = self.batch.position_of(index) else {
            return false;
        };
        self.called_off.push(position);
        self.batch.copy_of(&[position]).fail(error.clone(), settlement);
        true
    }

    /// The batch itself, once this is the last reference to it, and what was called off.
    pub(super) fn land(self, batch: Arc<Batch>) -> Option<(Batch, Vec<usize>)> {
        drop(self.batch);
        let mut batch = Arc::into_inner(batch)?;
        if let Some(checked) = self.checked {
            batch.reckon_expiry(checked);
        }
        Some((batch, self.called_off))
    }
}
