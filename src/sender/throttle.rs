//! What holds a request back: the broker throttles, `rate_limit` is reached, the circuit breaker is open.
//!
//! The limiter stands before the breaker, so that a probe is never parked behind a queue for tokens.

use std::sync::Arc;

use tokio::time::Instant;

use super::broker::Broker;
use crate::clock::later;
use crate::config::OpenCircuit;
use crate::core::Core;
use crate::engine::NodeId;
use crate::error::{Error, ErrorKind, WaitReason};
use crate::resilience::BreakerState;

/// Whether the next request may be sent.
pub(super) enum MaySend {
    Now,
    /// Nothing may leave before this time.
    Until(Instant),
    /// The breaker wants a probe before any record.
    Probe,
    /// The breaker is open and waiting messages are to be failed.
    FailFast(Error),
}

pub(super) fn may_send(core: &Arc<Core>, broker: &Broker, node: NodeId, now: Instant) -> MaySend {
    if let Some(at) = broker.paused_until(now) {
        return MaySend::Until(at);
    }
    let wait = core.pacing.rate_wait(now);
    if let Some(held) = broker.rate_limited(!wait.is_zero(), now) {
        core.stats.rate_limited(held);
    }
    if !wait.is_zero() {
        return MaySend::Until(later(now, wait));
    }
    let mut breaker = broker.breaker();
    match breaker.state(now) {
        BreakerState::Closed | BreakerState::Disabled => MaySend::Now,
        BreakerState::HalfOpen if breaker.try_probe(now) => MaySend::Probe,
        BreakerState::Open | BreakerState::HalfOpen => {
            let left = breaker.retry_after(now);
            drop(breaker);
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

/// While a probe is out its end wakes the broker; this is only the longest that anything sleeps meanwhile.
const PROBE_WAIT: std::time::Duration = std::time::Duration::from_millis(50);

pub(crate) fn circuit_open(broker: &Broker, name: &Arc<str>, left: Option<std::time::Duration>) -> Error {
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
