//! The events: their names, levels and texts. The names are promised: `docs/telemetry.md` lists them, and a test compares
//! the list with what is emitted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::Level;

/// Everything but spans has this target, whatever module it comes from.
pub(crate) const TARGET: &str = "rskafka_producer";

/// What is known of an event before it happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) name: &'static str,
    pub(super) level: Level,
    pub(super) text: &'static str,
}

macro_rules! events {
    ($($(#[$cfg:meta])? $id:ident = $level:ident $name:literal $text:literal;)*) => {$(
        $(#[$cfg])?
        pub(super) const $id: Event = Event { name: $name, level: Level::$level, text: $text };
    )*};
}

events! {
    ATTEMPT_FAILED = WARN "attempt.failed" "a produce request failed";
    BACKPRESSURE = WARN "backpressure" "a call waited long for buffer space";
    BATCH_FAILED = ERROR "batch.failed" "messages failed";
    BATCH_RETRY = WARN "batch.retry" "a batch is sent again";
    BREAKER_CLOSED = INFO "breaker.closed" "circuit breaker closed";
    BREAKER_OPENED = WARN "breaker.opened" "circuit breaker opened";
    CALLBACK_PANICKED = ERROR "callback.panicked" "a callback panicked";
    CLUSTER_CHANGED = WARN "cluster.changed" "another cluster answers at the brokers' addresses";
    COMPRESSION_FAILED = WARN "compression.failed" "sending a batch uncompressed";
    CONFIG_IGNORED = INFO "config.ignored" "settings have no effect";
    CONFIG_UNUSED_VARIABLES = INFO "config.unused_variables" "environment variables that are not settings were ignored";
    CONNECTION_CLOSED = DEBUG "connection.closed" "connection closed";
    CONNECTION_FAILED = DEBUG "connection.failed" "could not connect to a broker";
    CONNECTION_LOST = WARN "connection.lost" "connection lost";
    CONNECTION_OPENED = INFO "connection.opened" "connected to a broker";
    HEALTH_FAILS = WARN "health.changed" "a health check fails";
    HEALTH_PASSES = INFO "health.changed" "a health check passes again";
    METADATA_REBOOTSTRAP = WARN "metadata.rebootstrap" "starting again from the configured brokers";
    METADATA_REFRESH_FAILED = WARN "metadata.refresh_failed" "could not fetch the cluster's metadata";
    PRODUCER_DROPPED = WARN "producer.dropped" "the producer was dropped without close() and could not deliver everything";
    PRODUCER_ID_FAILED = WARN "producer_id.failed" "could not get a producer id";
    TOPIC_RECREATED = WARN "topic.recreated" "a topic was deleted and created again";
    TASKS_MOVED = INFO "tasks.moved" "the producer's tasks moved to another tokio runtime, since theirs ended or was not driven";
    TASK_PANICKED = ERROR "task.panicked" "a task of the producer panicked";
    THROTTLED = WARN "throttled" "a broker throttles this producer";
    TLS_HOSTNAME_UNVERIFIED = WARN "tls.hostname_unverified" "brokers' certificates are accepted for any host name";
    #[cfg(feature = "tls")]
    TLS_RELOAD_FAILED = WARN "tls.reload_failed" "keeping the previously loaded TLS certificates";
}

macro_rules! operations {
    ($($id:ident = $name:literal $succeeded:literal $failed:literal;)*) => {
        /// An operation of the producer. Its events are `connect.ok`, `connect.failed` and so on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Operation {
            $($id,)*
        }

        impl Operation {
            pub(super) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$id => $name,)*
                }
            }

            /// The event of its success, and its text.
            pub(super) const fn succeeded(self) -> (&'static str, &'static str) {
                match self {
                    $(Self::$id => (concat!($name, ".ok"), $succeeded),)*
                }
            }

            /// The event of its failure, and its text.
            pub(super) const fn failed(self) -> (&'static str, &'static str) {
                match self {
                    $(Self::$id => (concat!($name, ".failed"), $failed),)*
                }
            }
        }
    };
}

operations! {
    Connect = "connect" "connected to the cluster" "connect failed";
    Send = "send" "message stored" "send failed";
    Flush = "flush" "all messages flushed" "flush failed";
    Health = "health" "health check passed" "health check failed";
    Close = "close" "producer closed" "close failed";
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
    pub(super) fn may_emit(&self, event: Event, scope: &Arc<str>, now: Instant) -> Option<u64> {
        let mut last = self.last.lock();
        match last.get_mut(&(event.name, scope.clone())) {
            Some(last) if now.saturating_duration_since(last.at) < SELDOM => {
                last.kept_back += 1;
                None
            }
            Some(last) => Some(std::mem::replace(last, Emitted { at: now, kept_back: 0 }).kept_back),
            None => {
                last.insert((event.name, scope.clone()), Emitted { at: now, kept_back: 0 });
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
