//! The counters, passed on to the `metrics` facade if the feature of that name is enabled. The one file that names it.
//!
//! Emitted once for each request or batch, never for a message.

use std::sync::Arc;

use super::log::Log;
use crate::error::{self, ErrorCode, ErrorKind};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// One line of the table in `docs/telemetry.md`. Every metric has the label `client_id` beside its own.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "the facade describes them, and a test holds the docs against them")]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) labels: &'static [&'static str],
    pub(crate) help: &'static str,
}

macro_rules! table {
    ($($id:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(crate) const $id: Metric = Metric {
            name: concat!("kafka_producer_", $name),
            kind: Kind::$kind,
            labels: &[$($label),*],
            help: $help,
        };)*
        #[cfg(any(test, feature = "metrics"))]
        const ALL: &[Metric] = &[$($id),*];
    };
}

table! {
    RECORDS_SENT = Counter "records_sent_total" ["topic"] "Messages put into produce requests, retries included";
    BYTES_SENT = Counter "bytes_sent_total" ["topic"] "Payload bytes put into produce requests, before compression";
    RECORDS_ACKED = Counter "records_acked_total" ["topic"] "Messages that were acknowledged";
    RECORDS_FAILED = Counter "records_failed_total" ["code", "persistence", "topic"] "Messages that failed";
    RETRIES = Counter "retries_total" ["reason"] "Batches that were sent again";
    DUPLICATES_POSSIBLE = Counter "duplicates_possible_total" [] "Messages sent again without idempotence although an earlier attempt may have stored them";
    SEND_DURATION = Histogram "send_duration_seconds" [] "Time from accepting a batch's first message to its acknowledgement";
    ATTEMPT_DURATION = Histogram "attempt_duration_seconds" ["broker"] "Time from starting a produce request to its response or failure";
    QUEUE_WAIT = Histogram "queue_wait_seconds" [] "Time from accepting a batch's first message to its first produce request";
    BATCH_RECORDS = Histogram "batch_records" [] "Messages per batch";
    BATCH_BYTES = Histogram "batch_bytes" [] "Bytes per batch, before compression";
    BUFFER_BYTES = Gauge "buffer_bytes" [] "Bytes of accepted messages that are not yet settled, updated with each response";
    IN_FLIGHT = Gauge "in_flight" ["broker"] "Produce requests in flight";
    CONNECTIONS = Gauge "connections" ["broker"] "Open connections";
    CONNECTS = Counter "connects_total" ["result"] "Connection attempts";
    BREAKER_STATE = Gauge "breaker_state" ["broker"] "State of a broker's circuit breaker: 0 closed, 1 half-open, 2 open";
    BREAKER_OPENED = Counter "breaker_opened_total" ["broker"] "Number of times a circuit breaker opened";
    THROTTLE = Histogram "throttle_seconds" ["broker"] "Throttle time imposed by a broker";
    RATE_LIMITED = Histogram "rate_limited_seconds" [] "Time for which the rate limit delayed a request";
    BULKHEAD_REJECTED = Counter "bulkhead_rejected_total" [] "Messages refused because the buffer had no room";
    METADATA_AGE = Gauge "metadata_age_seconds" [] "Age of the cluster metadata, updated with each response";
}

/// A label of a metric.
pub(crate) type Label<'a> = (&'static str, Text<'a>);

pub(crate) trait Labels<'a>: IntoIterator<Item = Label<'a>> {}
impl<'a, L: IntoIterator<Item = Label<'a>>> Labels<'a> for L {}

