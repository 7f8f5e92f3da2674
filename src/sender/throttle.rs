//! What holds a request back: the broker throttles, `rate_limit` is reached, the circuit breaker is open.
//!
//! The limiter stands before the breaker, so that a probe is never parked behind a queue for tokens.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::broker::Broker;
use crate::clock::later;
use crate::core::Core;
use crate::error::{Error, ErrorKind, Wait, WaitReason};
use crate::resilience::{Breaker, BreakerState};

/// Whether the next request may be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MaySend {
    Now,
    /// Nothing may be sent before this time.
    Until(Instant),
    /// The breaker wants a probe before any record.
    Probe,
    /// The breaker is open; the time until its next probe, where that is known.
    Open(Option<Duration>),
}

/// `paused`: the broker throttles, or its connection is made again. `rate_wait`: how long `rate_limit` delays a request.
fn decide(paused: Option<Instant>, rate_wait: Duration, breaker: &mut Breaker, now: Instant) -> MaySend {
    if let Some(at) = paused {
        return MaySend::Until(at);
    }
    if !rate_wait.is_zero() {
        return MaySend::Until(later(now, rate_wait));
    }
    match breaker.state(now) {
        BreakerState::Closed | BreakerState::Disabled => MaySend::Now,
        BreakerState::HalfOpen if breaker.try_probe(now) => MaySend::Probe,
        BreakerState::Open | BreakerState::HalfOpen => MaySend::Open(breaker.retry_after(now)),
    }
}

pub(super) fn may_send(core: &Core, broker: &Broker, now: Instant) -> MaySend {
    let paused = broker.paused_until(now);
    let rate_wait = if paused.is_some() { Duration::ZERO } else { rate_wait(core, broker, now) };
    decide(paused, rate_wait, &mut broker.breaker(), now)
}

fn rate_wait(core: &Core, broker: &Broker, now: Instant) -> Duration {
    let wait = core.pacing.rate_wait(now);
    if let Some(held) = broker.rate_limited(!wait.is_zero(), now) {
        core.stats.rate_limited(held);
    }
    wait
}

/// The error of a message whose broker has an open circuit breaker; `left`: until the next probe.
pub(crate) fn circuit_open(broker: &Broker, name: &Arc<str>, left: Option<Duration>) -> Error {
    let text = format!("the circuit breaker of {name} is open after repeated failures");
    let reason = WaitReason::BreakerOpen {
        broker: Some(name.clone()),
        failures: broker.consecutive_failures(),
        left: left.unwrap_or_default(),
    };
    Wait::new(reason, broker.failure())
        .attach(Error::new(ErrorKind::CircuitOpen, text))
        .with_retry_after(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resilience::CircuitBreakerConfig;

    const SECOND: Duration = Duration::from_secs(1);

    fn broken(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(CircuitBreakerConfig::default(), fastrand::Rng::new());
        for _ in 0..CircuitBreakerConfig::default().consecutive_failures {
            // Only requests that were begun after the last failure count.
            _ = breaker.on_failure(now + Duration::from_nanos(1), now);
        }
        assert_eq!(breaker.state(now), BreakerState::Open);
        breaker
    }

    #[test]
    fn the_longest_known_delay_counts_and_a_probe_waits_for_no_token() {
        let (now, mut sound) =
            (Instant::now(), Breaker::new(CircuitBreakerConfig::default(), fastrand::Rng::new()));
        let mut open = broken(now);
        let wait = open.retry_after(now).unwrap();
        let then = now + wait;
        // Paused until, wait for the rate limit, breaker, time; what may be done.
        let mut check = |paused, rate_wait, at: Instant, expected| {
            assert_eq!(
                decide(paused, rate_wait, &mut open, at),
                expected,
                "{paused:?}, {rate_wait:?}, {at:?}"
            );
        };
        check(Some(now + SECOND), Duration::ZERO, now, MaySend::Until(now + SECOND));
        check(Some(now + SECOND), 2 * SECOND, now, MaySend::Until(now + SECOND));
        check(None, 2 * SECOND, now, MaySend::Until(now + 2 * SECOND));
        check(None, Duration::ZERO, now, MaySend::Open(Some(wait)));
        check(Some(then + SECOND), Duration::ZERO, then, MaySend::Until(then + SECOND));
        check(None, SECOND, then, MaySend::Until(then + SECOND));
        check(None, Duration::ZERO, then, MaySend::Probe);
        assert!(
            matches!(decide(None, Duration::ZERO, &mut open, then), MaySend::Open(_)),
            "one probe at a time"
        );
        assert_eq!(decide(None, Duration::ZERO, &mut sound, now), MaySend::Now);
        assert_eq!(decide(None, SECOND, &mut sound, now), MaySend::Until(now + SECOND));
    }

    #[test]
    fn no_delay_reaches_beyond_the_clock() {
        let (now, mut breaker) =
            (Instant::now(), Breaker::new(CircuitBreakerConfig::default(), fastrand::Rng::new()));
        assert!(matches!(decide(None, Duration::MAX, &mut breaker, now), MaySend::Until(at) if at > now));
    }
}
