//! One partition's log, and what it remembers of idempotent producers.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::decode::BatchHeader;

/// A batch as it was stored.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredBatch {
    /// Offset of its first record.
    pub base_offset: i64,
    /// Number of its records.
    pub records: i32,
    /// Its producer id; -1 without idempotence.
    pub producer_id: i64,
    /// Its producer epoch.
    pub epoch: i16,
    /// Its first sequence number.
    pub sequence: i32,
    /// Its codec: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    pub codec: i16,
    /// Set where the topic uses the time of appending.
    pub append_time: Option<i64>,
    /// The batch, with the offset and epoch that the broker sets.
    pub bytes: Bytes,
}

#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) leader: Option<i32>,
    pub(super) epoch: i32,
    pub(super) next: i64,
    /// Up to here producers have heard that it is stored.
    acknowledged: i64,
    pub(super) batches: Vec<StoredBatch>,
    producers: HashMap<i64, Producer>,
}

/// What a broker keeps of a producer: its epoch and its last five batches, as Kafka's `ProducerStateEntry`.
#[derive(Debug)]
struct Producer {
    epoch: i16,
    /// First and last sequence number, base offset.
    batches: VecDeque<(i32, i32, i64)>,
}

/// Batches of a producer that Kafka remembers since 1.0, and before.
const KEPT: usize = 5;
const KEPT_BY_0_11: usize = 1;

pub(super) const OUT_OF_ORDER: i16 = 45;
/// What Kafka 0.11 answers to a batch that it stored but does not remember.
const DUPLICATE: i16 = 46;
pub(super) const OLD_EPOCH: i16 = 47;

/// The kind of Kafka that a broker is, by the newest version of Produce that it offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Generation {
    V0_11,
    /// 1.0 to 2.3: a record that it refuses is a corrupt message to it.
    V1_0,
    V2_4,
}

impl Generation {
    pub(super) fn offering(newest_produce: i16) -> Self {
        match newest_produce {
            ..=3 => Self::V0_11,
            4..=7 => Self::V1_0,
            _ => Self::V2_4,
        }
    }
}

/// Where a batch went.
pub(super) enum Appended {
    At(i64),
    /// It was there already.
    Duplicate(i64),
}

impl Log {
    pub(super) fn led_by(leader: i32) -> Self {
        Self { leader: Some(leader), ..Self::default() }
    }

    pub(super) fn append(
        &mut self,
        header: &BatchHeader,
        batch: &Bytes,
        append_time: Option<i64>,
        generation: Generation,
    ) -> Result<Appended, i16> {
        let last = advance(header.sequence, header.count - 1);
        if header.producer_id >= 0 {
            if let Some(offset) = self.duplicate(header, last) {
                return Ok(Appended::Duplicate(offset));
            }
            self.check_sequence(header, last, generation)?;
        }
        let base = self.next;
        self.next += i64::from(header.count);
        if header.producer_id >= 0 {
            self.remember(header.producer_id, header.epoch, (header.sequence, last, base), generation);
        }
        let mut bytes = batch.to_vec();
        bytes[..8].copy_from_slice(&base.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.epoch.to_be_bytes());
        self.batches.push(StoredBatch {
            base_offset: base,
            records: header.count,
            producer_id: header.producer_id,
            epoch: header.epoch,
            sequence: header.sequence,
            codec: header.codec(),
            append_time,
            bytes: bytes.into(),
        });
        Ok(Appended::At(base))
    }

    fn remember(&mut self, id: i64, epoch: i16, batch: (i32, i32, i64), generation: Generation) {
        let new = || Producer { epoch, batches: VecDeque::new() };
        let producer = self.producers.entry(id).or_insert_with(new);
        if producer.epoch != epoch {
            producer.epoch = epoch;
            producer.batches.clear();
        }
        producer.batches.push_back(batch);
        let kept = if generation == Generation::V0_11 { KEPT_BY_0_11 } else { KEPT };
        while producer.batches.len() > kept {
            producer.batches.pop_front();
        }
    }

    /// A producer hears that what it sent is stored, and with it all that came before.
    pub(super) fn acknowledge(&mut self) {
        self.acknowledged = self.next;
    }

    /// Loses what nobody has heard is stored; how many records that was.
    pub(super) fn lose_unacknowledged(&mut self) -> i64 {
        self.truncate(self.acknowledged)
    }

    /// Loses all batches that do not end before this offset; how many records that was.
    pub(super) fn truncate(&mut self, offset: i64) -> i64 {
        self.batches.retain(|batch| batch.base_offset + i64::from(batch.records) <= offset);
        let next = self.batches.last().map_or(0, |batch| batch.base_offset + i64::from(batch.records));
        let lost = self.next - next;
        (self.next, self.acknowledged) = (next, self.acknowledged.min(next));
        self.producers.clear();
        for batch in self.batches.clone().iter().filter(|batch| batch.producer_id >= 0) {
            let numbers = (batch.sequence, advance(batch.sequence, batch.records - 1), batch.base_offset);
            self.remember(batch.producer_id, batch.epoch, numbers, Generation::V2_4);
        }
        lost
    }

    fn duplicate(&self, header: &BatchHeader, last: i32) -> Option<i64> {
        let producer = self.producers.get(&header.producer_id).filter(|p| p.epoch == header.epoch)?;
        let same = |(first, end, _): &&(i32, i32, i64)| (*first, *end) == (header.sequence, last);
        producer.batches.iter().find(same).map(|(_, _, offset)| *offset)
    }

    /// As Kafka's `ProducerAppendInfo`: a producer about which nothing is known may begin anywhere, since what it
    /// wrote may have been deleted; a higher epoch begins at 0; else numbers follow one another.
    fn check_sequence(&self, header: &BatchHeader, last: i32, generation: Generation) -> Result<(), i16> {
        let Some(producer) = self.producers.get(&header.producer_id) else {
            return Ok(());
        };
        if header.epoch < producer.epoch {
            return Err(OLD_EPOCH);
        }
        if header.epoch > producer.epoch {
            return if header.sequence == 0 { Ok(()) } else { Err(OUT_OF_ORDER) };
        }
        let newest = producer.batches.back().map(|(_, last, _)| *last);
        if generation == Generation::V0_11 && newest.is_some_and(|newest| last <= newest) {
            return Err(DUPLICATE);
        }
        let expected = newest.map(|newest| advance(newest, 1));
        if expected.is_none_or(|expected| expected == header.sequence) { Ok(()) } else { Err(OUT_OF_ORDER) }
    }

    pub(super) fn forget_producers(&mut self) {
        self.producers.clear();
    }
}

fn advance(sequence: i32, by: i32) -> i32 {
    ((i64::from(sequence) + i64::from(by)) & 0x7fff_ffff) as i32
}
