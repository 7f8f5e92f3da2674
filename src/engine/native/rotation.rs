//! Which of several brokers is asked next.

use std::time::Duration;

use tokio::time::Instant;

/// Questions further apart than this have nothing to do with one another.
const RELATED: Duration = Duration::from_secs(2);

/// A request that is repeated soon was not helped by the answer: the broker may know less than others, as one does that was frozen
/// and has not caught up. So another one is asked.
#[derive(Debug, Default)]
pub(super) struct Rotation {
    last: Option<Instant>,
    turn: usize,
}

impl Rotation {
    /// The place of the broker to ask among any number of them.
    pub(super) fn next(&mut self, now: Instant) -> usize {
        let related = |last: Instant| now.saturating_duration_since(last) < RELATED;
        if self.last.replace(now).is_some_and(related) {
            self.turn = self.turn.wrapping_add(1);
        }
        self.turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_question_that_soon_follows_another_is_asked_of_another_broker() {
        let (mut rotation, start) = (Rotation::default(), Instant::now());
        let asked =
            [0, 100, 1_900, 4_000, 9_000, 9_500].map(|ms| rotation.next(start + Duration::from_millis(ms)));
        assert_eq!(asked, [0, 1, 2, 2, 2, 3]);
    }
}
