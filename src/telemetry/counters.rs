//! The counters behind [`Stats`], passed on to the `metrics` facade as they change.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use foldhash::fast::RandomState;
use parking_lot::RwLock;

use super::distribution::Histogram;
use super::metrics::{self, Meters, Text};
use super::stats::{Stats, TopicStats};
use super::tally::{Part, Tally};
use crate::clock::millis;
use crate::error::{Error, Failed, Fate};
use crate::resilience::BreakerState;

/// A batch that leaves.
pub(crate) struct Sent<'a> {
    pub(crate) topic: &'a Arc<str>,
    pub(crate) records: usize,
    pub(crate) bytes: usize,
    /// How long it waited, where it leaves for the first time.
    pub(crate) waited: Option<Duration>,
}

/// A batch that is stored.
pub(crate) struct Acked<'a> {
    pub(crate) topic: &'a Arc<str>,
    pub(crate) records: usize,
    pub(crate) bytes: usize,
    /// Time since its first message was accepted.
    pub(crate) age: Duration,
}

#[derive(Default)]
pub(crate) struct Counters {
    meters: Meters,
    accepted: Tally,
    sent: AtomicU64,
    acked: AtomicU64,
    not_persisted: AtomicU64,
    possibly_persisted: AtomicU64,
    rejected: AtomicU64,
    duplicates_possible: AtomicU64,
    requests: AtomicU64,
    requests_failed: AtomicU64,
    retries: AtomicU64,
    bytes_sent: AtomicU64,
    bytes_acked: AtomicU64,
    throttled_ms: AtomicU64,
    rate_limited_us: AtomicU64,
    breaker_opened: AtomicU64,
    connects: AtomicU64,
    connects_failed: AtomicU64,
    connections_lost: AtomicU64,
    connections: AtomicU64,
    request_latency: Histogram,
    queue_time: Histogram,
    send_time: Histogram,
    batch_records: Histogram,
    batch_bytes: Histogram,
    topics: RwLock<HashMap<Arc<str>, Arc<Topic>, RandomState>>,
}

#[derive(Debug, Default)]
struct Topic {
    acked: AtomicU64,
    failed: AtomicU64,
    bytes_acked: AtomicU64,
}

/// Counters of topics that are no longer in use are kept up to this number of topics.
const TOPICS_KEPT: usize = 1_000;

impl Counters {
    pub(crate) fn new(meters: Meters) -> Self {
        Self { meters, ..Self::default() }
    }

    /// For the messages that one partition accepts.
    pub(crate) fn accepted(&self) -> Part {
        self.accepted.part()
    }

    pub(crate) fn sent(&self, batch: &Sent<'_>) {
        self.sent.fetch_add(batch.records as u64, Relaxed);
        self.bytes_sent.fetch_add(batch.bytes as u64, Relaxed);
        self.meters.count(metrics::RECORDS_SENT, batch.records, self.meters.topic(batch.topic));
        self.meters.count(metrics::BYTES_SENT, batch.bytes, self.meters.topic(batch.topic));
        if let Some(waited) = batch.waited {
            self.queue_time.record_time(waited);
            self.meters.observe(metrics::QUEUE_WAIT, waited.as_secs_f64(), None);
        }
    }

    pub(crate) fn stored(&self, batch: &Acked<'_>) {
        let topic = self.topic(batch.topic);
        for counter in [&self.acked, &topic.acked] {
            counter.fetch_add(batch.records as u64, Relaxed);
        }
        for counter in [&self.bytes_acked, &topic.bytes_acked] {
            counter.fetch_add(batch.bytes as u64, Relaxed);
        }
        self.batch_records.record(batch.records as u64);
        self.batch_bytes.record(batch.bytes as u64);
        self.send_time.record_time(batch.age);
        self.meters.count(metrics::RECORDS_ACKED, batch.records, self.meters.topic(batch.topic));
        self.meters.observe(metrics::BATCH_RECORDS, batch.records as f64, None);
        self.meters.observe(metrics::BATCH_BYTES, batch.bytes as f64, None);
        self.meters.observe(metrics::SEND_DURATION, batch.age.as_secs_f64(), None);
    }

