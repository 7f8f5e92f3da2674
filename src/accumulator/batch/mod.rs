//! Messages on their way to one partition, settled together.

mod outcome;
mod parts;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::budget::Budget;
use super::completion::Completion;
use crate::clock::{later, millis, millis_up};
use crate::error::{Error, Fate};
use crate::message::Message;
use crate::record::{Records, Sequence, Stamp};

/// Longer than any expiry: `Stamp::expires_after` counts milliseconds in 32 bits.
const FAR: Duration = Duration::from_millis(u32::MAX as u64);

/// A message that comes in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) message: &'a Message,
    /// Bytes of the budget that it took.
    pub(crate) footprint: usize,
    pub(crate) now: Instant,
    /// Its context's deadline.
    pub(crate) deadline: Option<Instant>,
}

/// What became of it: its place in the batch, and the timestamp that it has there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accepted {
    pub(crate) index: u32,
    pub(crate) timestamp: i64,
}

/// What messages of the same time have in common.
#[derive(Clone, Copy, Debug)]
struct Moment {
    at: Instant,
    /// Milliseconds since 1970.
    wall: i64,
    /// Milliseconds after the opening of the batch at which their time is over.
    after: u32,
}

/// Place in a partition's order: the batch's ordinal, then its first record.
pub(super) type Order = (u64, u32);

#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) completion: Arc<Completion>,
    pub(crate) records: Records,
    /// Index of each record's receipt, if records were taken out, so that it is no longer their position.
    indices: Option<Vec<u32>>,
    /// Positions of records that were called off, and are taken out later, many at once.
    called_off: Vec<usize>,
    /// Bytes of memory that they take.
    called_off_bytes: usize,
    /// Bytes of the budget that are given back when the records are settled.
    pub(super) footprint: usize,
    budget: Budget,
    pub(crate) opened: Instant,
    /// Milliseconds since 1970 at that time.
    opened_wall: i64,
    /// When the last message came.
    latest: Option<Moment>,
    /// When the time of the first record is over that is not settled for that reason.
    pub(super) expires: Instant,
    /// The same in milliseconds after the opening, where records may still be added.
    soonest: u32,
    pub(crate) attempts: u32,
    pub(crate) sequence: Option<Sequence>,
    /// Place in the partition's order; given when the batch is first sent.
    pub(crate) ordinal: u64,
    /// An attempt under the present sequence may have been stored.
    pub(crate) in_doubt: bool,
    /// The worst fate that any attempt had: once possible, always possible.
    fate: Fate,
    pub(crate) last: Option<Error>,
}

impl Batch {
    pub(super) fn open(
        completion: Arc<Completion>,
        budget: Budget,
        now: Instant,
        wall: i64,
        records: Records,
    ) -> Self {
        Self {
            completion,
            records,
            indices: None,
            called_off: Vec::new(),
            called_off_bytes: 0,
            footprint: 0,
            budget,
            opened: now,
            // Kafka stores no time before 1970, whatever the clock says.
            opened_wall: wall.max(0),
            latest: None,
            expires: later(now, FAR),
            soonest: u32::MAX,
            attempts: 0,
            sequence: None,
            ordinal: 0,
            in_doubt: false,
            fate: Fate::NotPersisted,
            last: None,
        }
    }

    /// Sort key of the partition's order: divided batches share an ordinal.
    pub(super) fn order(&self) -> Order {
        (self.ordinal, self.index_at(0))
    }

    fn index_at(&self, position: usize) -> u32 {
        match &self.indices {
            Some(indices) => indices.get(position).copied().unwrap_or(u32::MAX),
            None => position as u32,
        }
    }

    /// Where the record of a receipt is.
    pub(super) fn position_of(&self, index: u32) -> Option<usize> {
        match &self.indices {
            Some(indices) => indices.binary_search(&index).ok(),
            None => Some(index as usize).filter(|position| *position < self.records.len()),
        }
    }

    /// Whether records were taken out: receipts are numbered by position, so that no more may be added.
    pub(super) fn is_reduced(&self) -> bool {
        self.indices.is_some()
    }

    /// Whether it holds more than a batch that does not shrink.
    #[inline]
    pub(super) fn outgrows(&self, most: usize) -> bool {
        self.records.wire_bytes() > most && self.records.len() > 1
    }

