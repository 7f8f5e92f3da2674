//! Memory of batches that are settled, for the next ones: an allocator gives megabytes back to the system and takes them
//! again page by page, which costs more than to fill them.

use std::collections::VecDeque;

use crate::record::{Records, Room};

/// Smaller ones an allocator keeps by itself.
const LEAST: usize = 64 << 10;
/// One is not taken for records that need less than this part of it.
const WASTE: usize = 4;

/// Emptied records, the last ones, up to a bound of bytes.
#[derive(Debug)]
pub(super) struct Spare {
    kept: VecDeque<Records>,
    bytes: usize,
    most: usize,
}

impl Spare {
    pub(super) fn up_to(most: usize) -> Self {
        Self { kept: VecDeque::new(), bytes: 0, most }
    }

    /// The one that was used last of those that suit.
    pub(super) fn take(&mut self, room: Room) -> Option<Records> {
        let suits = |records: &Records| {
            let capacity = records.capacity();
            room.bytes() <= capacity && capacity / WASTE <= room.bytes()
        };
        let at = self.kept.iter().rposition(suits)?;
        let records = self.kept.remove(at)?;
        self.bytes -= records.memory();
        Some(records)
    }

    /// Keeps emptied ones instead of those that have been unused for longest.
    pub(super) fn keep(&mut self, records: Records) {
        let memory = records.memory();
        if records.capacity() < LEAST || memory > self.most {
            return;
        }
        while self.bytes + memory > self.most {
            let Some(oldest) = self.kept.pop_front() else {
                break;
            };
            self.bytes -= oldest.memory();
        }
        self.bytes += memory;
        self.kept.push_back(records);
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.kept = VecDeque::new();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: usize) -> Records {
        Records::with_room(Room::of(bytes))
    }

    #[test]
    fn what_suits_is_taken_once_and_the_last_first() {
        let mut spare = Spare::up_to(10 << 20);
        let (first, last) = (of(1 << 20), of((1 << 20) + 5_000));
        let capacity = last.capacity();
        spare.keep(first);
        spare.keep(last);
        assert!(spare.take(Room::of(100_000)).is_none(), "a tenth of it would be used");
        assert!(spare.take(Room::of(2 << 20)).is_none(), "it would not be enough");
        assert_eq!(spare.take(Room::of(1 << 20)).map(|records| records.capacity()), Some(capacity));
        assert!(spare.take(Room::of(1 << 20)).is_some());
        assert!(spare.take(Room::of(1 << 20)).is_none());
        assert_eq!(spare.bytes, 0);
    }

    #[test]
    fn the_bound_is_kept_by_those_used_last() {
        let mut spare = Spare::up_to(3 << 20);
        for bytes in [1_000_000, 1_000_000, 100_000, 1_000_000, 10, 9_000_000] {
            spare.keep(of(bytes));
            let memory: usize = spare.kept.iter().map(Records::memory).sum();
            assert!(memory <= 3 << 20 && memory == spare.bytes);
        }
        assert_eq!(spare.kept.len(), 3);
        assert!(spare.take(Room::of(100_000)).is_some());
        spare.clear();
        assert!(spare.take(Room::of(1_000_000)).is_none());
    }
}
