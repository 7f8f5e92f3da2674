//! The events that this crate emits: facts with fields, one per operation, through the configured logger or the
//! ambient subscriber. Nothing is logged per message of the hot path.

use std::sync::Arc;
use std::time::Duration;

use tracing::{Dispatch, Level};

use crate::error::Error;

/// Emits events with the fields that all of them share.
#[derive(Clone)]
pub(crate) struct Log {
    dispatch: Option<Dispatch>,
    brokers: Arc<[String]>,
}

/// An operation of the producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Connect,
    Send,
    Flush,
    Health,
    Close,
}

impl Operation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Send => "send",
            Self::Flush => "flush",
            Self::Health => "health",
            Self::Close => "close",
        }
    }
}

impl Log {
    pub(crate) fn new(dispatch: Option<Dispatch>, brokers: &[String]) -> Self {
        Self { dispatch, brokers: brokers.into() }
    }

    fn emit(&self, event: impl FnOnce(&[String])) {
        match &self.dispatch {
            Some(dispatch) => tracing::dispatcher::with_default(dispatch, || event(&self.brokers)),
            None => event(&self.brokers),
        }
    }

    /// The event of one operation, as the mission lays it down: absent `error` means success.
    pub(crate) fn operation(&self, operation: Operation, took: Duration, result: Result<(), &Error>) {
        let duration_ms = took.as_secs_f64() * 1_000.0;
        let operation_name = operation.as_str();
        self.emit(|brokers| match result {
            Ok(()) if operation == Operation::Send => tracing::event!(
                Level::DEBUG,
                component = "kafka",
                operation = operation_name,
                duration_ms,
                ?brokers,
                "ok"
            ),
            Ok(()) => tracing::event!(
                Level::INFO,
                component = "kafka",
                operation = operation_name,
                duration_ms,
                ?brokers,
                "ok"
            ),
            Err(error) => {
                let code = error.code().as_str();
                let kind = error.kind().as_str();
                let fate = error.fate().to_string();
                let attempts = error.attempts();
                let error = with_causes(error);
                tracing::event!(
                    Level::ERROR,
                    component = "kafka",
                    operation = operation_name,
                    duration_ms,
                    ?brokers,
                    error,
                    code,
                    kind,
                    fate,
                    attempts,
                    "failed"
                );
            }
        });
    }

    /// Whether anyone listens to the events of successful sends.
    pub(crate) fn sends_are_heard(&self) -> bool {
        let mut heard = false;
        self.emit(|_| heard = tracing::enabled!(Level::DEBUG));
        heard
    }

    /// A request was lost; its batches are sent again or given up.
    pub(crate) fn attempt_failed(&self, error: &Error, batches: usize) {
        self.emit(|brokers| {
            let error = with_causes(error);
            tracing::event!(
                Level::WARN,
                component = "kafka",
                event = "attempt.failed",
                ?brokers,
                batches,
                error,
                "a request failed"
            );
        });
    }

    /// A batch is given up.
    pub(crate) fn batch_failed(&self, failed: &Error, records: usize) {
        self.emit(|brokers| {
            let (topic, partition) = (failed.topic(), failed.partition());
            let error = with_causes(failed);
            let code = failed.code().as_str();
            tracing::event!(
                Level::ERROR,
                component = "kafka",
                event = "batch.failed",
                ?brokers,
                topic,
                partition,
                records,
                code,
                error,
                "messages were given up"
            );
        });
    }

    pub(crate) fn refresh_failed(&self, error: &Error) {
        self.emit(|brokers| {
            let error = with_causes(error);
            tracing::event!(
                Level::WARN,
                component = "kafka",
                event = "metadata.refresh_failed",
                ?brokers,
                error,
                "the cluster's metadata could not be read"
            );
        });
    }

    pub(crate) fn breaker(&self, scope: &str, broker: &str, open: bool, failures: u64) {
        self.emit(|brokers| {
            if open {
                tracing::event!(
                    Level::WARN,
                    component = "kafka",
                    event = "breaker.opened",
                    ?brokers,
                    scope,
                    broker,
                    failures,
                    "a broker is left alone for a while"
                );
            } else {
                tracing::event!(
                    Level::INFO,
                    component = "kafka",
                    event = "breaker.closed",
                    ?brokers,
                    scope,
                    broker,
                    "a broker is back"
                );
            }
        });
    }

    /// The last handle was dropped, and messages were still under way.
    pub(crate) fn dropped(&self, undelivered: usize) {
        self.emit(|brokers| {
            tracing::event!(
                Level::WARN,
                component = "kafka",
                event = "producer.dropped",
                ?brokers,
                undelivered,
                "the producer was dropped without close() and could not deliver everything"
            );
        });
    }
}

/// The error and what caused it, on one line.
fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let said = next.to_string();
        // Some libraries repeat their source in their own text.
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&crate::error::printable(&said));
        }
        cause = next.source();
    }
    text
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}
