//! How long answers usually take on a connection, and when one is late.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// No answer is late before this time.
pub(super) const LATE: Duration = Duration::from_secs(1);
/// An answer is late when it takes this many times as long as the slowest of the latest ones.
const TIMES_USUAL: u32 = 2;

/// The slowest of the last answers: slow followers make every answer slow, which is not worth a question.
#[derive(Debug, Default)]
pub(super) struct Pace {
    slowest_us: AtomicU64,
}

impl Pace {
    pub(super) fn answered(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // What is forgotten by a race of two answers is noted again by the next.
        let before = self.slowest_us.load(Relaxed);
        let after = took.max(before - before / 8);
        if after != before {
            self.slowest_us.store(after, Relaxed);
        }
    }

    pub(super) fn patience(&self) -> Duration {
        Duration::from_micros(self.slowest_us.load(Relaxed)).saturating_mul(TIMES_USUAL).max(LATE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_second_is_the_least_and_twice_the_slowest_answer_is_late() {
        let pace = Pace::default();
        assert_eq!(pace.patience(), LATE);
        pace.answered(5 * MS);
        assert_eq!(pace.patience(), LATE);
        pace.answered(3_000 * MS);
        assert_eq!(pace.patience(), 6_000 * MS);
    }

    #[test]
    fn slow_answers_are_forgotten_after_a_few_quick_ones() {
        let pace = Pace::default();
        pace.answered(3_000 * MS);
        for _ in 0..20 {
            pace.answered(MS);
        }
        assert_eq!(pace.patience(), LATE);
        pace.answered(Duration::MAX);
        assert!(pace.patience() > LATE);
    }
}