    /// A topic is no longer in use. Its counters are dropped where there are very many.
    pub(crate) fn forget_topic(&self, topic: &Arc<str>) {
        let mut topics = self.topics.write();
        if topics.len() > TOPICS_KEPT {
            topics.remove(topic);
        }
    }

    pub(crate) fn failed(&self, topic: &Arc<str>, failed: Failed, error: &Error) {
        self.failed_by(topic, failed.not_persisted, Fate::NotPersisted, error);
        self.failed_by(topic, failed.possibly_persisted, Fate::PossiblyPersisted, error);
    }

    fn failed_by(&self, topic: &Arc<str>, records: usize, fate: Fate, error: &Error) {
        if records == 0 {
            return;
        }
        let (counter, persistence) = match fate {
            Fate::NotPersisted => (&self.not_persisted, metrics::PERSISTENCE[0]),
            Fate::PossiblyPersisted => (&self.possibly_persisted, metrics::PERSISTENCE[1]),
        };
        for counter in [counter, &self.topic(topic).failed] {
            counter.fetch_add(records as u64, Relaxed);
        }
        self.meters.failed(records, error.code(), persistence, self.meters.topic(topic));
    }

    /// A message was refused for want of room.
    pub(crate) fn rejected(&self) {
        self.rejected.fetch_add(1, Relaxed);
        self.meters.count(metrics::BULKHEAD_REJECTED, 1, None);
    }

    pub(crate) fn request(&self, broker: &Arc<str>, answered: bool, took: Duration) {
        let counter = if answered { &self.requests } else { &self.requests_failed };
        counter.fetch_add(1, Relaxed);
        self.request_latency.record_time(took);
        self.meters.observe(
            metrics::ATTEMPT_DURATION,
            took.as_secs_f64(),
            [("broker", Text::Shared(broker))],
        );
    }

    /// What a request leaves behind that only a gauge shows.
    pub(crate) fn levels(&self, buffer_bytes: usize, metadata_age: impl FnOnce() -> Option<Duration>) {
        if !cfg!(feature = "metrics") {
            return;
        }
        self.meters.set(metrics::BUFFER_BYTES, buffer_bytes as f64, None);
        if let Some(age) = metadata_age() {
            self.meters.set(metrics::METADATA_AGE, age.as_secs_f64(), None);
        }
    }

    pub(crate) fn in_flight(&self, broker: impl FnOnce() -> Arc<str>, requests: usize) {
        if !cfg!(feature = "metrics") {
            return;
        }
        let broker = &broker();
        self.meters.set(metrics::IN_FLIGHT, requests as f64, [("broker", Text::Shared(broker))]);
    }

    /// A batch is sent again. `duplicates`: how many messages that may store twice.
    pub(crate) fn retried(&self, error: &Error, duplicates: usize) {
        self.retries.fetch_add(1, Relaxed);
        self.duplicates_possible.fetch_add(duplicates as u64, Relaxed);
        self.meters.count(metrics::RETRIES, 1, [("reason", Text::Static(error.kind().as_str()))]);
        if duplicates > 0 {
            self.meters.count(metrics::DUPLICATES_POSSIBLE, duplicates, None);
        }
    }

    pub(crate) fn throttled(&self, broker: &Arc<str>, time: Duration) {
        self.throttled_ms.fetch_add(millis(time), Relaxed);
        self.meters.observe(metrics::THROTTLE, time.as_secs_f64(), [("broker", Text::Shared(broker))]);
    }

    pub(crate) fn rate_limited(&self, time: Duration) {
        self.rate_limited_us.fetch_add(time.as_micros() as u64, Relaxed);
        self.meters.observe(metrics::RATE_LIMITED, time.as_secs_f64(), None);
    }

    pub(crate) fn breaker(&self, broker: &Arc<str>, state: BreakerState) {
        let level = match state {
            BreakerState::Closed | BreakerState::Disabled => 0.0,
            BreakerState::HalfOpen => 1.0,
            BreakerState::Open => 2.0,
        };
        self.meters.set(metrics::BREAKER_STATE, level, [("broker", Text::Shared(broker))]);
    }

    pub(crate) fn breaker_opened(&self, broker: &Arc<str>) {
        self.breaker_opened.fetch_add(1, Relaxed);
        self.meters.count(metrics::BREAKER_OPENED, 1, [("broker", Text::Shared(broker))]);
    }

