//! Points in time: checked arithmetic, and times that may be none.

mod recent;

use std::time::Duration;

use tokio::time::Instant;

pub(crate) use self::recent::{accepted, recently};

/// Waits until then; forever, where there is no such time.
pub(crate) async fn until(at: Option<Instant>) {
    if_any(at.map(tokio::time::sleep_until)).await;
}

/// The outcome of this future; never, where there is none.
pub(crate) async fn if_any<F: Future>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
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

/// `wait` after `at`, where the clock reaches so far: a later time means no limit.
pub(crate) fn deadline(at: Instant, wait: Duration) -> Option<Instant> {
    if wait < FAR { at.checked_add(wait) } else { None }
}

/// Whole milliseconds, rounded down.
#[inline]
pub(crate) fn millis(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000).saturating_add(u64::from(time.subsec_millis()))
}

/// Whole milliseconds, rounded up.
#[inline]
pub(crate) fn millis_up(time: Duration) -> u64 {
    millis(time).saturating_add(u64::from(time.subsec_nanos() % 1_000_000 > 0))
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

    #[test]
    fn milliseconds_are_whole_and_saturate() {
        let time = Duration::from_micros(1_500);
        assert_eq!((millis(time), millis_up(time)), (1, 2));
        assert_eq!((millis(2 * time), millis_up(2 * time)), (3, 3));
        assert_eq!((millis(Duration::MAX), millis_up(Duration::MAX)), (u64::MAX, u64::MAX));
    }
}