/// The value of a label, which costs no copy.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "only the facade looks into it"))]
pub(crate) enum Text<'a> {
    Static(&'static str),
    Shared(&'a Arc<str>),
}

/// Values of the label `persistence`: what is known of a message that failed.
pub(crate) const PERSISTENCE: [&str; 2] = ["not_persisted", "possibly_persisted"];

/// The label `broker` of the cluster's circuit breaker.
pub(crate) const CLUSTER: &str = "cluster";

/// What a connection fails with.
const CONNECT_FAILURES: [ErrorKind; 7] = [
    ErrorKind::Unreachable,
    ErrorKind::ConnectionLost,
    ErrorKind::Protocol,
    ErrorKind::Tls,
    ErrorKind::Authentication,
    ErrorKind::InvalidConfig,
    ErrorKind::DeadlineExceeded,
];

/// Passes one producer's counters on to the facade.
#[derive(Default)]
#[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "only the facade looks into it"))]
pub(crate) struct Meters {
    client_id: Arc<str>,
    topic_labels: bool,
    /// Where panics of the recorder are reported.
    log: Log,
}

impl Meters {
    pub(crate) fn new(client_id: &str, topic_labels: bool, log: Log) -> Self {
        let meters = Self { client_id: client_id.into(), topic_labels, log };
        if cfg!(feature = "metrics") {
            meters.describe();
            meters.start();
        }
        meters
    }

    /// Every counter begins at 0: `rate()` does not see the first event of one that appears with it. Those of a topic
    /// or a broker begin when the producer first uses it.
    fn start(&self) {
        if !self.topic_labels {
            self.start_records(None);
        }
        for metric in [DUPLICATES_POSSIBLE, BULKHEAD_REJECTED] {
            self.count(metric, 0, None);
        }
        for kind in ErrorKind::ALL.into_iter().filter(|kind| error::is_retried(*kind)) {
            self.count(RETRIES, 0, [("reason", Text::Static(kind.as_str()))]);
        }
        for result in std::iter::once("ok").chain(CONNECT_FAILURES.map(ErrorKind::as_str)) {
            self.count(CONNECTS, 0, [("result", Text::Static(result))]);
        }
        self.count(BREAKER_OPENED, 0, [("broker", Text::Static(CLUSTER))]);
    }

    /// The counters of a topic begin at 0, where it is a label.
    pub(crate) fn start_topic(&self, topic: &Arc<str>) {
        if self.topic_labels {
            self.start_records(self.topic(topic));
        }
    }

    fn start_records(&self, topic: Option<Label<'_>>) {
        for metric in [RECORDS_SENT, BYTES_SENT, RECORDS_ACKED] {
            self.count(metric, 0, topic);
        }
        for code in ErrorCode::ALL {
            for persistence in PERSISTENCE {
                self.failed(0, code, persistence, topic);
            }
        }
    }

    pub(crate) fn failed(
        &self,
        n: usize,
        code: ErrorCode,
        persistence: &'static str,
        topic: Option<Label<'_>>,
    ) {
        let labels = [("code", Text::Static(code.as_str())), ("persistence", Text::Static(persistence))];
        self.count(RECORDS_FAILED, n, labels.into_iter().chain(topic));
    }

    /// The counters of a broker begin at 0.
    pub(crate) fn start_broker(&self, broker: &Arc<str>) {
        self.count(BREAKER_OPENED, 0, [("broker", Text::Shared(broker))]);
    }

    /// The label of a topic, where such labels are wanted.
    pub(crate) fn topic<'a>(&self, topic: &'a Arc<str>) -> Option<Label<'a>> {
        self.topic_labels.then_some(("topic", Text::Shared(topic)))
    }
}

#[cfg(feature = "metrics")]
mod facade {
    use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

    use super::{ALL, Kind, Labels, Meters, Metric, Text};

    impl Meters {
        pub(super) fn describe(&self) {
            for metric in ALL {
                let unit = match metric.name {
                    name if name.ends_with("_seconds") => Unit::Seconds,
                    name if name.contains("bytes") => Unit::Bytes,
                    _ => Unit::Count,
                };
                self.record(|| match metric.kind {
                    Kind::Counter => describe_counter!(metric.name, unit, metric.help),
                    Kind::Gauge => describe_gauge!(metric.name, unit, metric.help),
                    Kind::Histogram => describe_histogram!(metric.name, unit, metric.help),
                });
            }
        }

        /// Calls the recorder, which is user code.
        fn record(&self, call: impl FnOnce()) {
            self.log.contain("the metrics recorder", call);
        }

        pub(crate) fn count<'a>(&self, metric: Metric, n: usize, labels: impl Labels<'a>) {
            self.record(|| counter!(metric.name, self.labels(labels)).increment(n as u64));
        }

        pub(crate) fn set<'a>(&self, metric: Metric, value: f64, labels: impl Labels<'a>) {
            self.record(|| gauge!(metric.name, self.labels(labels)).set(value));
        }

        pub(crate) fn observe<'a>(&self, metric: Metric, value: f64, labels: impl Labels<'a>) {
            self.record(|| histogram!(metric.name, self.labels(labels)).record(value));
        }

        fn labels<'a>(&self, own: impl Labels<'a>) -> Vec<metrics::Label> {
            let own = own.into_iter().map(|(name, text)| match text {
                Text::Static(text) => metrics::Label::from_static_parts(name, text),
                Text::Shared(text) => metrics::Label::new(name, text.clone()),
            });
            own.chain([metrics::Label::new("client_id", self.client_id.clone())]).collect()
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod facade {
    use super::{Labels, Meters, Metric};

    #[allow(clippy::unused_self, reason = "the same calls as with the feature")]
    impl Meters {
        pub(super) fn describe(&self) {}

        pub(crate) fn count<'a>(&self, _: Metric, _: usize, _: impl Labels<'a>) {}

        pub(crate) fn set<'a>(&self, _: Metric, _: f64, _: impl Labels<'a>) {}

        pub(crate) fn observe<'a>(&self, _: Metric, _: f64, _: impl Labels<'a>) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_docs_is_that_of_the_code() {
        let rows = ALL.iter().map(|metric| {
            let kind = format!("{:?}", metric.kind).to_lowercase();
            let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            format!("| `{}` | {kind} | {} | {} |", metric.name, labels.join(", "), metric.help)
        });
        let code: Vec<_> = rows.collect();
        let docs = include_str!("../docs/telemetry.md");
        let documented: Vec<_> = docs.lines().filter(|line| line.starts_with("| `kafka_producer_")).collect();
        assert_eq!(documented, code);
    }
}
