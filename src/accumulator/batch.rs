//! Messages on their way to one partition, settled together.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::buffer::Buffer;
use super::charge::Charge;
use super::completion::{Completion, Lost, Stored};
use super::failed::Failed;
use super::receipt::Receipt;
use crate::error::{Error, ErrorKind, Fate};
use crate::message::Message;
use crate::record::{Records, Sequence, Stamp};

/// What became of an attempt, for the batch's history.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) error: Error,
    pub(crate) fate: Fate,
}

/// Longer than any expiry: `Stamp::expires_after` counts milliseconds in 32 bits.
const FAR: Duration = Duration::from_millis(u32::MAX as u64);

/// A message that comes in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) message: &'a Message,
    /// Bytes of the buffers that it took.
    pub(crate) footprint: usize,
    pub(crate) now: Instant,
    /// Its context's deadline.
    pub(crate) deadline: Option<Instant>,
}

/// Place in a partition's order: the batch's ordinal, then its first record.
pub(super) type Order = (u64, u32);

#[derive(Debug)]
pub(crate) struct Batch {
    completion: Arc<Completion>,
    records: Records,
    /// Index of each record's receipt, where records were taken out and position no longer tells.
    indices: Option<Vec<u32>>,
    /// Bytes of the buffers that are given back when the records are settled.
    footprint: usize,
    buffers: [Option<Arc<Buffer>>; 2],
    pub(crate) opened: Instant,
    /// Milliseconds since 1970 at that time.
    opened_wall: i64,
    /// When the first record is given up.
    pub(crate) expires: Instant,
    pub(crate) attempts: u32,
    pub(crate) sequence: Option<Sequence>,
    /// Place in the partition's order; given when the batch is first sent.
    pub(crate) ordinal: u64,
    /// An attempt under the present sequence may have been stored.
    pub(crate) in_doubt: bool,
    /// The worst fate that any attempt had: once possible, always possible.
    fate: Fate,
    last: Option<Error>,
}

impl Batch {
    pub(super) fn open(
        completion: Arc<Completion>,
        buffers: [Option<Arc<Buffer>>; 2],
        now: Instant,
        wall: i64,
        records: Records,
    ) -> Self {
        Self {
            completion,
            records,
            indices: None,
            footprint: 0,
            buffers,
            opened: now,
            opened_wall: wall,
            expires: now + FAR,
            attempts: 0,
            sequence: None,
            ordinal: 0,
            in_doubt: false,
            fate: Fate::NotPersisted,
            last: None,
        }
    }

    pub(crate) fn completion(&self) -> &Arc<Completion> {
        &self.completion
    }

