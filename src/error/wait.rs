//! What something waits for, as a value that errors, receipts, explanations and health reports share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Error, with_causes};

/// A broker that has not answered for this long holds messages up; below it, its requests in flight are just not answered yet.
pub(crate) const SILENT: Duration = Duration::from_secs(1);

/// Why something waits, and the last failure behind it.
///
/// `Display` is one sentence that includes the last failure.
#[derive(Clone, Debug)]
pub struct Wait {
    pub(crate) reason: WaitReason,
    pub(crate) last_error: Option<Error>,
}

impl Wait {
    pub(crate) fn new(reason: WaitReason, last_error: Option<Error>) -> Self {
        Self { reason, last_error }
    }

    /// What it waits for.
    #[must_use]
    pub fn reason(&self) -> &WaitReason {
        &self.reason
    }

    /// `error` with this as its reason and cause, and the broker that it is about.
    pub(crate) fn explain(&self, what: &str, error: Error) -> Error {
        let Self { reason, last_error } = self;
        let text = match (reason, last_error) {
            // The cause says more than that there is one.
            (WaitReason::NoBroker, Some(_)) => what.to_owned(),
            (reason, _) => format!("{what}: {reason}"),
        };
        self.attach(error.with_text(text))
    }

    /// `error`, whose text says all this, with this as its reason and cause, and the broker that it is about.
    pub(crate) fn attach(&self, error: Error) -> Error {
        let error = match self.reason.broker_arc() {
            Some(broker) => error.with_broker(broker.clone()),
            None => error,
        };
        error.with_wait_reason(self.reason.clone()).with_cause(self.last_error.clone())
    }

    /// The last failure behind it, if there was one.
    #[must_use]
    pub fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.last_error {
            Some(error) => write!(f, "{}: {}", self.reason, with_causes(error)),
            None => self.reason.fmt(f),
        }
    }
}

/// What a message, a call or a broker's requests wait for.
///
/// Brokers are `host:port`, as in [`Error::broker`]. `Display` is one sentence, without the failure behind it.
///
/// # Examples
///
/// ```
/// use rskafka_producer::{Error, WaitReason};
///
/// /// Whether a time-out was caused by this producer's own settings rather than by Kafka.
/// fn is_self_inflicted(error: &Error) -> bool {
///     matches!(
///         error.wait_reason(),
///         Some(WaitReason::RateLimit { .. } | WaitReason::TopicShare { .. })
///     )
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitReason {
    /// No broker leads the partition.
    #[non_exhaustive]
    NoLeader {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// Time since it lost its leader, or was first used.
        elapsed: Duration,
    },
    /// The broker throttles this producer (KIP-219).
    #[non_exhaustive]
    Throttled {
        /// The broker.
        broker: Arc<str>,
        /// Time until it accepts requests again.
        left: Duration,
    },
    /// A circuit breaker is open.
    #[non_exhaustive]
    BreakerOpen {
        /// The broker; `None` for the breaker of the whole cluster.
        broker: Option<Arc<str>>,
        /// Failures in a row.
        failures: u32,
        /// Time until it lets a probe through.
        left: Duration,
    },
    /// A circuit breaker is half open: a probe has to succeed first.
    #[non_exhaustive]
    BreakerHalfOpen {
        /// The broker; `None` for the breaker of the whole cluster.
        broker: Option<Arc<str>>,
    },
    /// Requests are unanswered.
    #[non_exhaustive]
    Response {
        /// The broker.
        broker: Arc<str>,
        /// Produce requests in flight; 0 if another request is unanswered.
        in_flight: usize,
        /// Time since the oldest of them was sent.
        oldest: Duration,
        /// Time since the broker last answered a request.
        silent: Duration,
    },
    /// A connection is being made.
    #[non_exhaustive]
    Connecting {
        /// The broker.
        broker: Arc<str>,
        /// Time since it was started.
        elapsed: Duration,
    },
    /// The last attempt to connect to the broker failed.
    #[non_exhaustive]
    Disconnected {
        /// The broker.
        broker: Arc<str>,
    },
    /// No broker of the cluster can be reached.
    NoBroker,
    /// [`rate_limit`](crate::ProducerConfig::rate_limit) delays the next request.
    #[non_exhaustive]
    RateLimit {
        /// Time for which it has been delayed.
        elapsed: Duration,
        /// Time until it may be sent.
        left: Duration,
    },
    /// The cluster has not granted the producer id that idempotence needs.
    ProducerId,
    /// An attempt failed, and the next one is not due yet.
    #[non_exhaustive]
    Retry {
        /// The broker.
        broker: Arc<str>,
        /// Attempts so far.
        attempts: u32,
        /// Time until the next attempt.
        left: Duration,
    },
    /// The metadata of a topic has not been fetched yet.
    #[non_exhaustive]
    Metadata {
        /// The topic.
        topic: Arc<str>,
        /// Time since it was first requested.
        elapsed: Duration,
    },
    /// The buffer has no space for the message.
    #[non_exhaustive]
    BufferSpace {
        /// Bytes in use.
        used: usize,
        /// Bytes that it holds, `buffer.max_bytes`.
        capacity: usize,
        /// The topic that uses most of it.
        topic: Option<Arc<str>>,
        /// Bytes that this topic uses.
        topic_bytes: usize,
        /// What the messages in it wait for.
        because: Option<Box<Self>>,
    },
    /// The topic's share of the buffer has no space for the message.
    #[non_exhaustive]
    TopicShare {
        /// The topic.
        topic: Arc<str>,
        /// Bytes in use.
        used: usize,
        /// Bytes that it may use, by `bulkhead.topic_share`.
        capacity: usize,
        /// What the messages in it wait for.
        because: Option<Box<Self>>,
    },
    /// The batch may linger for more messages.
    #[non_exhaustive]
    Linger {
        /// Time until it is sent.
        left: Duration,
    },
    /// The batch is being compressed.
    Compression,
    /// Nothing holds it up: it is about to be sent.
    #[non_exhaustive]
    Queue {
        /// The broker.
        broker: Arc<str>,
    },
}

