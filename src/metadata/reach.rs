//! Whether the cluster answers at all: the circuit breaker of the whole, beside those of its brokers.
//!
//! It is fed by questions about the cluster (metadata, producer ids), which any broker can answer. They are its probes
//! too, so that no record is ever one; being few and paced, they go on while it is open.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Metadata;
use crate::config::OpenCircuit;
use crate::core::Core;
use crate::error::{Blame, Error, ErrorKind, Wait, WaitReason};
use crate::resilience::BreakerState;

impl Metadata {
    /// Counts the outcome of a request that was sent at `asked`.
    pub(crate) fn heard<T>(&self, core: &Arc<Core>, asked: Instant, answer: &Result<T, Error>) {
        let before = std::mem::replace(&mut *self.failure.lock(), answer.as_ref().err().cloned());
        // Dropped without the lock: it may hold a user's error.
        drop(before);
        let good = match answer {
            Ok(_) => true,
            Err(error) if error.row().blame == Blame::Broker => false,
            Err(_) => return,
        };
        let now = Instant::now();
        let (change, shut) = {
            let mut breaker = self.breaker.lock();
            let change = match (breaker.state(now), good) {
                (BreakerState::Closed | BreakerState::Disabled, true) => breaker.on_success(now),
                (BreakerState::Closed | BreakerState::Disabled, false) => breaker.on_failure(asked, now),
                (BreakerState::Open | BreakerState::HalfOpen, good) => breaker.probe_result(good, now),
            };
            (change, matches!(breaker.state(now), BreakerState::Open | BreakerState::HalfOpen))
        };
        let left = self.breaker.lock().retry_after(now);
        core.breaker_changed(&Arc::from(crate::telemetry::CLUSTER), self.breaker_state(now), left, change);
        if good && shut {
            // The next probe.
            self.refresh_soon(core);
        }
    }

    /// A broker stored messages: the cluster answers, whatever failed before.
    pub(crate) fn delivered(&self, core: &Core, now: Instant) {
        let change = {
            let mut breaker = self.breaker.lock();
            let mut change = None;
            while matches!(breaker.state(now), BreakerState::Open | BreakerState::HalfOpen) {
                change = breaker.probe_result(true, now);
            }
            change
        };
        if change.is_some() {
            core.breaker_changed(&Arc::from(crate::telemetry::CLUSTER), BreakerState::Closed, None, change);
        }
    }

    /// Why the last request about the cluster failed; `None` where it did not.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.failure.lock().clone()
    }

    /// When the cluster's breaker lets a probe through.
    pub(crate) fn breaker_retry_after(&self, now: Instant) -> Option<Duration> {
        self.breaker.lock().retry_after(now)
    }

    /// Failures in a row, as the cluster's breaker counts them.
    pub(crate) fn breaker_failures(&self) -> u32 {
        self.breaker.lock().consecutive_failures()
    }

    /// The state of the cluster's breaker.
    pub(crate) fn breaker_state(&self, now: Instant) -> BreakerState {
        self.breaker.lock().state(now)
    }

    /// The error with which messages fail at once, where they are not to wait for an open breaker.
    pub(crate) fn fail_fast(&self, core: &Core, now: Instant) -> Option<Error> {
        let wanted = core.config.circuit_breaker.when_open == OpenCircuit::FailFast;
        (wanted && self.breaker_state(now) == BreakerState::Open).then(|| self.circuit_open(now))
    }

    pub(crate) fn circuit_open(&self, now: Instant) -> Error {
        let (left, failures) = (self.breaker_retry_after(now), self.breaker_failures());
        let text = "the circuit breaker of the cluster is open: no broker has answered repeatedly";
        let reason = WaitReason::BreakerOpen { broker: None, failures, left: left.unwrap_or_default() };
        Wait::new(reason, self.failure())
            .attach(Error::new(ErrorKind::CircuitOpen, text))
            .with_retry_after(left)
    }
}
