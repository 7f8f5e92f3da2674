//! Records that leave their batch.

use super::Batch;
use crate::record::Records;

/// Records that were called off may take up to this part of a batch before they are taken out of it: to copy what stays
/// for each of them would cost their square.
const IDLE_PART: usize = 8;

impl Batch {
    /// Takes some records out, as a separate batch.
    ///
    /// This one must not be in flight, unless the sequence of what was sent no longer matters.
    pub(crate) fn split_off(&mut self, positions: &[usize]) -> Self {
        let mut stays = vec![true; self.records.len()];
        positions.iter().for_each(|position| stays[*position] = false);
        let mut part = self.copy_of(positions);
        part.footprint = part.records.footprint();
        self.footprint = self.footprint.saturating_sub(part.footprint);
        self.keep(&stays);
        part
    }

    /// Some records as a separate batch, while they stay in this one as well: what was sent still counts for its
    /// sequence, and may yet be stored.
    pub(crate) fn copy_of(&self, positions: &[usize]) -> Self {
        let records = self.records.pick(positions.iter().copied());
        let (completion, budget) = (self.completion.clone(), self.budget.clone());
        let mut copy = Self::open(completion, budget, self.opened, self.opened_wall, records);
        copy.indices = Some(positions.iter().map(|position| self.index_at(*position)).collect());
        (copy.attempts, copy.ordinal) = (self.attempts, self.ordinal);
        (copy.fate, copy.last) = (self.fate, self.last.clone());
        copy.set_expiry(copy.first_expiry());
        self.completion.add_piece();
        copy
    }

    /// The record of one receipt, if it is here, which is not sent any more. It is taken out later.
    pub(crate) fn call_off(&mut self, index: u32) -> Option<Self> {
        let position = self.position_of(index)?;
        let mut part = self.copy_of(&[position]);
        part.footprint = part.records.footprint();
        self.footprint = self.footprint.saturating_sub(part.footprint);
        self.called_off.push(position);
        self.called_off_bytes += part.footprint;
        if self.called_off_bytes * IDLE_PART >= self.footprint + self.called_off_bytes {
            self.take_out_called_off();
        }
        Some(part)
    }

    /// Takes out what was called off.
    pub(crate) fn take_out_called_off(&mut self) {
        if self.called_off.is_empty() {
            return;
        }
        let mut stays = vec![true; self.records.len()];
        self.called_off.drain(..).for_each(|position| stays[position] = false);
        self.called_off_bytes = 0;
        self.keep(&stays);
    }

    fn keep(&mut self, stays: &[bool]) {
        let kept = || stays.iter().enumerate().filter(|(_, stays)| **stays).map(|(position, _)| position);
        let records = self.records.pick(kept());
        self.indices = Some(kept().map(|position| self.index_at(position)).collect());
        self.records = records;
        self.set_expiry(self.first_expiry());
    }

    /// Two halves of a batch that is too large, whose numbers go on from one to the other; `Err` if it has one record.
    #[expect(clippy::result_large_err, reason = "a batch is moved once in its life, not through layers")]
    pub(crate) fn divide(mut self) -> Result<(Self, Self), Self> {
        let records = self.records.len();
        if records < 2 {
            return Err(self);
        }
        let right: Vec<usize> = (records / 2..records).collect();
        let mut right = self.split_off(&right);
        right.sequence = self.sequence.map(|sequence| sequence.after(self.records.len()));
        Ok((self, right))
    }

    /// Leaves an empty batch in the place of this one.
    pub(crate) fn replace(&mut self) -> Self {
        let (completion, budget) = (self.completion.clone(), self.budget.clone());
        let empty = Self::open(completion, budget, self.opened, self.opened_wall, Records::default());
        std::mem::replace(self, empty)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::accumulator::batch::Arrival;
    use crate::accumulator::completion::Completion;
    use crate::accumulator::waiters::Settlement;
    use crate::accumulator::{Budget, Buffer};
    use crate::error::{Error, ErrorKind};
    use crate::message::Message;
    use crate::record::message_footprint;
    use crate::supervisor::Supervisor;
    use crate::telemetry::Log;

    const RECORDS: u32 = 4_000;

    fn batch(wall: i64, delivery: Duration, records: u32) -> (Batch, Arc<Buffer>) {
        let buffer = Buffer::new(1 << 30);
        let completion = Completion::new("t".into(), 0, 1, Supervisor::new(None));
        let now = Instant::now();
        let mut batch =
            Batch::open(completion, Budget::new(buffer.clone(), None), now, wall, Records::default());
        for number in 0..records {
            let message = Message::new(number.to_string());
            let footprint = message_footprint(&message);
            assert_eq!(buffer.try_take(footprint), Ok(()));
            let arrival = Arrival { message: &message, footprint, now, deadline: None };
            batch.push(&arrival, delivery, usize::MAX).unwrap();
        }
        (batch, buffer)
    }

    /// Calls records off in this order; how many were copied for it.
    fn copied(order: impl Iterator<Item = u32>) -> usize {
        let (mut batch, buffer) = batch(0, Duration::from_secs(1), RECORDS);
        let (log, before) = (Log::ambient(), Records::picked());
        let mut called_off = 0;
        for index in order {
            let mut settlement = Settlement::new(&log);
            let error = Error::new(ErrorKind::Cancelled, "called off");
            batch.call_off(index).unwrap().fail(error, &mut settlement);
            called_off += settlement.carry_out().total();
        }
        assert_eq!((called_off, batch.records.len()), (RECORDS as usize, 0));
        let mut settlement = Settlement::new(&log);
        batch.end(&mut settlement);
        assert_eq!(settlement.carry_out().total(), 0);
        assert_eq!(buffer.used(), 0);
        Records::picked() - before
    }

    #[test]
    fn to_call_off_every_record_of_a_batch_copies_each_a_few_times_and_not_for_each_other() {
        let mut random: Vec<u32> = (0..RECORDS).collect();
        fastrand::Rng::with_seed(7).shuffle(&mut random);
        let most = (2 * IDLE_PART) * RECORDS as usize;
        for copied in [copied(0..RECORDS), copied((0..RECORDS).rev()), copied(random.into_iter())] {
            assert!(copied <= most, "{copied} records were copied");
        }
    }

    #[test]
    fn a_clock_before_1970_and_a_time_without_end_are_no_trouble() {
        let (mut batch, _buffer) = batch(i64::MIN, Duration::MAX, 1);
        assert_eq!(batch.records.base, 0, "a time that Kafka cannot store");
        assert!(batch.expires > Instant::now() + Duration::from_secs(86_400));
        let log = Log::ambient();
        let mut settlement = Settlement::new(&log);
        batch.replace().fail(Error::new(ErrorKind::Cancelled, "over"), &mut settlement);
        assert_eq!(settlement.carry_out().total(), 1);
    }
}
