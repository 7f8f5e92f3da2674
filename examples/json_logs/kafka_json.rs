//! A formatter for `tracing_subscriber::fmt` that writes the producer's events as JSON. Copy this file into your program.

use std::fmt::{self, Write};

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::registry::LookupSpan;

/// `{"component":"kafka","duration_ms":45.123,"brokers":["kafka-1:9092"],"error":null}`, one line for each event.
///
/// `tracing_subscriber::fmt().json()` cannot write this: to it the list of brokers is a text, and `error` is missing
/// where nothing failed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KafkaJson {
    details: bool,
}

impl KafkaJson {
    /// Time, level and message before the four fields, and the event's other fields behind them.
    #[must_use]
    pub(crate) fn with_details(self) -> Self {
        Self { details: true }
    }

    /// Whether to write an event: with details any of the producer's, without them the one that each operation ends with.
    pub(crate) fn wants(self, event: &Metadata<'_>) -> bool {
        event.target() == "rskafka_producer" && (self.details || event.fields().field("operation").is_some())
    }
}

impl<S, N> FormatEvent<S, N> for KafkaJson
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut fields = fields.0;
        let mut line = Line::default();
        if self.details {
            let mut time = String::new();
            SystemTime.format_time(&mut Writer::new(&mut time))?;
            line.field("timestamp", &time.into())?;
            line.field("level", &event.metadata().level().as_str().into())?;
            line.field("message", &fields.remove("message").unwrap_or_default())?;
        }
        for name in ["component", "duration_ms", "brokers", "error"] {
            line.field(name, &fields.remove(name).unwrap_or_default())?;
        }
        if self.details {
            for (name, value) in &fields {
                line.field(name, value)?;
            }
        }
        writeln!(out, "{}}}", line.0)
    }
}

/// A JSON object under way, its fields in the order in which they were given.
#[derive(Default)]
struct Line(String);

impl Line {
    fn field(&mut self, name: &str, value: &Value) -> fmt::Result {
        let separator = if self.0.is_empty() { '{' } else { ',' };
        write!(self.0, "{separator}{}:{value}", Value::from(name))
    }
}

/// What an event carries.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn insert(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // Durations are milliseconds: three decimals are whole microseconds.
        self.insert(field, json!((value * 1_000.0).round() / 1_000.0));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        // `tracing` has no lists: `["a:1", "b:2"]` is what is left of one, and is JSON.
        let list = if field.name() == "brokers" { serde_json::from_str(&text).ok() } else { None };
        self.insert(field, list.unwrap_or(Value::String(text)));
    }
}
