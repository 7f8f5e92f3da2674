//! The events that this crate emits: facts with fields, through the configured logger or the ambient subscriber.
//! Nothing is logged per message of the hot path.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Level};

use super::event::{self, Operation, Pace, TARGET};
use crate::compression::CompressError;
use crate::error::callback::guarded;
use crate::error::{Error, printable, with_causes};

/// Emits events with the fields that all of them share.
#[derive(Clone, Default)]
pub(crate) struct Log {
    dispatch: Option<Dispatch>,
    brokers: Arc<[String]>,
    pace: Arc<Pace>,
}

/// Emits an event of the table, with the fields that all of them share. For one whose name and text are only
/// known at run time, the level comes first.
macro_rules! emit {
    ($log:expr, $event:ident $(, $($fields:tt)+)?) => {
        emit!($log, event::$event.level, (event::$event.name, event::$event.text) $(, $($fields)+)?)
    };
    ($log:expr, $level:expr, $event:expr $(, $($fields:tt)+)?) => {
        $log.emit(|brokers| {
            let (name, text) = $event;
            let brokers = (!brokers.is_empty()).then(|| tracing::field::debug(brokers));
            tracing::event!(
                target: TARGET,
                $level,
                component = "kafka",
                event = name,
                brokers,
                $($($fields)+,)?
                "{text}"
            );
        })
    };
}

/// While a process has one subscriber, `tracing` asks only the subscriber of the thread that first comes by an event
/// whether anyone wants it, and remembers the answer: a producer without a logger would silence one that has its own. A
/// second subscriber, which wants nothing, makes it ask all.
fn hear_every_subscriber() {
    static ANOTHER: OnceLock<Dispatch> = OnceLock::new();
    ANOTHER.get_or_init(|| Dispatch::new(NoSubscriber::new()));
}

impl Log {
    pub(crate) fn new(dispatch: Option<Dispatch>, brokers: &[String]) -> Self {
        if dispatch.is_some() {
            hear_every_subscriber();
        }
        Self { dispatch, brokers: brokers.into(), pace: Arc::default() }
    }

    pub(super) fn emit(&self, event: impl FnOnce(&[String])) {
        // The event of a subscriber that panics is lost. The panic hook has reported the panic.
        _ = guarded("the logger", || match &self.dispatch {
            Some(dispatch) => tracing::dispatcher::with_default(dispatch, || event(&self.brokers)),
            None => event(&self.brokers),
        });
    }

    /// Calls user code whose panic concerns no call: it is reported, at most once a second.
    pub(crate) fn contain<T>(&self, callback: &'static str, call: impl FnOnce() -> T) -> Option<T> {
        match guarded(callback, call) {
            Ok(answer) => Some(answer),
            Err(panicked) => {
                self.callback_panicked(callback, &panicked);
                None
            }
        }
    }

    /// The subscriber of this thread, for the rare place that knows no other.
    pub(crate) fn ambient() -> Self {
        Self::new(None, &[])
    }

    pub(crate) fn callback_panicked(&self, callback: &'static str, panicked: &Error) {
        let now = Instant::now();
        if let Some(kept_back) = self.pace.may_emit(event::CALLBACK_PANICKED, &callback.into(), now) {
            let error = panicked.to_string();
            emit!(self, CALLBACK_PANICKED, callback, error, kept_back);
        }
    }

    /// The event of one operation, whose absent `error` means success.
    pub(crate) fn operation(&self, operation: Operation, took: Duration, result: Result<(), &Error>) {
        let duration_ms = fractional_millis(took);
        let name = operation.as_str();
        match result {
            Ok(()) if matches!(operation, Operation::Send | Operation::Health) => {
                emit!(self, Level::DEBUG, operation.succeeded(), operation = name, duration_ms);
            }
            Ok(()) => emit!(self, Level::INFO, operation.succeeded(), operation = name, duration_ms),
            Err(failed) => {
                let (code, kind, fate) =
                    (failed.code().as_str(), failed.kind().as_str(), failed.fate().as_str());
                let (attempts, error) = (failed.attempts(), with_causes(failed));
                let event = operation.failed();
                emit!(
                    self,
                    Level::ERROR,
                    event,
                    operation = name,
                    duration_ms,
                    error,
                    code,
                    kind,
                    fate,
                    attempts
                );
            }
        }
    }

    /// Whether a subscriber wants the events of successful sends. Where none does it costs one load.
    pub(crate) fn sends_are_heard(&self) -> bool {
        if LevelFilter::current() < LevelFilter::DEBUG {
            return false;
        }
        let mut heard = false;
        self.emit(|_| heard = tracing::enabled!(target: TARGET, Level::DEBUG));
        heard
    }

    /// A request was lost; its batches are retried or fail.
    pub(crate) fn attempt_failed(&self, broker: &str, error: &Error, batches: usize, took: Duration) {
        let (duration_ms, error) = (fractional_millis(took), with_causes(error));
        emit!(self, ATTEMPT_FAILED, broker, batches, duration_ms, error);
    }

    /// A batch is sent again after `delay`; at most once a second for each broker.
    pub(crate) fn batch_retry(&self, broker: &Arc<str>, failed: &Error, delay: Duration, now: Instant) {
        let Some(kept_back) = self.pace.may_emit(event::BATCH_RETRY, broker, now) else {
            return;
        };
        let (topic, partition, attempts) = (failed.topic(), failed.partition(), failed.attempts());
        let (delay_ms, fate) = (fractional_millis(delay), failed.fate().as_str());
        let error = with_causes(failed);
        emit!(
            self,
            BATCH_RETRY,
            broker = &**broker,
            topic,
            partition,
            attempts,
            delay_ms,
            fate,
            error,
            kept_back
        );
    }

