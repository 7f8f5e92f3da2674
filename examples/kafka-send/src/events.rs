//! The library's events on standard error: all of them with `-d`, else the first failure of each kind.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io;
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry;

use crate::options::Options;
use crate::progress;

/// What goes wrong for a while before it is a record's failure.
const PASSING: [&str; 5] =
    ["connection.failed", "metadata.refresh_failed", "producer_id.failed", "batch.retry", "attempt.failed"];

pub(crate) fn logger(options: &Options) -> Dispatch {
    // Spans, and other targets, cost nothing then.
    let of_producer = filter_fn(|callsite| callsite.target() == "rskafka_producer");
    if options.debug.is_some() {
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_target(false);
        let lines = lines.with_writer(io::stderr).log_internal_errors(false);
        return Dispatch::new(registry().with(of_producer).with(lines));
    }
    if options.quiet {
        return Dispatch::none();
    }
    Dispatch::new(registry().with(of_producer).with(FirstFailures::default()))
}

/// Prints the first event of each kind in `PASSING`: people wait in front of a terminal, and a broker's port may be wrong.
#[derive(Default)]
struct FirstFailures {
    shown: Mutex<BTreeSet<String>>,
}

impl<S: Subscriber> Layer<S> for FirstFailures {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut failure = Failure::default();
        event.record(&mut failure);
        let Failure { name, error } = failure;
        if !PASSING.contains(&name.as_str()) || error.is_empty() {
            return;
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        // The same trouble has several events.
        if shown.insert(name) && shown.insert(error.clone()) {
            drop(shown);
            progress::say(format_args!("kafka-send: {error}; still trying"));
        }
    }
}

#[derive(Default)]
struct Failure {
    name: String,
    error: String,
}

impl Visit for Failure {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "event" => value.clone_into(&mut self.name),
            "error" => value.clone_into(&mut self.error),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "error" {
            self.error = format!("{value:?}");
        }
    }
}
