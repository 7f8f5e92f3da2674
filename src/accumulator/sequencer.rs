//! Sequence numbers of one partition, and when they have to start again (KIP-98, KIP-360).
//!
//! The broker accepts a batch only if its first sequence number follows the last one it stored under the same
//! producer id and epoch, and recognises the last five batches when they are sent again. So a batch whose
//! fate is unknown is always sent again **under the sequence it had**. When a batch that had a sequence fails,
//! those behind it no longer follow; the epoch is then raised and numbers start at 0. Raising the epoch needs no
//! round trip, and fences whatever of the old epoch is still on its way.
//!
//! What makes this safe is that sequences form a chain: under one epoch, a batch can be stored only after all
//! before it were. A broker that knows nothing of a producer takes any number from it, so the chain holds only
//! while the broker knows us. It may forget: its log was truncated, the topic was created again, the producer was
//! idle for too long. So one batch is sent at a time until the broker acknowledges one, and again after every
//! other answer and every rest.
//!
//! A new producer id fences nothing. It is taken only where no copy of a failed batch can still be on its way, or
//! where the broker insists that the old id has a higher epoch than ours, which fences the copies as well.

use std::time::Duration;

use tokio::time::Instant;

use crate::record::{ProducerId, Sequence};

/// A broker that acknowledged a batch within this time still knows its producer. Brokers look for idle producers
/// every ten minutes, and forget them after a day (`producer.id.expiration.ms`) unless they are set to do so sooner.
const REMEMBERED: Duration = Duration::from_secs(60);
/// A broker that refuses this many epochs in a row knows one that is much higher.
const RAISES: u32 = 3;

#[derive(Clone, Debug, Default)]
pub(crate) struct Sequencer {
    pub(super) current: Option<ProducerId>,
    next: i32,
    /// Numbers must start again before anything without a sequence is sent. Batches that may be stored under the old
    /// epoch are sent again under it first.
    pub(super) restart: bool,
    /// An id that must not be used any more.
    spent: Option<i64>,
    /// When the broker last acknowledged a batch of the present id and epoch, unless it may have forgotten it.
    known: Option<Instant>,
    /// A copy of a failed batch may still be on its way, and the present epoch does not fence it yet.
    copies: bool,
    /// Epochs that the broker refused in a row.
    refused: u32,
}

impl Sequencer {
    /// What comes next does not follow: a batch with a sequence failed, or the broker does not know one although
    /// nothing before it is open.
    pub(super) fn broken(&mut self) {
        self.restart = true;
    }

    /// A batch failed that may have been stored: a copy of it may still be on its way.
    pub(super) fn left_in_doubt(&mut self) {
        self.copies = true;
    }

    /// The broker has a higher epoch for this producer id, or says so. Whether the id has to be replaced is decided when
    /// numbers start again: a batch before this one may still be left in doubt.
    pub(super) fn fenced(&mut self) {
        self.restart = true;
        self.refused = self.refused.saturating_add(1);
    }

    /// The present id must not be used any more.
    pub(super) fn spend(&mut self) {
        self.restart = true;
        self.known = None;
        self.spent = self.current.map(|current| current.id).or(self.spent);
    }

    /// The broker may know less than it acknowledged.
    pub(super) fn broker_may_have_forgotten(&mut self) {
        self.known = None;
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

    /// Starts numbers again under a higher epoch. A new id is needed where the broker refuses epochs and no copy has to
    /// be fenced, and where epochs are used up.
    pub(super) fn start_again(&mut self) {
        self.restart = false;
        self.next = 0;
        self.known = None;
        let useless = self.refused > RAISES || (self.refused > 0 && !self.copies);
        if let Some(current) = &mut self.current {
            match current.raised().filter(|_| !useless) {
                Some(raised) => *current = raised,
                None => self.spent = Some(current.id),
            }
        }
    }

    /// What a queue begins with that takes the place of this one's, where it has to fence copies.
    pub(super) fn successor(&self) -> Option<Self> {
        let mut successor = self.clone();
        successor.start_again();
        self.copies.then_some(successor)
    }

    /// The broker stored a batch with this sequence.
    pub(super) fn stored(&mut self, sequence: Sequence, now: Instant) {
        let of_now = |now: &ProducerId| (now.id, now.epoch) == (sequence.producer_id, sequence.epoch);
        if self.current.as_ref().is_some_and(of_now) {
            self.known = Some(now);
            self.refused = 0;
            // Whatever is of an older epoch is refused from here on.
            self.copies &= self.restart;
        }
    }

    /// Whether more than one batch may be in flight.
    pub(super) fn may_pipeline(&self, now: Instant) -> bool {
        self.known.is_some_and(|at| now.saturating_duration_since(at) <= REMEMBERED)
    }

    /// The sequence of the next `count` records.
    pub(super) fn assign(&mut self, count: usize) -> Option<Sequence> {
        let current = self.current?;
        let sequence = Sequence { producer_id: current.id, epoch: current.epoch, first: self.next };
        self.next = sequence.after(count).first;
        Some(sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_id() -> Sequencer {
        let mut sequencer = Sequencer::default();
        sequencer.adopt(ProducerId { id: 7, epoch: 0 });
        sequencer
    }

    #[test]
    fn numbers_follow_one_another() {
        let mut sequencer = with_id();
        assert_eq!(sequencer.assign(3).unwrap().first, 0);
        assert_eq!(sequencer.assign(2).unwrap().first, 3);
    }

    #[test]
    fn starting_again_raises_the_epoch_without_a_new_id() {
        let mut sequencer = with_id();
        sequencer.assign(3);
        sequencer.broken();
        sequencer.start_again();
        assert!(!sequencer.restart);
        let sequence = sequencer.assign(1).unwrap();
        assert_eq!((sequence.producer_id, sequence.epoch, sequence.first), (7, 1, 0));
    }

    #[test]
    fn a_refused_epoch_is_raised_while_there_are_copies_and_a_few_times_at_most() {
        let mut sequencer = with_id();
        sequencer.fenced();
        // What was before it failed later.
        sequencer.left_in_doubt();
        sequencer.start_again();
        assert_eq!(sequencer.needs(), Ok(()), "a new id would fence nothing");
        for _ in 0..RAISES {
            sequencer.fenced();
            sequencer.start_again();
        }
        assert_eq!(sequencer.needs(), Err(Some(7)), "the broker knows a much higher one");
        let mut sequencer = with_id();
        sequencer.fenced();
        sequencer.start_again();
        assert_eq!(sequencer.needs(), Err(Some(7)), "nothing to be fenced");
    }

    #[test]
    fn what_takes_its_place_fences_copies_of_what_failed() {
        let mut sequencer = with_id();
        sequencer.assign(3);
        assert!(sequencer.successor().is_none(), "nothing failed");
        sequencer.left_in_doubt();
        let mut successor = sequencer.successor().unwrap();
        let sequence = successor.assign(1).unwrap();
        assert_eq!((sequence.producer_id, sequence.epoch, sequence.first), (7, 1, 0));
        assert!(successor.successor().is_some(), "not acknowledged yet");
        successor.stored(sequence, Instant::now());
        assert!(successor.successor().is_none(), "fenced");
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