    /// A batch failed.
    pub(crate) fn batch_failed(&self, failed: &Error, records: usize) {
        let (topic, partition) = (failed.topic(), failed.partition());
        let (code, kind, fate) = (failed.code().as_str(), failed.kind().as_str(), failed.fate().as_str());
        let (attempts, error) = (failed.attempts(), with_causes(failed));
        emit!(self, BATCH_FAILED, topic, partition, records, code, kind, fate, attempts, error);
    }

    /// A broker throttles; at most once a second for each.
    pub(crate) fn throttled(&self, broker: &Arc<str>, time: Duration, now: Instant) {
        if let Some(kept_back) = self.pace.may_emit(event::THROTTLED, broker, now) {
            let throttle_ms = fractional_millis(time);
            emit!(self, THROTTLED, broker = &**broker, throttle_ms, kept_back);
        }
    }

    /// A call waited long for buffer space.
    pub(crate) fn backpressure(&self, waited: Duration, buffer_bytes: usize, now: Instant) {
        if let Some(kept_back) = self.pace.may_emit(event::BACKPRESSURE, &Arc::default(), now) {
            let waited_ms = fractional_millis(waited);
            emit!(self, BACKPRESSURE, waited_ms, buffer_bytes, kept_back);
        }
    }

    /// Settings have no effect, for the reason.
    pub(crate) fn config_ignored(&self, settings: &[String], reason: &str) {
        let settings = settings.join(", ");
        emit!(self, CONFIG_IGNORED, settings, reason);
    }

    /// Environment variables look like settings of this crate and are not.
    pub(crate) fn config_unused_variables(&self, variables: &[String]) {
        let variables = variables.join(", ");
        emit!(self, CONFIG_UNUSED_VARIABLES, variables);
    }

    pub(crate) fn hostname_unverified(&self) {
        emit!(self, TLS_HOSTNAME_UNVERIFIED);
    }

    pub(crate) fn connection_opened(&self, broker: &str, took: Duration) {
        let duration_ms = fractional_millis(took);
        emit!(self, CONNECTION_OPENED, broker, duration_ms);
    }

    pub(crate) fn connection_failed(&self, broker: &str, error: &Error, took: Duration) {
        let (duration_ms, error) = (fractional_millis(took), with_causes(error));
        emit!(self, CONNECTION_FAILED, broker, duration_ms, error);
    }

    /// A connection that stood for `age` is of no more use.
    pub(crate) fn connection_lost(&self, broker: &str, age: Duration, why: &dyn fmt::Display) {
        let (age_ms, reason) = (fractional_millis(age), why.to_string());
        emit!(self, CONNECTION_LOST, broker, age_ms, reason);
    }

    /// A connection that stood for `age` is no longer needed.
    pub(crate) fn connection_closed(&self, broker: &str, age: Duration) {
        let age_ms = fractional_millis(age);
        emit!(self, CONNECTION_CLOSED, broker, age_ms);
    }

    pub(crate) fn rebootstrapped(&self) {
        emit!(self, METADATA_REBOOTSTRAP);
    }

    pub(crate) fn refresh_failed(&self, error: &Error) {
        let error = with_causes(error);
        emit!(self, METADATA_REFRESH_FAILED, error);
    }

    /// The cluster granted no producer id, or no broker answered. It is requested again, unless that cannot help.
    pub(crate) fn producer_id_failed(&self, error: &Error) {
        let error = with_causes(error);
        emit!(self, PRODUCER_ID_FAILED, error);
    }

    /// A codec failed; the batch goes uncompressed.
    pub(crate) fn compression_failed(&self, topic: &str, error: &CompressError) {
        emit!(self, COMPRESSION_FAILED, topic, %error);
    }

    /// Replaced certificates or keys cannot be read; connections use those that were loaded before.
    #[cfg(feature = "tls")]
    pub(crate) fn tls_reload_failed(&self, error: &Error) {
        let error = with_causes(error);
        emit!(self, TLS_RELOAD_FAILED, error);
    }

    /// Another cluster answers than before; `None` where one reports no id.
    pub(crate) fn cluster_changed(&self, from: Option<&str>, to: Option<&str>) {
        let (from, to) = (from.map(printable), to.map(printable));
        emit!(self, CLUSTER_CHANGED, from = from.as_deref(), to = to.as_deref());
    }

    /// A topic was deleted, and another one was created under its name.
    pub(crate) fn topic_recreated(&self, topic: &str) {
        emit!(self, TOPIC_RECREATED, topic);
    }

    pub(crate) fn breaker_opened(&self, broker: &str, failures: u32, open_for: Duration) {
        let open_ms = fractional_millis(open_for);
        emit!(self, BREAKER_OPENED, broker, failures, open_ms);
    }

    pub(crate) fn breaker_closed(&self, broker: &str) {
        emit!(self, BREAKER_CLOSED, broker);
    }

    /// A health check has another answer than before. A registry knows no brokers, so that the event names none.
    pub(crate) fn health_changed(&self, check: &str, from: &str, to: &str, reason: Option<&str>) {
        match reason {
            None => emit!(self, HEALTH_PASSES, check, from, to),
            Some(reason) => {
                emit!(self, HEALTH_FAILS, check, from, to, reason);
            }
        }
    }

    /// A task of the producer panicked.
    pub(crate) fn task_panicked(&self, task: &str, panic: &str, restarts: bool) {
        emit!(self, TASK_PANICKED, task, panic, restarts);
    }

    /// The tasks moved to another runtime.
    pub(crate) fn tasks_moved(&self) {
        emit!(self, TASKS_MOVED);
    }

    /// The last handle was dropped, and messages were still under way.
    pub(crate) fn dropped(&self, undelivered: usize) {
        emit!(self, PRODUCER_DROPPED, undelivered);
    }
}

fn fractional_millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
