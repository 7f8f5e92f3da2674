//! The way to one broker: the partitions to be sent there, and the task that serves them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::broker_task::run;
use super::partition::Partition;
use crate::core::Core;
use crate::engine::NodeId;
use crate::error::Error;
use crate::resilience::{Breaker, BreakerState};
use crate::telemetry::BrokerStats;

/// See the [module](self). Partitions without a leader share a broker that leads nowhere: there they only wait
/// for one, or for their deadline.
pub(crate) struct Broker {
    pub(crate) node: Option<NodeId>,
    inbox: Mutex<Vec<Arc<Partition>>>,
    wake: Notify,
    started: AtomicBool,
    in_flight: AtomicUsize,
    /// The number of turns that its task has taken.
    turns: AtomicU64,
    breaker: Mutex<Breaker>,
    /// Nothing is sent before this time: the broker throttles (KIP-219), or a connection has just failed.
    paused: Mutex<Option<Instant>>,
    /// Since when the rate limit holds back the next request.
    rate_limited: Mutex<Option<Instant>>,
    /// Why the last request failed, until one succeeds.
    failure: Mutex<Option<Error>>,
    /// Since when none of the requests in flight was answered.
    unanswered: Mutex<Option<Instant>>,
    /// When each request in flight was sent.
    sent: Mutex<Vec<Instant>>,
}

impl Broker {
    pub(super) fn new(node: Option<NodeId>, breaker: Breaker) -> Arc<Self> {
        Arc::new(Self {
            node,
            inbox: Mutex::default(),
            wake: Notify::new(),
            started: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            turns: AtomicU64::new(0),
            breaker: Mutex::new(breaker),
            paused: Mutex::default(),
            rate_limited: Mutex::default(),
            failure: Mutex::default(),
            unanswered: Mutex::default(),
            sent: Mutex::default(),
        })
    }

    /// The name of its task.
    pub(crate) fn name(&self) -> String {
        match self.node {
            Some(node) => format!("broker {}", node.0),
            None => "partitions without a leader".to_owned(),
        }
    }

    /// Makes the broker look at a partition, and starts its task if need be.
    pub(crate) fn schedule(self: &Arc<Self>, core: &Arc<Core>, partition: Arc<Partition>) {
        self.inbox.lock().push(partition);
        self.wake(core);
    }

    /// Wakes the broker's task, and starts it where there is none yet.
    pub(crate) fn wake(self: &Arc<Self>, core: &Arc<Core>) {
        self.notify();
        if !self.started.swap(true, Ordering::AcqRel) {
            let broker = self.clone();
            core.supervise(self.name(), move |core| {
                let running = Running { broker: broker.clone() };
                async move { run(core, &running.broker).await }
            });
        }
    }

    /// Wakes the broker's task, if there is one.
    pub(crate) fn notify(&self) {
        self.wake.notify_one();
    }

    /// Exchanges the partitions that came in for this list.
    pub(super) fn swap_inbox(&self, emptied: &mut Vec<Arc<Partition>>) {
        std::mem::swap(&mut *self.inbox.lock(), emptied);
    }

    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    pub(super) fn turn(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
    }

    /// Wakes its task, if there is one; the turn after which it has run.
    pub(crate) fn rouse(&self) -> Option<u64> {
        let turn = self.turns.load(Ordering::Relaxed);
        self.wake.notify_one();
        self.started.load(Ordering::Acquire).then_some(turn)
    }

    /// The number of turns that its task has taken.
    pub(crate) fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    pub(crate) fn has_turned(&self, after: u64) -> bool {
        self.turns.load(Ordering::Relaxed) != after
    }

    pub(super) fn set_in_flight(&self, requests: usize) {
        let before = self.in_flight.swap(requests, Ordering::Relaxed);
        let mut unanswered = self.unanswered.lock();
        match requests {
            0 => *unanswered = None,
            // Fewer than before: one was answered just now.
            _ if requests <= before => *unanswered = Some(Instant::now()),
            _ => _ = unanswered.get_or_insert_with(Instant::now),
        }
    }

