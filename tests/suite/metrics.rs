//! What reaches the recorder of the `metrics` facade.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use rskafka_producer::{
    BufferConfig, Context, Message, Producer, ProducerConfig, RateLimitConfig, TelemetryConfig,
};

const SECOND: Duration = Duration::from_secs(1);

/// Keeps the last value of each gauge, the sum of everything else, and how often it was told.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<BTreeMap<Key, (f64, u64)>>>);

struct Handle {
    key: Key,
    kept: Kept,
}

impl Handle {
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut kept = self.kept.0.lock().unwrap();
        let entry = kept.entry(self.key.clone()).or_default();
        *entry = (change(entry.0), entry.1 + 1);
    }
}

impl CounterFn for Handle {
    fn increment(&self, value: u64) {
        self.change(|sum| sum + value as f64);
    }
    fn absolute(&self, value: u64) {
        self.change(|_| value as f64);
    }
}

impl GaugeFn for Handle {
    fn increment(&self, value: f64) {
        self.change(|level| level + value);
    }
    fn decrement(&self, value: f64) {
        self.change(|level| level - value);
    }
    fn set(&self, value: f64) {
        self.change(|_| value);
    }
}

impl HistogramFn for Handle {
    fn record(&self, value: f64) {
        self.change(|sum| sum + value);
    }
}

impl Kept {
    fn handle(&self, key: &Key) -> Arc<Handle> {
        Arc::new(Handle { key: key.clone(), kept: self.clone() })
    }

    fn sum(&self, name: &str) -> f64 {
        self.0.lock().unwrap().iter().filter(|(key, _)| key.name() == name).map(|(_, (sum, _))| sum).sum()
    }

    /// How often anything was told.
    fn told(&self) -> u64 {
        self.0.lock().unwrap().values().map(|(_, times)| times).sum()
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.handle(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.handle(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.handle(key))
    }
}

/// Name and labels of each metric of the docs.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let docs = include_str!("../../src/docs/telemetry.md");
    let rows = docs.lines().filter(|line| line.starts_with("| `kafka_producer_"));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let labels = cells[3].split('`').skip(1).step_by(2).map(str::to_owned);
        (cells[1].trim_matches('`').to_owned(), labels.chain(["client_id".to_owned()]).collect())
    })
    .collect()
}

#[tokio::test(start_paused = true)]
async fn every_metric_of_the_docs_is_told_with_its_labels_and_the_values_are_right() {
    let kept = Kept::default();
    let _recorder = metrics::set_default_local_recorder(&kept);
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let config = ProducerConfig::new(cluster.bootstrap())
        .topic("t")
        .client_id("shop")
        .idempotence(false)
        .buffer(BufferConfig::default().max_bytes(1 << 20).max_wait(SECOND))
        .rate_limit(RateLimitConfig::default().records_per_second(Some(5.0)))
        .telemetry(TelemetryConfig::default().topic_labels(true));
    let limit = Context::timeout(100 * SECOND);
    let producer = Producer::connect(&limit, config).await.unwrap();
    for _ in 0..10 {
        producer.send_message(&limit, "k", "v").await.unwrap();
    }
    cluster.inject(Rule::on(Api::Produce), Fault::Throttle(SECOND));
    // Stored, and its answer lost: without idempotence the retry may store it again.
    cluster.inject(Rule::on(Api::Produce), Fault::Disconnect.after_apply());
    cluster.inject(Rule::on(Api::Produce), Fault::Error(29));
    producer.send_message(&limit, "k", "v").await.unwrap();
    let doubled = producer.send_message(&limit, "k", "v").await;
    assert!(doubled.is_err(), "{doubled:?}");
    cluster.stop(0).await;
    let waiting = producer.enqueue(&limit, Message::new("v")).await.unwrap();
    while producer.enqueue(&limit, Message::new(vec![0; 100_000])).await.map(drop).is_ok() {}
    tokio::time::sleep(10 * SECOND).await;
    cluster.start(0).unwrap();
    waiting.await.unwrap();
    producer.flush(&limit).await.unwrap();

    let docs = documented();
    let keys: Vec<Key> = kept.0.lock().unwrap().keys().cloned().collect();
    let mut seen = BTreeSet::new();
    for key in &keys {
        let labels: BTreeSet<_> = key.labels().map(|label| label.key().to_owned()).collect();
        assert_eq!(docs.get(key.name()), Some(&labels), "{key}");
        assert!(key.labels().any(|label| (label.key(), label.value()) == ("client_id", "shop")), "{key}");
        seen.insert(key.name().to_owned());
    }
    assert_eq!(seen, docs.keys().cloned().collect());

    let stats = producer.stats();
    for (name, value) in [
        ("records_sent_total", stats.records_sent),
        ("records_acked_total", stats.records_acked),
        ("bytes_sent_total", stats.bytes_sent),
        ("retries_total", stats.retries),
        ("duplicates_possible_total", stats.duplicates_possible),
        ("breaker_opened_total", stats.breaker_opened),
        ("bulkhead_rejected_total", stats.records_rejected),
        ("connects_total", stats.connects + stats.connects_failed),
        ("connections", stats.connections),
        ("breaker_state", 0),
        ("in_flight", 0),
        ("buffer_bytes", stats.buffer_bytes as u64),
    ] {
        assert_eq!(kept.sum(&format!("kafka_producer_{name}")), value as f64, "{name}: {stats:?}");
    }
    let failed = stats.records_not_persisted + stats.records_possibly_persisted;
    assert_eq!(kept.sum("kafka_producer_records_failed_total"), failed as f64);
    assert!(stats.duplicates_possible >= 1 && stats.records_rejected >= 1, "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn the_recorder_is_called_for_requests_and_batches_and_never_for_a_message() {
    let kept = Kept::default();
    let _recorder = metrics::set_default_local_recorder(&kept);
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let limit = Context::timeout(100 * SECOND);
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t");
    let producer = Producer::connect(&limit, config).await.unwrap();
    let mut receipts = Vec::new();
    for n in 0..20_000u32 {
        receipts.push(producer.enqueue(&limit, Message::new(n.to_string())).await.unwrap());
    }
    for receipt in receipts {
        receipt.await.unwrap();
    }
    let requests = producer.stats().requests;
    assert!(requests < 200, "{requests} requests");
    assert!(kept.told() < 20 * requests + 100, "told {} times in {requests} requests", kept.told());
}
