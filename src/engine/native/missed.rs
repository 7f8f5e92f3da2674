//! For how long the brokers of the present cluster could not be reached.

use std::time::Duration;

use tokio::time::Instant;

/// Attempts further apart than this have nothing to do with one another.
const RELATED: Duration = Duration::from_secs(4);

#[derive(Debug, Default)]
pub(super) struct Missed {
    /// The first attempt that failed, and the last.
    failed: Option<(Instant, Instant)>,
}

impl Missed {
    /// Notes an attempt that failed. Returns the time since the first of those that failed one after the other.
    pub(super) fn failed(&mut self, now: Instant) -> Duration {
        let related = self.failed.filter(|(_, last)| now.saturating_duration_since(*last) <= RELATED);
        let since = related.map_or(now, |(since, _)| since);
        self.failed = Some((since, now));
        now.saturating_duration_since(since)
    }

    /// An attempt succeeded.
    pub(super) fn reached(&mut self) {
        self.failed = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_count_together_until_one_succeeds_or_they_are_far_apart() {
        let (mut missed, now, second) = (Missed::default(), Instant::now(), Duration::from_secs(1));
        assert_eq!(missed.failed(now), Duration::ZERO);
        assert_eq!(missed.failed(now + second), second);
        assert_eq!(missed.failed(now + 4 * second), 4 * second);
        missed.reached();
        assert_eq!(missed.failed(now + 5 * second), Duration::ZERO);
        assert_eq!(missed.failed(now + 3_600 * second), Duration::ZERO, "an hour later");
    }
}