    /// Since when no request in flight was answered; `None` without any.
    pub(super) fn unanswered_since(&self) -> Option<Instant> {
        *self.unanswered.lock()
    }

    /// Notes that a request is sent; its end is noted when the result is dropped.
    pub(super) fn sending(self: &Arc<Self>, at: Instant) -> Sending {
        self.sent.lock().push(at);
        Sending { broker: self.clone(), at }
    }

    /// Requests that were sent and are not answered, and when the oldest of them was sent.
    pub(super) fn sent(&self) -> (usize, Option<Instant>) {
        let sent = self.sent.lock();
        (sent.len(), sent.iter().min().copied())
    }

    /// Notes the outcome of a request.
    pub(super) fn note(&self, failure: Option<&Error>) {
        let mut last = self.failure.lock();
        let before = match last.is_some() || failure.is_some() {
            true => std::mem::replace(&mut *last, failure.cloned()),
            false => None,
        };
        drop(last);
        // It may hold a user's error.
        drop(before);
    }

    /// Why the last request failed; `None` where it did not.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.failure.lock().clone()
    }

    pub(super) fn rate_limited_since(&self) -> Option<Instant> {
        *self.rate_limited.lock()
    }

    /// Requests in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Sends nothing before `until`: the broker throttles, or a connection has just failed.
    pub(super) fn pause(&self, until: Instant) {
        let mut paused = self.paused.lock();
        *paused = (*paused).max(Some(until));
    }

    pub(super) fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.paused.lock().filter(|until| *until > now)
    }

    /// The same, where the broker throttles.
    pub(crate) fn throttled_until(&self, now: Instant) -> Option<Instant> {
        self.paused_until(now).filter(|_| self.failure.lock().is_none())
    }

    /// Notes whether the rate limit holds back the next request; how long it did, once it no longer does.
    pub(super) fn rate_limited(&self, held: bool, now: Instant) -> Option<Duration> {
        let mut since = self.rate_limited.lock();
        if held {
            since.get_or_insert(now);
            return None;
        }
        since.take().map(|since| now.saturating_duration_since(since))
    }

    pub(super) fn breaker(&self) -> parking_lot::MutexGuard<'_, Breaker> {
        self.breaker.lock()
    }

    /// Whether its broker has not just failed.
    pub(crate) fn is_well(&self, now: Instant) -> bool {
        let breaker = self.breaker.lock();
        breaker.consecutive_failures() == 0
            && matches!(breaker.state(now), BreakerState::Closed | BreakerState::Disabled)
    }

    /// When the breaker lets a probe through.
    pub(crate) fn retry_after(&self, now: Instant) -> Option<Duration> {
        self.breaker.lock().retry_after(now)
    }

    /// The state of its broker.
    pub(crate) fn stats(&self, broker: String, now: Instant) -> BrokerStats {
        let breaker = self.breaker.lock();
        let state = breaker.state(now);
        BrokerStats {
            broker,
            breaker: state,
            breaker_retry_after: breaker.retry_after(now).filter(|_| state == BreakerState::Open),
            consecutive_failures: breaker.consecutive_failures(),
            in_flight: self.in_flight(),
            throttled_for: self.throttled_until(now).map(|until| until.saturating_duration_since(now)),
        }
    }

    /// Failures since the last success.
    pub(crate) fn consecutive_failures(&self) -> u32 {
        self.breaker.lock().consecutive_failures()
    }

    pub(crate) fn breaker_state(&self, now: Instant) -> BreakerState {
        self.breaker.lock().state(now)
    }
}

/// A request in flight.
pub(super) struct Sending {
    broker: Arc<Broker>,
    at: Instant,
}

impl Drop for Sending {
    fn drop(&mut self) {
        let mut sent = self.broker.sent.lock();
        if let Some(at) = sent.iter().position(|at| *at == self.at) {
            sent.swap_remove(at);
        }
    }
}

/// A task that serves the broker.
struct Running {
    broker: Arc<Broker>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.broker.in_flight.store(0, Ordering::Relaxed);
    }
}