    /// A topic was not known before.
    pub(crate) fn meet_topic(&self, topic: &Arc<str>) {
        self.meters.start_topic(topic);
    }

    pub(crate) fn connected(&self, broker: &Arc<str>) {
        self.meters.start_broker(broker);
        self.connects.fetch_add(1, Relaxed);
        self.connections.fetch_add(1, Relaxed);
        self.meters.count(metrics::CONNECTS, 1, [("result", Text::Static("ok"))]);
        self.meters.set(metrics::CONNECTIONS, 1.0, [("broker", Text::Shared(broker))]);
    }

    pub(crate) fn connect_failed(&self, broker: &str, error: &Error) {
        if cfg!(feature = "metrics") {
            self.meters.start_broker(&broker.into());
        }
        self.connects_failed.fetch_add(1, Relaxed);
        self.meters.count(metrics::CONNECTS, 1, [("result", Text::Static(error.kind().as_str()))]);
    }

    pub(crate) fn disconnected(&self, broker: &Arc<str>, lost: bool) {
        self.connections.fetch_sub(1, Relaxed);
        self.connections_lost.fetch_add(u64::from(lost), Relaxed);
        self.meters.set(metrics::CONNECTIONS, 0.0, [("broker", Text::Shared(broker))]);
    }

    /// Messages that failed, whatever their fate.
    pub(crate) fn lost(&self) -> u64 {
        self.not_persisted.load(Relaxed) + self.possibly_persisted.load(Relaxed)
    }

    pub(crate) fn total_accepted(&self) -> u64 {
        self.accepted.total()
    }

    /// Messages that were accepted and are not acknowledged.
    pub(crate) fn not_acked(&self) -> u64 {
        self.total_accepted().saturating_sub(self.acked.load(Relaxed))
    }

    /// Messages that are accepted but not settled.
    pub(crate) fn unsettled(&self) -> usize {
        let settled = self.acked.load(Relaxed) + self.lost();
        usize::try_from(self.total_accepted().saturating_sub(settled)).unwrap_or(usize::MAX)
    }

    fn topic(&self, name: &Arc<str>) -> Arc<Topic> {
        if let Some(topic) = self.topics.read().get(name) {
            return topic.clone();
        }
        self.topics.write().entry(name.clone()).or_default().clone()
    }

    pub(crate) fn snapshot(&self) -> Stats {
        let mut topics: Vec<_> = self.topics.read().iter().map(|(name, topic)| topic.stats(name)).collect();
        topics.sort_unstable_by(|a, b| a.topic.cmp(&b.topic));
        Stats {
            records_accepted: self.total_accepted(),
            records_sent: self.sent.load(Relaxed),
            records_acked: self.acked.load(Relaxed),
            records_not_persisted: self.not_persisted.load(Relaxed),
            records_possibly_persisted: self.possibly_persisted.load(Relaxed),
            records_rejected: self.rejected.load(Relaxed),
            duplicates_possible: self.duplicates_possible.load(Relaxed),
            requests: self.requests.load(Relaxed),
            requests_failed: self.requests_failed.load(Relaxed),
            retries: self.retries.load(Relaxed),
            bytes_sent: self.bytes_sent.load(Relaxed),
            bytes_acked: self.bytes_acked.load(Relaxed),
            throttled: Duration::from_millis(self.throttled_ms.load(Relaxed)),
            rate_limited: Duration::from_micros(self.rate_limited_us.load(Relaxed)),
            breaker_opened: self.breaker_opened.load(Relaxed),
            connects: self.connects.load(Relaxed),
            connects_failed: self.connects_failed.load(Relaxed),
            connections_lost: self.connections_lost.load(Relaxed),
            connections: self.connections.load(Relaxed),
            request_latency: self.request_latency.times(),
            queue_time: self.queue_time.times(),
            send_time: self.send_time.times(),
            batch_records: self.batch_records.values(),
            batch_bytes: self.batch_bytes.values(),
            topics,
            ..Stats::default()
        }
    }
}

impl Topic {
    fn stats(&self, name: &str) -> TopicStats {
        TopicStats {
            topic: name.to_owned(),
            records_acked: self.acked.load(Relaxed),
            records_failed: self.failed.load(Relaxed),
            bytes_acked: self.bytes_acked.load(Relaxed),
        }
    }
}
