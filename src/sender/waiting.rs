//! Why messages wait: the one place that knows.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::broker::Broker;
use super::partition::Partition;
use crate::engine::Link;
use crate::error::Error;
use crate::producer::Core;
use crate::resilience::BreakerState;

/// What the messages of a partition wait for, or a request to any broker; with the last failure behind it.
#[derive(Debug)]
pub(crate) struct Waiting {
    reason: Reason,
    cause: Option<Error>,
}

/// See [`Waiting`]. `Display` completes a sentence such as "not acknowledged in time: …".
#[derive(Debug)]
enum Reason {
    /// No broker leads the partition.
    Leader { partition: i32, since: Duration },
    /// The broker throttles (KIP-219).
    Throttled { broker: Arc<str>, left: Duration },
    /// Its circuit breaker is open, or the cluster's.
    Breaker { broker: Arc<str>, left: Option<Duration> },
    /// A request is unanswered.
    Answer { broker: Arc<str>, since: Duration },
    /// The connection is being made.
    Connecting { broker: Arc<str>, since: Duration },
    /// The last attempt to connect failed.
    Disconnected { broker: Arc<str> },
    /// `rate_limit` holds back the next request.
    RateLimit { since: Duration },
    /// The first batch needs a producer id.
    ProducerId,
    /// The last attempt failed; the next is due.
    Retry { broker: Arc<str> },
    /// Nothing is known to be wrong: behind other messages.
    Queue { broker: Arc<str> },
    /// Nothing was sent to any broker yet.
    Nothing,
}

impl Waiting {
    /// What the messages of a partition wait for.
    pub(crate) fn of(core: &Core, partition: &Partition, now: Instant) -> Self {
        let broker = partition.broker();
        if let Some(node) = broker.node() {
            let mut waiting = Self::of_broker(core, &broker, now);
            if let (Reason::Queue { .. }, true) =
                (&waiting.reason, partition.queue(|queue| queue.is_retrying()))
            {
                waiting.reason = Reason::Retry { broker: core.engine.name_of(node) };
            }
            return waiting;
        }
        let since = now.saturating_duration_since(partition.led_since());
        let reason = Reason::Leader { partition: partition.index(), since };
        Self { reason, cause: core.metadata.failure() }
    }

    /// What messages for one broker wait for.
    fn of_broker(core: &Core, broker: &Broker, now: Instant) -> Self {
        let Some(node) = broker.node() else {
            return Self { reason: Reason::Nothing, cause: core.metadata.failure() };
        };
        let name = || core.engine.name_of(node);
        let link = core.engine.link(Some(node), now);
        let state = broker.breaker_state(now);
        let (reason, cause) = if let Some(until) = broker.throttled_until(now) {
            (Reason::Throttled { broker: name(), left: until.saturating_duration_since(now) }, None)
        } else if matches!(state, BreakerState::Open | BreakerState::HalfOpen) {
            (Reason::Breaker { broker: name(), left: broker.retry_after(now) }, None)
        } else if let Some(link) = link {
            Reason::of_link(link)
        } else if let Some(since) = broker.unanswered_since() {
            (Reason::Answer { broker: name(), since: now.saturating_duration_since(since) }, None)
        } else if let Some(since) = broker.rate_limited_since() {
            (Reason::RateLimit { since: now.saturating_duration_since(since) }, None)
        } else if core.policy.idempotent && core.producer_id.current(None).is_none() {
            (Reason::ProducerId, core.metadata.failure())
        } else {
            (Reason::Queue { broker: name() }, None)
        };
        Self { reason, cause: cause.or_else(|| broker.failure()) }
    }

    /// What most explains why messages wait, whichever they are.
    pub(crate) fn of_any(core: &Core, now: Instant) -> Self {
        let brokers = core.brokers.all();
        let leading = brokers.iter().filter(|broker| broker.node().is_some());
        let all = leading.map(|broker| Self::of_broker(core, broker, now));
        all.max_by_key(|waiting| waiting.reason.rank()).unwrap_or_else(|| Self::of_cluster(core, now))
    }

    /// What most explains why these partitions are not done.
    pub(crate) fn of_all(core: &Core, partitions: &[Arc<Partition>], now: Instant) -> Self {
        let all = partitions.iter().map(|partition| Self::of(core, partition, now));
        all.max_by_key(|waiting| waiting.reason.rank()).unwrap_or_else(|| Self::of_any(core, now))
    }

