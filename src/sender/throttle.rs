//! What holds a request back: the broker throttles, `rate_limit` is reached, the circuit breaker is open.
//!
//! The limiter stands before the breaker, so that a probe is never parked behind a queue for tokens.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::broker::Broker;
use crate::clock::later;
use crate::config::OpenCircuit;
use crate::core::Core;
use crate::engine::NodeId;
use crate::error::{Error, ErrorKind, WaitReason};
use crate::resilience::{Breaker, BreakerState};

/// While a probe is out its end wakes the task; this is only the longest that anything sleeps meanwhile.
const PROBE_WAIT: Duration = Duration::from_millis(50);

/// Whether the next request may be sent.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Now,
    /// Nothing may be sent before this time.
    Until(Instant),
    /// The breaker wants a probe before any record.
    Probe,
    /// The breaker is open, until its next probe: so long, where that is known.
    Open(Option<Duration>),
}

/// `paused`: the broker throttles, or its connection is made again. `rate_wait`: how long `rate_limit` delays a request.
fn decide(paused: Option<Instant>, rate_wait: Duration, breaker: &mut Breaker, now: Instant) -> Decision {
    if let Some(at) = paused {
        return Decision::Until(at);
    }
    if !rate_wait.is_zero() {
        return Decision::Until(later(now, rate_wait));
    }
    match breaker.state(now) {
        BreakerState::Closed | BreakerState::Disabled => Decision::Now,
        BreakerState::HalfOpen if breaker.try_probe(now) => Decision::Probe,
        BreakerState::Open | BreakerState::HalfOpen => Decision::Open(breaker.retry_after(now)),
    }
}

/// What a broker's task does with its next request.
pub(super) enum MaySend {
    Now,
    /// Nothing may be sent before this time.
    Until(Instant),
    /// The breaker wants a probe before any record.
    Probe,
    /// The breaker is open and waiting messages are to be failed.
    FailFast(Error),
}

pub(super) fn may_send(core: &Arc<Core>, broker: &Broker, node: NodeId, now: Instant) -> MaySend {
    let paused = broker.paused_until(now);
    let rate_wait = if paused.is_some() { Duration::ZERO } else { core.pacing.rate_wait(now) };
    if paused.is_none() {
        if let Some(held) = broker.rate_limited(!rate_wait.is_zero(), now) {
            core.stats.rate_limited(held);
        }
    }
    let decision = decide(paused, rate_wait, &mut broker.breaker(), now);
    match decision {
        Decision::Now => MaySend::Now,
        Decision::Until(at) => MaySend::Until(at),
        Decision::Probe => MaySend::Probe,
        Decision::Open(left) => {
            // Nothing is sent that would show that another broker leads by now.
            core.metadata.refresh_soon(core);
            if core.config.circuit_breaker.when_open == OpenCircuit::FailFast {
                return MaySend::FailFast(circuit_open(broker, &core.engine.name_of(node), left));
            }
            // A probe is on its way, or its time has not come.
            MaySend::Until(later(now, left.unwrap_or(PROBE_WAIT).max(PROBE_WAIT)))
        }
    }
}

pub(crate) fn circuit_open(broker: &Broker, name: &Arc<str>, left: Option<Duration>) -> Error {
    let error = Error::new(
        ErrorKind::CircuitOpen,
        format!("the circuit breaker of {name} is open after repeated failures"),
    )
    .with_broker(name.clone())
    .with_retry_after(left)
    .with_wait_reason(WaitReason::BreakerOpen {
        broker: Some(name.clone()),
        failures: broker.consecutive_failures(),
        left: left.unwrap_or_default(),
    });
    match broker.failure() {
        Some(failure) => error.with_cause(failure),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resilience::CircuitBreakerConfig;

    const SECOND: Duration = Duration::from_secs(1);

    fn broken(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(CircuitBreakerConfig::default());
        for _ in 0..CircuitBreakerConfig::default().consecutive_failures {
            // Only requests that were begun after the last failure count.
            _ = breaker.on_failure(now + Duration::from_nanos(1), now);
        }
        assert_eq!(breaker.state(now), BreakerState::Open);
        breaker
    }

    #[test]
    fn the_longest_known_delay_counts_and_a_probe_waits_for_no_token() {
        let (now, mut sound) = (Instant::now(), Breaker::new(CircuitBreakerConfig::default()));
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
        check(Some(now + SECOND), Duration::ZERO, now, Decision::Until(now + SECOND));
        check(Some(now + SECOND), 2 * SECOND, now, Decision::Until(now + SECOND));
        check(None, 2 * SECOND, now, Decision::Until(now + 2 * SECOND));
        check(None, Duration::ZERO, now, Decision::Open(Some(wait)));
        check(Some(then + SECOND), Duration::ZERO, then, Decision::Until(then + SECOND));
        check(None, SECOND, then, Decision::Until(then + SECOND));
        check(None, Duration::ZERO, then, Decision::Probe);
        assert!(
            matches!(decide(None, Duration::ZERO, &mut open, then), Decision::Open(_)),
            "one probe at a time"
        );
        assert_eq!(decide(None, Duration::ZERO, &mut sound, now), Decision::Now);
        assert_eq!(decide(None, SECOND, &mut sound, now), Decision::Until(now + SECOND));
    }

    #[test]
    fn no_delay_reaches_beyond_the_clock() {
        let (now, mut breaker) = (Instant::now(), Breaker::new(CircuitBreakerConfig::default()));
        assert!(matches!(decide(None, Duration::MAX, &mut breaker, now), Decision::Until(at) if at > now));
    }
}
