//! Records that leave their batch.

use super::Batch;
use crate::record::Records;

/// Records that were called off may take up to this part of a batch before they are taken out of it: to copy what stays
/// for each of them would cost their square.
const IDLE_PART: usize = 8;

impl Batch {
    /// Takes some records out, as a batch of their own.
    ///
    /// This one must not be in flight, unless the sequence of what was sent no longer matters.
    pub(in crate::accumulator) fn split_off(&mut self, positions: &[usize]) -> Self {
        let mut stays = vec![true; self.records.len()];
        positions.iter().for_each(|position| stays[*position] = false);
        let mut part = self.copy_of(positions);
        part.footprint = part.records.footprint();
        self.footprint = self.footprint.saturating_sub(part.footprint);
        self.keep(&stays);
        part
    }

    /// Some records as a batch of their own, while they stay in this one as well: what was sent still counts for its
    /// sequence, and may yet be stored.
    pub(in crate::accumulator) fn copy_of(&self, positions: &[usize]) -> Self {
        let records = self.records.pick(positions.iter().copied());
        let (completion, buffers) = (self.completion.clone(), self.buffers.clone());
        let mut copy = Self::open(completion, buffers, self.opened, self.opened_wall, records);
        copy.indices = Some(positions.iter().map(|position| self.index_at(*position)).collect());
        (copy.attempts, copy.ordinal) = (self.attempts, self.ordinal);
        (copy.fate, copy.last) = (self.fate, self.last.clone());
        copy.expires = copy.first_expiry();
        self.completion.add_piece();
        copy
    }

    /// The record of one receipt, if it is here, which is not sent any more. It is taken out later.
    pub(in crate::accumulator) fn call_off(&mut self, index: u32) -> Option<Self> {
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
    pub(in crate::accumulator) fn take_out_called_off(&mut self) {
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
        self.expires = self.first_expiry();
    }

    /// Two halves of a batch that the broker found too large; `Err` if it has one record.
    #[expect(clippy::result_large_err, reason = "a batch is moved once in its life, not through layers")]
    pub(in crate::accumulator) fn divide(mut self) -> Result<(Self, Self), Self> {
        let records = self.records.len();
        if records < 2 {
            return Err(self);
        }
        let right: Vec<usize> = (records / 2..records).collect();
        let mut right = self.split_off(&right);
        for half in [&mut self, &mut right] {
            half.sequence = None;
            half.in_doubt = false;
        }
        Ok((self, right))
    }

    /// Leaves an empty batch in the place of this one.
    pub(in crate::accumulator) fn replace(&mut self) -> Self {
        let (completion, buffers) = (self.completion.clone(), [None, None]);
        let empty = Self::open(completion, buffers, self.opened, self.opened_wall, Records::default());
        std::mem::replace(self, empty)
    }
}