    /// What a request to any broker waits for: metadata, a producer id, a health check.
    pub(crate) fn of_cluster(core: &Core, now: Instant) -> Self {
        let (reason, cause) = match core.engine.link(None, now) {
            // Of several brokers that cannot be reached none is the one to name.
            Some(Link::Failed { last, .. }) => (Reason::Nothing, Some(last)),
            Some(link) => Reason::of_link(link),
            None if matches!(
                core.metadata.breaker_state(now),
                BreakerState::Open | BreakerState::HalfOpen
            ) =>
            {
                let left = core.metadata.breaker_retry_after(now);
                (Reason::Breaker { broker: "the cluster".into(), left }, None)
            }
            None => (Reason::Nothing, None),
        };
        Self { reason, cause: cause.or_else(|| core.metadata.failure()) }
    }

    /// `error` with this as its reason and cause, and the broker that it is about.
    pub(crate) fn explain(&self, what: &str, error: Error) -> Error {
        let Self { reason, cause } = self;
        let text = match reason {
            Reason::Nothing => what.to_owned(),
            reason => format!("{what}: {reason}"),
        };
        let error = error.with_text(text);
        let error = match reason.broker() {
            Some(broker) => error.with_broker(broker.clone()),
            None => error,
        };
        match cause {
            Some(cause) => error.with_cause(cause.clone()),
            None => error,
        }
    }
}

impl Reason {
    fn of_link(link: Link) -> (Self, Option<Error>) {
        match link {
            Link::Silent { broker, since } => (Self::Answer { broker, since }, None),
            Link::Connecting { broker, since, last } => (Self::Connecting { broker, since }, last),
            Link::Failed { broker, last } => (Self::Disconnected { broker }, Some(last)),
        }
    }

    /// How much it explains beside others, and for how long it has been so.
    fn rank(&self) -> (u8, Duration) {
        match self {
            Self::Leader { since, .. } => (6, *since),
            Self::Disconnected { .. } => (5, Duration::ZERO),
            Self::Breaker { .. } => (4, Duration::ZERO),
            Self::Connecting { since, .. } | Self::Answer { since, .. } => (3, *since),
            Self::Throttled { left, .. } => (2, *left),
            Self::RateLimit { since } => (2, *since),
            Self::ProducerId | Self::Retry { .. } => (1, Duration::ZERO),
            Self::Queue { .. } | Self::Nothing => (0, Duration::ZERO),
        }
    }

    fn broker(&self) -> Option<&Arc<str>> {
        match self {
            Self::Throttled { broker, .. }
            | Self::Breaker { broker, .. }
            | Self::Answer { broker, .. }
            | Self::Connecting { broker, .. }
            | Self::Disconnected { broker }
            | Self::Retry { broker }
            | Self::Queue { broker } => Some(broker),
            Self::Leader { .. } | Self::RateLimit { .. } | Self::ProducerId | Self::Nothing => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leader { partition, since } => {
                write!(f, "partition {partition} has had no leader for {}", Seconds(*since))
            }
            Self::Throttled { broker, left } => {
                write!(f, "{broker} throttles this producer for another {}", Seconds(*left))
            }
            Self::Breaker { broker, left: Some(left) } => {
                write!(f, "the circuit breaker of {broker} is open for another {}", Seconds(*left))
            }
            Self::Breaker { broker, left: None } => write!(f, "the circuit breaker of {broker} is half open"),
            Self::Answer { broker, since } => write!(f, "{broker} has not answered for {}", Seconds(*since)),
            Self::Connecting { broker, since } => {
                write!(f, "connecting to {broker} has taken {} so far", Seconds(*since))
            }
            Self::Disconnected { broker } => write!(f, "there is no connection to {broker}"),
            Self::RateLimit { since } => write!(f, "rate_limit has delayed requests for {}", Seconds(*since)),
            Self::ProducerId => f.write_str("the cluster has not granted a producer id yet"),
            Self::Retry { broker } => write!(f, "{broker} has not accepted it yet"),
            Self::Queue { broker } => write!(f, "it is queued for {broker}"),
            Self::Nothing => Ok(()),
        }
    }
}

/// A time as people read it: tenths of a second.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s", self.0.as_secs_f64())
    }
}
