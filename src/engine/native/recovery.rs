//! When the configured brokers are asked again, because those that are known are of no use (KIP-899, KIP-1102).

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// For how long no broker has answered a request for metadata.
#[derive(Debug)]
pub(super) struct Recovery {
    after: Duration,
    since: Mutex<Option<Instant>>,
}

impl Recovery {
    pub(super) fn new(after: Duration) -> Self {
        Self { after, since: Mutex::default() }
    }

    pub(super) fn answered(&self) {
        *self.since.lock() = None;
    }

    /// A request failed. Whether that has gone on for long enough; then time is counted from here again.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let mut since = self.since.lock();
        let due = now.saturating_duration_since(*since.get_or_insert(now)) >= self.after;
        if due {
            *since = None;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_once_requests_have_failed_for_the_whole_time_and_then_not_for_as_long() {
        let (recovery, start) = (Recovery::new(Duration::from_secs(10)), Instant::now());
        let due = |second| recovery.is_due(start + Duration::from_secs(second));
        assert!(!due(0) && !due(9) && due(10) && !due(11) && !due(20) && due(21));
        recovery.answered();
        assert!(!due(40) && due(50));
        assert!(Recovery::new(Duration::ZERO).is_due(start), "at once, where that is configured");
    }
}
