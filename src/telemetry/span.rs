//! One span for each batch of a request, by OpenTelemetry's messaging conventions
//! (<https://github.com/open-telemetry/semantic-conventions/blob/main/docs/messaging/messaging-spans.md>, status
//! "Development").

use std::sync::Arc;

use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Span};

use super::log::Log;

use crate::error::callback::guarded;
use crate::error::{BrokerError, Error};

/// Spans have a separate target, so that they can be filtered apart from events.
const TARGET: &str = "rskafka_producer::span";

/// A batch as its span describes it.
pub(crate) struct Sending<'a> {
    pub(crate) topic: &'a Arc<str>,
    pub(crate) partition: i32,
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    pub(crate) attempt: u32,
}

/// The open spans of one request, in the order of its batches; none where no subscriber wants them.
#[derive(Debug, Default)]
pub(crate) struct Spans(Vec<Span>);

impl Log {
    /// Opens a span for each batch. Where no subscriber wants them it costs one load.
    pub(crate) fn spans<'a>(
        &self,
        client_id: &str,
        broker: impl FnOnce() -> Arc<str>,
        batches: impl Iterator<Item = Sending<'a>>,
    ) -> Spans {
        let mut spans = Spans::default();
        if LevelFilter::current() < LevelFilter::DEBUG {
            return spans;
        }
        self.emit(|_| {
            if tracing::span_enabled!(target: TARGET, Level::DEBUG) {
                let broker = broker();
                let (host, port) = broker.rsplit_once(':').unwrap_or((&broker, ""));
                let host = host.trim_matches(['[', ']']);
                spans.0 = batches.map(|batch| open(client_id, host, port, &batch)).collect();
            }
        });
        spans
    }
}

fn open(client_id: &str, host: &str, port: &str, batch: &Sending<'_>) -> Span {
    tracing::span!(
        target: TARGET,
        parent: None,
        Level::DEBUG,
        "kafka.send",
        otel.name = format!("send {}", batch.topic),
        // The context of the messages is their senders'; this only carries them.
        otel.kind = "client",
        otel.status_code = Empty,
        messaging.system = "kafka",
        messaging.operation.name = "send",
        "messaging.operation.type" = "send",
        messaging.destination.name = &**batch.topic,
        messaging.destination.partition.id = batch.partition.to_string(),
        messaging.batch.message_count = batch.messages as u64,
        messaging.client.id = client_id,
        messaging.kafka.offset = Empty,
        server.address = host,
        server.port = port.parse::<u16>().ok(),
        "error.type" = Empty,
        attempt = batch.attempt,
        bytes = batch.bytes as u64,
    )
}

impl Spans {
    /// Records how the request ended, and closes the spans. `answers` has the broker's error code and the base offset of
    /// each batch, in the order of the batches.
    pub(crate) fn end(self, answers: Result<impl Iterator<Item = (i16, Option<i64>)>, &Error>) {
        if self.0.is_empty() {
            return;
        }
        _ = guarded("the logger", || match answers {
            Ok(answers) => {
                for (span, (error_code, base_offset)) in self.0.iter().zip(answers) {
                    match error_code {
                        0 => _ = span.record("messaging.kafka.offset", base_offset),
                        code => failed(span, BrokerError::new(code).name()),
                    }
                }
            }
            Err(error) => self.0.iter().for_each(|span| failed(span, error.kind().as_str())),
        });
    }
}

impl Drop for Spans {
    fn drop(&mut self) {
        let spans = std::mem::take(&mut self.0);
        for span in spans {
            // A subscriber may panic when a span is closed, also while a task is dropped.
            _ = guarded("the logger", || drop(span));
        }
    }
}

fn failed(span: &Span, error_type: &str) {
    span.record("error.type", error_type);
    span.record("otel.status_code", "ERROR");
}