impl WaitReason {
    /// The broker that it is about, if it is about one.
    #[must_use]
    pub fn broker(&self) -> Option<&str> {
        self.broker_arc().map(|broker| &**broker)
    }

    pub(crate) fn broker_arc(&self) -> Option<&Arc<str>> {
        match self {
            Self::Throttled { broker, .. }
            | Self::Response { broker, .. }
            | Self::Connecting { broker, .. }
            | Self::Disconnected { broker }
            | Self::Retry { broker, .. }
            | Self::Queue { broker } => Some(broker),
            Self::BreakerOpen { broker, .. } | Self::BreakerHalfOpen { broker } => broker.as_ref(),
            Self::BufferSpace { because, .. } | Self::TopicShare { because, .. } => {
                because.as_ref()?.broker_arc()
            }
            Self::NoLeader { .. }
            | Self::NoBroker
            | Self::RateLimit { .. }
            | Self::ProducerId
            | Self::Metadata { .. }
            | Self::Linger { .. }
            | Self::Compression => None,
        }
    }

    /// How much it explains compared with others, and for how long it has lasted.
    pub(crate) fn rank(&self) -> (u8, Duration) {
        match self {
            Self::NoLeader { elapsed, .. } => (6, *elapsed),
            Self::Disconnected { .. } => (5, Duration::ZERO),
            Self::BreakerOpen { .. } | Self::BreakerHalfOpen { .. } => (4, Duration::ZERO),
            Self::Connecting { elapsed, .. } => (3, *elapsed),
            Self::Response { silent, .. } => (3, *silent),
            Self::Throttled { left, .. } => (2, *left),
            Self::RateLimit { elapsed, .. } => (2, *elapsed),
            Self::ProducerId | Self::Retry { .. } | Self::Metadata { .. } => (1, Duration::ZERO),
            Self::BufferSpace { .. } | Self::TopicShare { .. } => (1, Duration::ZERO),
            Self::NoBroker | Self::Linger { .. } | Self::Compression | Self::Queue { .. } => {
                (0, Duration::ZERO)
            }
        }
    }
}