    /// Appends a message, unless the batch would then take more than `most` bytes.
    #[inline]
    pub(super) fn push(
        &mut self,
        arrival: &Arrival<'_>,
        delivery: Duration,
        most: usize,
    ) -> Option<Accepted> {
        debug_assert!(!self.is_reduced(), "an open batch has lost no record");
        let stamp = self.stamp(arrival, delivery);
        let index = self.records.len() as u32;
        if !self.records.push(arrival.message, stamp, most) {
            return None;
        }
        // Most come later than the first, and none of those is over before it.
        if stamp.expires_after < self.soonest {
            self.soonest = stamp.expires_after;
            self.expires = self.expires.min(self.at(stamp.expires_after));
        }
        self.footprint += arrival.footprint;
        Some(Accepted { index, timestamp: stamp.timestamp })
    }

    /// The time at which a message came, and the time at which its own is over.
    #[inline]
    fn stamp(&mut self, arrival: &Arrival<'_>, delivery: Duration) -> Stamp {
        let Moment { wall, after, .. } = match self.latest {
            Some(latest) if latest.at == arrival.now => latest,
            _ => *self.latest.insert(self.moment(arrival.now, delivery)),
        };
        let expires_after = match arrival.deadline {
            None => after,
            Some(at) => u64::from(after).min(millis_up(at.saturating_duration_since(self.opened))) as u32,
        };
        Stamp { timestamp: arrival.message.timestamp.unwrap_or(wall), expires_after }
    }

    /// One look at the clock serves both: the time of day is that of the batch's opening plus what has passed.
    #[inline]
    fn moment(&self, now: Instant, delivery: Duration) -> Moment {
        let age = now.saturating_duration_since(self.opened);
        // Rounded up: a message never fails early.
        let after = millis_up(age).saturating_add(millis_up(delivery)).min(u64::from(u32::MAX - 1)) as u32;
        let wall = self.opened_wall.saturating_add(i64::try_from(millis(age)).unwrap_or(i64::MAX));
        Moment { at: now, wall, after }
    }

    fn expiries(&self) -> impl Iterator<Item = Instant> + '_ {
        self.records.expiries().map(|after| self.at(after))
    }

    fn at(&self, after: u32) -> Instant {
        later(self.opened, Duration::from_millis(u64::from(after)))
    }

    /// Positions of the records whose time ended after `from`, if given, and up to `now`.
    pub(super) fn expired(&self, from: Option<Instant>, now: Instant) -> Vec<usize> {
        let is_over = |at: &Instant| *at <= now && from.is_none_or(|from| *at > from);
        self.expiries().enumerate().filter(|(_, at)| is_over(at)).map(|(position, _)| position).collect()
    }

    /// When the time of the next record is over after `now`, if any.
    pub(super) fn next_expiry(&self, now: Instant) -> Option<Instant> {
        self.expiries().filter(|at| *at > now).min()
    }

    /// Forgets expiries up to `now`, which were settled in flight.
    pub(super) fn reckon_expiry(&mut self, now: Instant) {
        if self.expires <= now {
            // A batch whose messages have all been settled is over: it must not be retried forever.
            self.set_expiry(self.next_expiry(now).unwrap_or(now));
        }
    }

    fn set_expiry(&mut self, at: Instant) {
        self.expires = at;
        self.soonest = u32::MAX;
    }

    fn first_expiry(&self) -> Instant {
        self.expiries().min().unwrap_or(later(self.opened, FAR))
    }

    /// Whether every record's time is over.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.expiries().all(|expiry| expiry <= now)
    }

    /// Records what an attempt came to. Returns the error of the one before.
    #[must_use = "an error may hold an error of the user's, which must not be dropped under a lock"]
    pub(super) fn note(&mut self, error: &Error) -> Option<Error> {
        self.fate = self.fate.max(error.fate());
        if error.fate() == Fate::PossiblyPersisted {
            self.in_doubt = true;
        }
        self.last.replace(error.clone())
    }

    /// `error` with what is known of this batch: where it was going, how often it was tried, its fate.
    pub(crate) fn describe(&self, error: Error) -> Error {
        let fate = self.fate.max(error.fate());
        error
            .with_topic(self.completion.topic.clone())
            .with_partition(self.completion.partition)
            .with_attempts(self.attempts)
            .with_fate(fate)
    }
}
