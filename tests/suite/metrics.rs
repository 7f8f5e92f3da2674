//! What reaches the recorder of the `metrics` facade.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use rskafka_producer::{
    BufferConfig, Context, Message, Producer, ProducerConfig, RateLimitConfig, TelemetryConfig,
};

use crate::support::SECOND;

/// Keeps the last value of each gauge, the sum of everything else, and how often it was updated.
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

    /// How often anything was updated.
    fn updates(&self) -> u64 {
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
async fn every_metric_of_the_docs_is_reported_with_its_labels_and_the_values_are_right() {
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
    let duplicate = producer.send_message(&limit, "k", "v").await;
    assert!(duplicate.is_err(), "{duplicate:?}");
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
    assert!(kept.updates() < 20 * requests + 100, "updated {} times in {requests} requests", kept.updates());
}

/// Every string of a JSON document.
fn texts(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => found.push(text.clone()),
        serde_json::Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
        serde_json::Value::Object(fields) => fields.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}

/// The words of a query that could be names.
fn words(query: &str) -> impl Iterator<Item = &str> {
    query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

#[test]
fn the_dashboard_shows_every_metric_by_labels_that_it_has_and_no_other() {
    let dashboard = include_str!("../../examples/metrics/dashboard.json");
    let mut found = Vec::new();
    texts(&serde_json::from_str(dashboard).unwrap(), &mut found);
    let docs = documented();
    let mut shown = BTreeSet::new();
    for query in found.iter().filter(|text| text.contains("kafka_producer_")) {
        for name in words(query).filter(|word| word.starts_with("kafka_producer_")) {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let metric = base.unwrap_or(name);
            let labels = docs.get(metric).unwrap_or_else(|| panic!("{metric} does not exist: {query}"));
            for by in query.split(" by (").skip(1).map(|rest| rest.split(')').next().unwrap()) {
                for label in by.split(", ").filter(|label| *label != "le") {
                    assert!(labels.contains(label), "{metric} has no label {label}: {query}");
                }
            }
            shown.insert(metric.to_owned());
        }
    }
    assert_eq!(shown, docs.into_keys().collect());
}

#[tokio::test(start_paused = true)]
async fn every_counter_is_there_before_its_first_event() {
    let docs = include_str!("../../src/docs/telemetry.md");
    let counters = docs.lines().filter(|line| line.contains("| counter |"));
    let counters: BTreeSet<_> = counters.map(|row| row.split('`').nth(1).unwrap().to_owned()).collect();
    for topic_labels in [false, true] {
        let kept = Kept::default();
        let _recorder = metrics::set_default_local_recorder(&kept);
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let telemetry = TelemetryConfig::default().topic_labels(topic_labels);
        let config = ProducerConfig::new(cluster.bootstrap()).topic("t").telemetry(telemetry);
        let limit = Context::timeout(100 * SECOND);
        let producer = Producer::connect(&limit, config).await.unwrap();
        let begun = kept.0.lock().unwrap().clone();
        let names: BTreeSet<_> = begun.keys().map(|key| key.name().to_owned()).collect();
        assert!(counters.is_subset(&names), "missing: {:?}", counters.difference(&names));
        for (key, (value, _)) in &begun {
            let connected = key.name().contains("connect");
            assert!(connected || !counters.contains(key.name()) || *value == 0.0, "{key} begins at {value}");
        }
        // Things go wrong, in ways that no earlier series announced.
        for code in [3, 5, 7, 19, 45, 59] {
            cluster.inject(Rule::on(Api::Produce), Fault::Error(code));
            _ = producer.send_message(&limit, "k", "v").await;
        }
        cluster.inject(Rule::on(Api::Produce), Fault::Disconnect);
        _ = producer.send_message(&limit, "k", "v").await;
        cluster.inject(Rule::on(Api::Produce), Fault::Error(29));
        producer.send_message(&limit, "k", "v").await.unwrap_err();
        cluster.stop(0).await;
        producer.send_message(&Context::timeout(30 * SECOND), "k", "v").await.unwrap_err();
        assert!(
            kept.sum("kafka_producer_retries_total") >= 7.0
                && kept.sum("kafka_producer_breaker_opened_total") >= 1.0
        );
        for key in kept.0.lock().unwrap().keys().filter(|key| counters.contains(key.name())) {
            assert!(begun.contains_key(key), "{key} appeared with its first event");
        }
    }
}

#[path = "../../examples/metrics/buckets.rs"]
mod buckets;

#[test]
fn every_histogram_has_buckets_in_the_example_and_in_the_guide() {
    let docs = include_str!("../../src/docs/telemetry.md");
    let recorder =
        buckets::set(metrics_exporter_prometheus::PrometheusBuilder::new()).unwrap().build_recorder();
    let scrapes = recorder.handle();
    let histograms = docs.lines().filter(|line| line.contains("| histogram |"));
    let histograms: Vec<_> = histograms.map(|row| row.split('`').nth(1).unwrap().to_owned()).collect();
    metrics::with_local_recorder(&recorder, || {
        histograms.iter().for_each(|name| metrics::histogram!(name.clone()).record(1.0));
    });
    let scraped = scrapes.render();
    for name in &histograms {
        assert!(scraped.contains(&format!("{name}_bucket{{le=")), "{name} has no buckets: {scraped}");
    }
    let code = include_str!("../../examples/metrics/buckets.rs");
    for line in
        code.lines().map(str::trim).filter(|line| line.contains("set_buckets") || line.starts_with("const"))
    {
        assert!(docs.contains(line), "the guide lacks: {line}");
    }
}