    pub(crate) fn records(&self) -> &Records {
        &self.records
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Records that were not answered for: those whose time ended in flight were.
    pub(crate) fn unsettled(&self) -> usize {
        self.completion.unsettled((0..self.records.len()).map(|position| self.index_at(position)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes on the wire, uncompressed.
    pub(crate) fn wire_bytes(&self) -> usize {
        self.records.wire_bytes()
    }

    pub(crate) fn last_error(&self) -> Option<&Error> {
        self.last.as_ref()
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

    /// Appends a message, unless the batch would then take more than `most` bytes.
    #[inline]
    pub(super) fn push(&mut self, arrival: &Arrival<'_>, delivery: Duration, most: usize) -> Option<Receipt> {
        debug_assert!(self.indices.is_none(), "an open batch has lost no record");
        let stamp = self.stamp(arrival, delivery);
        let index = self.records.len() as u32;
        if !self.records.push(arrival.message, stamp, most) {
            return None;
        }
        self.expires = self.expires.min(self.at(stamp.expires_after));
        self.footprint += arrival.footprint;
        Some(Receipt::new(self.completion.clone(), index, stamp.timestamp))
    }

    /// The time at which a message came, and the time at which it is given up.
    ///
    /// One look at the clock serves both: the time of day is that of the batch's opening plus what has passed.
    #[inline]
    fn stamp(&self, arrival: &Arrival<'_>, delivery: Duration) -> Stamp {
        let age = arrival.now.saturating_duration_since(self.opened);
        // Rounded up: a message is never given up early.
        let mut after = millis_up(age) + millis_up(delivery);
        if let Some(deadline) = arrival.deadline {
            after = after.min(millis_up(deadline.saturating_duration_since(self.opened)));
        }
        Stamp {
            timestamp: arrival.message.timestamp.unwrap_or(self.opened_wall + millis(age) as i64),
            expires_after: after.min(u64::from(u32::MAX - 1)) as u32,
        }
    }

    fn expiries(&self) -> impl Iterator<Item = Instant> + '_ {
        self.records.expiries().map(|after| self.at(after))
    }

    fn at(&self, after: u32) -> Instant {
        self.opened + Duration::from_millis(u64::from(after))
    }

    /// Records what an attempt came to.
    pub(crate) fn note(&mut self, verdict: &Verdict) {
        self.fate = self.fate.max(verdict.fate);
        if verdict.fate == Fate::PossiblyPersisted {
            self.in_doubt = true;
        }
        self.last = Some(verdict.error.clone());
    }

    /// Settles all records as stored, the first at `offset`.
    pub(crate) fn store(mut self, offset: Option<i64>, append_time: Option<i64>) {
        let stored = Stored { offset, append_time, attempts: self.attempts };
        self.release();
        match self.indices.take() {
            None => self.completion.store_all(stored),
            Some(indices) => {
                let each = indices.into_iter().enumerate().map(|(position, index)| {
                    let offset = offset.map(|base| base + position as i64);
                    (index, Stored { offset, ..stored })
                });
                self.completion.store_some(each);
                self.completion.end_piece();
            }
        }
        let records = std::mem::take(&mut self.records);
        if let Some(buffer) = &self.buffers[0] {
            buffer.recycle(records);
        }
    }

    /// Settles all records as failed with `error`, which gets this batch's history.
    pub(crate) fn fail(mut self, error: Error) -> Failed {
        let error = self.told(error);
        let failed = Failed::of(self.unsettled(), error.fate());
        self.release();
        let records = std::mem::take(&mut self.records);
        let lost = Lost { error, records, charge: Charge::default() };
        match self.indices.take() {
            None => self.completion.fail_all(lost),
            Some(indices) => {
                self.completion.fail_some(indices.into_iter(), lost);
                self.completion.end_piece();
            }
        }
        failed
    }

    /// `error` with what is known of this batch: where it was going, how often it was tried, its fate.
    pub(crate) fn told(&self, error: Error) -> Error {
        let fate = self.fate.max(error.fate());
        error
            .with_topic(self.completion.topic_arc().clone())
            .with_partition(self.completion.partition())
            .with_attempts(self.attempts)
            .with_fate(fate)
    }

    /// Takes out some records and settles them, each group with its error. Those that stay are unchanged.
    ///
    /// The batch must not be in flight, unless the sequence of what was sent no longer matters.
    pub(crate) fn fail_some(&mut self, groups: Vec<(Error, Vec<usize>)>) -> Failed {
        if groups.is_empty() {
            return Failed::default();
        }
        let all = std::mem::take(&mut self.records);
        let mut stays = vec![true; all.len()];
        let (mut fate, mut new) = (self.fate, 0);
        for (error, positions) in groups {
            positions.iter().for_each(|position| stays[*position] = false);
            let (error, records) = (self.told(error), all.pick(positions.iter().copied()));
            fate = fate.max(error.fate());
            // They wait for their receipts, and take their room as long.
            let footprint = records.footprint();
            self.footprint -= footprint;
            let lost = Lost { error, records, charge: Charge::of(footprint, &self.buffers) };
            let indices = positions.iter().map(|position| self.index_at(*position));
            new += self.completion.fail_some(indices, lost);
        }
        let kept: Vec<usize> = (0..all.len()).filter(|position| stays[*position]).collect();
        self.indices = Some(kept.iter().map(|position| self.index_at(*position)).collect());
        self.records = all.pick(kept.into_iter());
        self.expires = self.first_expiry();
        Failed::of(new, fate)
    }

    /// Positions of the records whose time ended after `from`, if given, and up to `now`.
    fn expired(&self, from: Option<Instant>, now: Instant) -> Vec<usize> {
        let is_over = |at: &Instant| *at <= now && from.is_none_or(|from| *at > from);
        self.expiries().enumerate().filter(|(_, at)| is_over(at)).map(|(position, _)| position).collect()
    }

    /// Settles as failed those records whose time ended after `from` and up to `now`, **without taking them
    /// out**: what was sent still counts for the sequence, and may yet be stored. Their receipts keep this
    /// answer. Returns how many, and when the next one's time ends.
    pub(crate) fn settle_expired(&self, from: Instant, now: Instant, error: &Error) -> (Failed, Instant) {
        let next = self.expiries().filter(|at| *at > now).min().unwrap_or(self.opened + FAR);
        let expired = self.expired(Some(from), now);
        if expired.is_empty() {
            return (Failed::default(), next);
        }
        let lost = Lost {
            error: self.told(error.clone()).with_fate(Fate::PossiblyPersisted),
            records: self.records.pick(expired.iter().copied()),
            // The batch itself still takes their room.
            charge: Charge::default(),
        };
        let indices = expired.iter().map(|position| self.index_at(*position));
        (Failed::of(self.completion.fail_some(indices, lost), Fate::PossiblyPersisted), next)
    }

    /// Forgets expiries up to `now`, which were settled in flight.
    pub(crate) fn reckon_expiry(&mut self, now: Instant) {
        if self.expires <= now {
            let later = self.expiries().filter(|at| *at > now);
            // Nobody waits for it any more: it is over, not to be sent for ever.
            self.expires = later.min().unwrap_or(now);
        }
    }

    /// Takes out the record of one receipt, if it is here: it was called off before it left.
    pub(super) fn withdraw(
        &mut self,
        completion: &Arc<Completion>,
        index: u32,
        error: &Error,
    ) -> Option<Failed> {
        if !Arc::ptr_eq(&self.completion, completion) {
            return None;
        }
        let at = (0..self.records.len()).find(|p| self.index_at(*p) == index)?;
        Some(self.fail_some(vec![(error.clone(), vec![at])]))
    }

    /// Takes out and settles the records whose time is over; how many.
    pub(super) fn expire(&mut self, now: Instant, error: &Error) -> Failed {
        if self.expires > now {
            return Failed::default();
        }
        let expired = self.expired(None, now);
        self.fail_some(vec![(error.clone(), expired)])
    }

    /// Whether every record's time is over.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.expiries().all(|expiry| expiry <= now)
    }

    /// Two halves of a batch that the broker found too large; `None` if it has one record.
    #[expect(clippy::result_large_err, reason = "a batch is moved once in its life, not through layers")]
    pub(crate) fn divide(mut self) -> Result<(Self, Self), Self> {
        if self.records.len() < 2 {
            return Err(self);
        }
        let mut indices: Vec<u32> = (0..self.records.len()).map(|p| self.index_at(p)).collect();
        let half = self.records.len() / 2;
        let all = std::mem::take(&mut self.records);
        self.records = all.pick(0..half);
        let mut right = Self::open(
            self.completion.clone(),
            self.buffers.clone(),
            self.opened,
            self.opened_wall,
            all.pick(half..all.len()),
        );
        right.indices = Some(indices.split_off(half));
        (right.attempts, right.ordinal) = (self.attempts, self.ordinal);
        (right.fate, right.last) = (self.fate, self.last.clone());
        self.completion.add_piece();
        self.indices = Some(indices);
        for half in [&mut self, &mut right] {
            half.sequence = None;
            half.in_doubt = false;
        }
        let whole = self.footprint;
        self.footprint = self.records.footprint();
        right.footprint = whole - self.footprint;
        self.expires = self.first_expiry();
        right.expires = right.first_expiry();
        Ok((self, right))
    }

    fn first_expiry(&self) -> Instant {
        self.expiries().min().unwrap_or(self.opened + FAR)
    }

    fn release(&mut self) {
        let all = std::mem::take(&mut self.footprint);
        self.give_back(all);
    }

    fn give_back(&self, bytes: usize) {
        for buffer in self.buffers.iter().flatten() {
            buffer.give_back(bytes);
        }
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_secs() * 1_000 + u64::from(duration.subsec_millis())
}

fn millis_up(duration: Duration) -> u64 {
    millis(duration) + u64::from(duration.subsec_nanos() % 1_000_000 > 0)
}

/// The last net: a batch that is dropped unsettled (a panic, a runtime that ended) answers its receipts.
impl Drop for Batch {
    fn drop(&mut self) {
        if self.records.is_empty() {
            if self.indices.is_some() {
                // Everything was taken out one by one.
                self.indices = None;
                self.completion.end_piece();
            }
            return;
        }
        let error =
            Error::new(ErrorKind::Internal, "the producer's task ended before the message was settled")
                .with_fate(Fate::PossiblyPersisted);
        let empty = Self::open(self.completion.clone(), [None, None], self.opened, 0, Records::default());
        // Nobody is left to count them.
        let _uncounted = std::mem::replace(self, empty).fail(error);
    }
}
