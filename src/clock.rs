//! The wall clock, which tests may move; points in time that may be none.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::telemetry::Log;

/// Where the time of day comes from: the system, or a function of the user's. The monotonic clock is tokio's, which
/// tests can pause.
#[derive(Clone, Default)]
pub(crate) struct Clock {
    custom: Option<Arc<dyn Fn() -> SystemTime + Send + Sync>>,
    log: Log,
}

impl Clock {
    pub(crate) fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { custom: Some(Arc::new(now)), log: Log::default() }
    }

    /// This clock, whose panics are reported there.
    pub(crate) fn reporting_to(self, log: &Log) -> Self {
        Self { log: log.clone(), ..self }
    }

    /// Whether reading it calls code of the user's: not to be done while holding a lock.
    pub(crate) fn is_custom(&self) -> bool {
        self.custom.is_some()
    }

    /// The time of day; the system's, should the user's clock panic.
    pub(crate) fn wall(&self) -> SystemTime {
        let custom = self.custom.as_ref().and_then(|now| self.log.contain("the wall clock", || now()));
        custom.unwrap_or_else(SystemTime::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Waits until then; for ever where there is no such time.
pub(crate) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The sooner of two times, where there are any.
pub(crate) fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Thirty years: later than anything that a program waits for, and far from the end of any clock.
const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

/// `wait` after `at`, for a `wait` of any length: settings and brokers may name one that the clock does not reach.
#[inline]
pub(crate) fn later(at: Instant, wait: Duration) -> Instant {
    at.checked_add(wait.min(FAR)).unwrap_or(at)
}

/// `wait` after `at`, where the clock reaches so far: what is later is no limit.
pub(crate) fn deadline(at: Instant, wait: Duration) -> Option<Instant> {
    if wait < FAR { at.checked_add(wait) } else { None }
}

/// `part` of `wait`, at most the longest duration there is. `part` must not be negative.
pub(crate) fn scaled(wait: Duration, part: f64) -> Duration {
    Duration::try_from_secs_f64(wait.as_secs_f64() * part).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wait_is_too_long_for_the_clock() {
        let now = Instant::now();
        for wait in [Duration::MAX, Duration::from_secs(i64::MAX as u64), FAR] {
            assert_eq!(later(now, wait), now + FAR);
            assert_eq!(deadline(now, wait), None);
            assert!(scaled(wait, 1.2) >= wait);
        }
        let second = Duration::from_secs(1);
        assert_eq!(later(now, second), now + second);
        assert_eq!(deadline(now, second), Some(now + second));
        assert_eq!(scaled(second, 0.5), second / 2);
    }
}
