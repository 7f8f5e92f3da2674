//! What has to hold at the end of a schedule.

use std::collections::HashMap;
use std::task::{Poll, Waker};

use super::{Entry, World};
use crate::error::Fate;

impl World {
    pub(super) fn check(&self) {
        assert_eq!(self.buffer.used(), 0, "room is missing");
        assert_eq!(self.settled, self.entries.len(), "each is counted once");
        let mut acked = HashMap::new();
        for (number, entry) in self.entries.iter().enumerate() {
            let outcome = entry.outcome.expect("a receipt is open");
            let again = super::outcome(entry, &self.waker, self.broker.life()).unwrap();
            match (outcome, again) {
                (Ok((life, offset)), Ok((_, same))) => {
                    assert_eq!(offset, same);
                    assert_eq!(
                        self.broker.logs[life][offset as usize], number as u32,
                        "acknowledged, not stored"
                    );
                    let last = acked.insert(life, offset);
                    assert!(last.is_none_or(|last| last < offset), "acknowledged out of order");
                }
                (Err(fate), Err(same)) => assert_eq!(fate, same),
                other => panic!("an answer changed: {other:?}"),
            }
        }
        for log in &self.broker.logs {
            let phantom =
                |number: &&u32| self.entries[**number as usize].outcome == Some(Err(Fate::NotPersisted));
            assert_eq!(log.iter().find(phantom), None, "not persisted, but stored");
            let in_order = log.windows(2).all(|pair| pair[0] < pair[1]);
            assert!(self.forgetful || in_order, "out of order or stored twice: {log:?}");
        }
    }
}

pub(super) fn outcome(entry: &Entry, waker: &Waker, life: usize) -> Option<Result<(usize, i64), Fate>> {
    match entry.receipt.batch.poll(entry.receipt.accepted.index, waker) {
        Poll::Pending => None,
        Poll::Ready(Ok(stored)) => Some(Ok((life, stored.offset.unwrap()))),
        Poll::Ready(Err(error)) => Some(Err(error.fate())),
    }
}
