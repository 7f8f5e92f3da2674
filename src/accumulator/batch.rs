//! Messages on their way to one partition, settled together.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::buffer::Buffer;
use super::completion::{Completion, Settled, Stored};
use super::failed::Failed;
use super::receipt::Receipt;
use crate::error::{Error, ErrorKind, Fate};
use crate::record::{BATCH_OVERHEAD, Record, Sequence};

/// What became of an attempt, for the batch's history.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) error: Error,
    pub(crate) fate: Fate,
}

/// Longer than any expiry: `Record::expires_after` counts milliseconds in 32 bits.
const FAR: Duration = Duration::from_millis(u32::MAX as u64);

/// Place in a partition's order: the batch's ordinal, then its first record.
pub(super) type Order = (u64, u32);

#[derive(Debug)]
pub(crate) struct Batch {
    completion: Arc<Completion>,
    records: Vec<Record>,
    /// Index of each record's receipt, where records were taken out and position no longer tells.
    indices: Option<Vec<u32>>,
    /// Bytes on the wire, uncompressed.
    wire_bytes: usize,
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
        records: Vec<Record>,
    ) -> Self {
        Self {
            completion,
            records,
            indices: None,
            wire_bytes: BATCH_OVERHEAD,
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

    pub(crate) fn records(&self) -> &[Record] {
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

    pub(crate) fn wire_bytes(&self) -> usize {
        self.wire_bytes
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

    /// Bytes on the wire if `record` were appended.
    pub(super) fn wire_bytes_with(&self, record: &Record) -> usize {
        let base = self.records.first().map_or(record.timestamp, |r| r.timestamp);
        self.wire_bytes + record.encoded_len(self.records.len(), base)
    }

    /// Gives a record the time at which it came, and the time at which it is given up.
    ///
    /// One look at the clock serves both: the time of day is that of the batch's opening plus what has passed.
    pub(super) fn stamp(
        &self,
        record: &mut Record,
        now: Instant,
        deadline: Option<Instant>,
        delivery: Duration,
    ) {
        let age = now.saturating_duration_since(self.opened);
        if !record.given.timestamp {
            record.timestamp = self.opened_wall + age.as_millis() as i64;
        }
        let mut after = age + delivery;
        if let Some(deadline) = deadline {
            after = after.min(deadline.saturating_duration_since(self.opened));
        }
        // Rounded up: a message is never given up early.
        record.expires_after =
            (after + Duration::from_micros(999)).as_millis().min(u128::from(u32::MAX - 1)) as u32;
    }

    /// Appends a stamped record that takes the batch to `wire_bytes`.
    pub(super) fn push(&mut self, record: Record, wire_bytes: usize, footprint: usize) -> Receipt {
        debug_assert!(self.indices.is_none(), "an open batch has lost no record");
        let index = self.records.len() as u32;
        self.expires = self.expires.min(self.expiry(&record));
        self.wire_bytes = wire_bytes;
        self.footprint += footprint;
        let receipt = Receipt::new(self.completion.clone(), index, record.timestamp);
        self.records.push(record);
        receipt
    }

    fn expiry(&self, record: &Record) -> Instant {
        self.opened + Duration::from_millis(u64::from(record.expires_after))
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
    pub(crate) fn store(mut self, offset: Option<i64>, append_time: Option<i64>) -> Vec<Record> {
        let stored = Stored { offset, append_time, attempts: self.attempts };
        self.release();
        match self.indices.take() {
            None => self.completion.store_all(stored),
            Some(indices) => {
                let each = indices.into_iter().enumerate().map(|(position, index)| {
                    let offset = offset.map(|base| base + position as i64);
                    (index, Ok(Stored { offset, ..stored }))
                });
                self.completion.settle_some(each);
                self.completion.end_piece();
            }
        }
        let mut records = std::mem::take(&mut self.records);
        records.clear();
        records
    }

    /// Settles all records as failed with `error`, which gets this batch's history.
    pub(crate) fn fail(mut self, error: Error) -> Failed {
        let error = self.told(error);
        let failed = Failed::of(self.unsettled(), error.fate());
        self.release();
        let records = std::mem::take(&mut self.records);
        match self.indices.take() {
            None => self.completion.fail_all(error, records),
            Some(indices) => {
                let each: Vec<(u32, Settled)> = indices
                    .into_iter()
                    .zip(records)
                    .map(|(index, record)| (index, Err(self.hand_back(&error, record))))
                    .collect();
                self.completion.settle_some(each.into_iter());
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

    fn hand_back(&self, error: &Error, record: Record) -> Error {
        let message = record.into_message(self.completion.topic_arc(), self.completion.partition());
        error.clone().with_message(message)
    }

    /// Takes out and settles the records for which `error_of` has an error. Those that stay are unchanged.
    ///
    /// The batch must not be in flight, unless the sequence of what was sent no longer matters.
    pub(crate) fn fail_some(&mut self, mut error_of: impl FnMut(usize, &Record) -> Option<Error>) -> Failed {
        let mut failed = Vec::new();
        let mut kept = Vec::with_capacity(self.records.len());
        let mut indices = Vec::with_capacity(self.records.len());
        for (position, record) in std::mem::take(&mut self.records).into_iter().enumerate() {
            let index = self.index_at(position);
            match error_of(position, &record) {
                Some(error) => failed.push((index, record, error)),
                None => {
                    kept.push(record);
                    indices.push(index);
                }
            }
        }
        self.records = kept;
        if failed.is_empty() {
            return Failed::default();
        }
        self.indices = Some(indices);
        let mut fate = self.fate;
        let settled: Vec<_> = failed
            .into_iter()
            .map(|(index, record, error)| {
                let error = self.told(error);
                fate = fate.max(error.fate());
                (index, Err(self.hand_back(&error, record)))
            })
            .collect();
        let new = self.completion.settle_some(settled.into_iter());
        self.measure();
        Failed::of(new, fate)
    }

    /// Settles as failed those records whose time ended after `from` and up to `now`, **without taking them
    /// out**: what was sent still counts for the sequence, and may yet be stored. Their receipts keep this
    /// answer. Returns how many, and when the next one's time ends.
    pub(crate) fn settle_expired(&self, from: Instant, now: Instant, error: &Error) -> (Failed, Instant) {
        let mut next = self.opened + FAR;
        let mut settled: Vec<(u32, Settled)> = Vec::new();
        for (position, record) in self.records.iter().enumerate() {
            let expiry = self.expiry(record);
            if expiry > now {
                next = next.min(expiry);
            } else if expiry > from {
                let error = self.told(error.clone()).with_fate(Fate::PossiblyPersisted);
                settled.push((self.index_at(position), Err(self.hand_back(&error, record.clone()))));
            }
        }
        let new = match settled.is_empty() {
            true => 0,
            false => self.completion.settle_some(settled.into_iter()),
        };
        (Failed::of(new, Fate::PossiblyPersisted), next)
    }

    /// Forgets expiries up to `now`, which were settled in flight.
    pub(crate) fn reckon_expiry(&mut self, now: Instant) {
        if self.expires <= now {
            let later = self.records.iter().map(|r| self.expiry(r)).filter(|at| *at > now);
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
        Some(self.fail_some(|position, _| (position == at).then(|| error.clone())))
    }

    /// Takes out and settles the records whose time is over; how many.
    pub(super) fn expire(&mut self, now: Instant, error: &Error) -> Failed {
        if self.expires > now {
            return Failed::default();
        }
        let opened = self.opened;
        self.fail_some(|_, record| {
            let expiry = opened + Duration::from_millis(u64::from(record.expires_after));
            (expiry <= now).then(|| error.clone())
        })
    }

    /// Whether every record's time is over.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.records.iter().all(|record| self.expiry(record) <= now)
    }

    /// Two halves of a batch that the broker found too large; `None` if it has one record.
    #[expect(clippy::result_large_err, reason = "a batch is moved once in its life, not through layers")]
    pub(crate) fn divide(mut self) -> Result<(Self, Self), Self> {
        if self.records.len() < 2 {
            return Err(self);
        }
        let mut indices: Vec<u32> = (0..self.records.len()).map(|p| self.index_at(p)).collect();
        let half = self.records.len() / 2;
        let mut right = Self::open(
            self.completion.clone(),
            self.buffers.clone(),
            self.opened,
            self.opened_wall,
            self.records.split_off(half),
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
        self.measure_keeping_room();
        right.footprint = whole - self.footprint;
        right.measure_keeping_room();
        Ok((self, right))
    }

    /// Recomputes sizes after records were taken out, and gives back their room.
    fn measure(&mut self) {
        let before = self.footprint;
        self.measure_keeping_room();
        let freed = before - self.footprint.min(before);
        self.give_back(freed);
    }

    fn measure_keeping_room(&mut self) {
        let base = self.records.first().map_or(0, |r| r.timestamp);
        self.wire_bytes = BATCH_OVERHEAD;
        self.footprint = 0;
        self.expires = self.opened + FAR;
        for (index, record) in self.records.iter().enumerate() {
            self.wire_bytes += record.encoded_len(index, base);
            self.footprint += record.footprint();
            self.expires =
                self.expires.min(self.opened + Duration::from_millis(u64::from(record.expires_after)));
        }
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
        let empty = Self::open(self.completion.clone(), [None, None], self.opened, 0, Vec::new());
        // Nobody is left to count them.
        let _uncounted = std::mem::replace(self, empty).fail(error);
    }
}
