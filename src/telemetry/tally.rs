//! A counter in parts, so that threads that count at the same time do not write to the same memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

/// The sum of its parts, also of those that are gone.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    parts: Mutex<Parts>,
}

#[derive(Debug, Default)]
struct Parts {
    gone: u64,
    live: Vec<Arc<AtomicU64>>,
}

/// A part of a [`Tally`]. A default one is part of none.
#[derive(Debug, Default)]
pub(crate) struct Part(Arc<AtomicU64>);

impl Part {
    #[inline]
    pub(crate) fn add(&mut self, count: u64) {
        // Nobody else writes to it.
        self.0.store(self.0.load(Relaxed).wrapping_add(count), Relaxed);
    }
}

impl Tally {
    pub(crate) fn part(&self) -> Part {
        let part = Part::default();
        let mut parts = self.parts.lock();
        parts.forget_gone();
        parts.live.push(part.0.clone());
        part
    }

    pub(crate) fn total(&self) -> u64 {
        let parts = self.parts.lock();
        parts.live.iter().fold(parts.gone, |sum, part| sum.wrapping_add(part.load(Relaxed)))
    }
}

impl Parts {
    fn forget_gone(&mut self) {
        let Self { gone, live } = self;
        live.retain(|part| {
            let is_live = Arc::strong_count(part) > 1;
            if !is_live {
                *gone = gone.wrapping_add(part.load(Relaxed));
            }
            is_live
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_stays_counted_when_its_part_is_gone() {
        let tally = Tally::default();
        let (mut one, mut other) = (tally.part(), tally.part());
        one.add(3);
        other.add(4);
        assert_eq!(tally.total(), 7);
        drop(one);
        assert_eq!(tally.total(), 7);
        let mut third = tally.part();
        third.add(1);
        assert_eq!((tally.total(), tally.parts.lock().live.len()), (8, 2));
        Part::default().add(9);
        assert_eq!(tally.total(), 8);
    }
}
