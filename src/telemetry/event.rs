//! The names by which events are known. They are promised: `docs/telemetry.md` lists them, and a test holds the list
//! against what is emitted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Everything but spans has this target, whatever module it comes from.
pub(crate) const TARGET: &str = "rskafka_producer";

pub(crate) const ATTEMPT_FAILED: &str = "attempt.failed";
pub(crate) const BACKPRESSURE: &str = "backpressure";
pub(crate) const BATCH_FAILED: &str = "batch.failed";
pub(crate) const BATCH_RETRY: &str = "batch.retry";
pub(crate) const BREAKER_CLOSED: &str = "breaker.closed";
pub(crate) const BREAKER_OPENED: &str = "breaker.opened";
pub(crate) const CALLBACK_PANICKED: &str = "callback.panicked";
pub(crate) const CLUSTER_CHANGED: &str = "cluster.changed";
pub(crate) const COMPRESSION_FAILED: &str = "compression.failed";
pub(crate) const CONFIG_IGNORED: &str = "config.ignored";
pub(crate) const CONFIG_UNUSED_VARIABLES: &str = "config.unused_variables";
pub(crate) const CONNECTION_CLOSED: &str = "connection.closed";
pub(crate) const CONNECTION_FAILED: &str = "connection.failed";
pub(crate) const CONNECTION_LOST: &str = "connection.lost";
pub(crate) const CONNECTION_OPENED: &str = "connection.opened";
pub(crate) const HEALTH_CHANGED: &str = "health.changed";
pub(crate) const METADATA_REFRESH_FAILED: &str = "metadata.refresh_failed";
pub(crate) const PRODUCER_DROPPED: &str = "producer.dropped";
pub(crate) const PRODUCER_ID_FAILED: &str = "producer_id.failed";
pub(crate) const TOPIC_RECREATED: &str = "topic.recreated";
pub(crate) const TASKS_MOVED: &str = "tasks.moved";
pub(crate) const TASK_PANICKED: &str = "task.panicked";
pub(crate) const THROTTLED: &str = "throttled";
#[cfg(feature = "tls")]
pub(crate) const TLS_RELOAD_FAILED: &str = "tls.reload_failed";

/// An operation of the producer. Its events are `connect.ok`, `connect.failed` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Connect,
    Send,
    Flush,
    Health,
    Close,
}

impl Operation {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Send => "send",
            Self::Flush => "flush",
            Self::Health => "health",
            Self::Close => "close",
        }
    }

    /// The messages of its events: it succeeded, it failed.
    pub(super) const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Connect => ("connected to the cluster", "connect failed"),
            Self::Send => ("message stored", "send failed"),
            Self::Flush => ("all messages flushed", "flush failed"),
            Self::Health => ("health check passed", "health check failed"),
            Self::Close => ("producer closed", "close failed"),
        }
    }

    pub(super) const fn ok(self) -> &'static str {
        match self {
            Self::Connect => "connect.ok",
            Self::Send => "send.ok",
            Self::Flush => "flush.ok",
            Self::Health => "health.ok",
            Self::Close => "close.ok",
        }
    }

    pub(super) const fn failed(self) -> &'static str {
        match self {
            Self::Connect => "connect.failed",
            Self::Send => "send.failed",
            Self::Flush => "flush.failed",
            Self::Health => "health.failed",
            Self::Close => "close.failed",
        }
    }
}

/// Keeps events that come in floods to one a second, for each broker.
#[derive(Debug, Default)]
pub(super) struct Pace {
    last: Mutex<HashMap<(&'static str, Arc<str>), Emitted>>,
}

/// When an event was emitted, and how many were suppressed since.
#[derive(Debug)]
struct Emitted {
    at: Instant,
    kept_back: u64,
}

const SELDOM: Duration = Duration::from_secs(1);

impl Pace {
    /// Whether the event may be emitted now: then how many were suppressed before it.
    pub(super) fn may_emit(&self, event: &'static str, scope: &Arc<str>, now: Instant) -> Option<u64> {
        let mut last = self.last.lock();
        match last.get_mut(&(event, scope.clone())) {
            Some(last) if now.saturating_duration_since(last.at) < SELDOM => {
                last.kept_back += 1;
                None
            }
            Some(last) => Some(std::mem::replace(last, Emitted { at: now, kept_back: 0 }).kept_back),
            None => {
                last.insert((event, scope.clone()), Emitted { at: now, kept_back: 0 });
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_reported_once_a_second_for_each_broker_with_what_was_kept_back() {
        let (pace, now) = (Pace::default(), Instant::now());
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        assert_eq!(pace.may_emit(THROTTLED, &a, now), Some(0));
        for _ in 0..9 {
            assert_eq!(pace.may_emit(THROTTLED, &a, now + SELDOM / 2), None);
        }
        assert_eq!(pace.may_emit(THROTTLED, &b, now), Some(0));
        assert_eq!(pace.may_emit(BATCH_RETRY, &a, now), Some(0));
        assert_eq!(pace.may_emit(THROTTLED, &a, now + SELDOM), Some(9));
        assert_eq!(pace.may_emit(THROTTLED, &a, now + 2 * SELDOM), Some(0));
    }
}
