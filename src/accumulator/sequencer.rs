//! Sequence numbers of one partition, and when they have to start again (KIP-98, KIP-360).
//!
//! The broker accepts a batch only if its first sequence number follows the last one it stored under the same
//! producer id and epoch, and recognises the last five batches when they are sent again. So a batch whose
//! fate is unknown is always sent again **under the sequence it had**. When a batch that had a sequence is
//! given up, those behind it no longer follow; the epoch is then raised and numbers start at 0. Raising the
//! epoch needs no round trip, and fences whatever of the old epoch is still on its way.
//!
//! What makes this safe is that sequences form a chain: under one epoch, a batch can be stored only after all
//! before it were. A broker that knows nothing of a producer takes any number from it, so the chain holds only from
//! the first acknowledgement on: until then one batch is sent at a time.

use crate::record::Sequence;

/// What `InitProducerId` answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducerId {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

#[derive(Debug, Default)]
pub(super) struct Sequencer {
    current: Option<ProducerId>,
    next: i32,
    /// Numbers must start again before anything without a sequence is sent. Batches that may be stored under the old
    /// epoch are sent again under it first.
    restart: bool,
    /// An id that the broker no longer takes.
    spent: Option<i64>,
    /// The broker knows the present id and epoch: it has stored a batch of them.
    known: bool,
}

impl Sequencer {
    pub(super) fn must_restart(&self) -> bool {
        self.restart
    }

    /// What comes next does not follow: a batch with a sequence was given up, or the broker does not know one although
    /// nothing before it is open.
    pub(super) fn broken(&mut self) {
        self.restart = true;
    }

    /// The broker refuses the producer id itself.
    pub(super) fn fenced(&mut self) {
        self.spent = self.current.map(|current| current.id);
        self.restart = true;
    }

    /// The id that must be replaced, or `Ok` if one is there.
    pub(super) fn needs(&self) -> Result<(), Option<i64>> {
        match (self.current, self.spent) {
            (_, Some(spent)) => Err(Some(spent)),
            (None, None) => Err(None),
            (Some(_), None) => Ok(()),
        }
    }

    /// Takes an id, unless it is the spent one or the present one.
    pub(super) fn adopt(&mut self, id: ProducerId) {
        if self.spent == Some(id.id) || self.needs().is_ok() {
            return;
        }
        *self = Self { current: Some(id), restart: self.restart, ..Self::default() };
    }

    /// Starts numbers again under a higher epoch. Where the epoch is used up, a new id is needed.
    pub(super) fn start_again(&mut self) {
        self.restart = false;
        self.next = 0;
        self.known = false;
        if let Some(current) = &mut self.current {
            match current.epoch.checked_add(1) {
                Some(epoch) => current.epoch = epoch,
                None => self.spent = Some(current.id),
            }
        }
    }

    /// The broker stored a batch with this sequence.
    pub(super) fn stored(&mut self, sequence: Sequence) {
        let of_now = |now: &ProducerId| (now.id, now.epoch) == (sequence.producer_id, sequence.epoch);
        self.known |= self.current.as_ref().is_some_and(of_now);
    }

    /// Whether more than one batch may be in flight.
    pub(super) fn may_pipeline(&self) -> bool {
        self.known
    }

    /// The sequence of the next `count` records.
    pub(super) fn assign(&mut self, count: usize) -> Option<Sequence> {
        let current = self.current?;
        let first = self.next;
        self.next = advance(first, count);
        Some(Sequence { producer_id: current.id, epoch: current.epoch, first })
    }
}

/// Sequences wrap from 2^31 - 1 to 0.
fn advance(first: i32, count: usize) -> i32 {
    ((first as u32).wrapping_add(count as u32) & 0x7fff_ffff) as i32
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn with_id() -> Sequencer {
        let mut sequencer = Sequencer::default();
        sequencer.adopt(ProducerId { id: 7, epoch: 0 });
        sequencer
    }

    #[test]
    fn numbers_follow_one_another_and_wrap_to_zero() {
        let mut sequencer = with_id();
        assert_eq!(sequencer.assign(3).unwrap().first, 0);
        assert_eq!(sequencer.assign(2).unwrap().first, 3);
        assert_eq!(advance(i32::MAX, 1), 0);
        assert_eq!(advance(i32::MAX - 1, 3), 1);
    }

    #[test]
    fn starting_again_raises_the_epoch_without_a_new_id() {
        let mut sequencer = with_id();
        sequencer.assign(3);
        sequencer.broken();
        sequencer.start_again();
        assert!(!sequencer.must_restart());
        let sequence = sequencer.assign(1).unwrap();
        assert_eq!((sequence.producer_id, sequence.epoch, sequence.first), (7, 1, 0));
    }

    #[test]
    fn an_epoch_that_is_used_up_asks_for_a_new_id() {
        let mut sequencer = Sequencer::default();
        sequencer.adopt(ProducerId { id: 7, epoch: i16::MAX });
        sequencer.start_again();
        assert_eq!(sequencer.needs(), Err(Some(7)));
        sequencer.adopt(ProducerId { id: 7, epoch: 0 });
        assert_eq!(sequencer.needs(), Err(Some(7)), "the spent id is not taken again");
        sequencer.adopt(ProducerId { id: 8, epoch: 0 });
        assert_eq!(sequencer.needs(), Ok(()));
    }
}
