//! Events, spans, traces and counters are what `docs/telemetry.md` says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{
    BatchConfig, BreakerState, BufferConfig, Context, EngineKind, ErrorKind, Health, HealthRegistry, Message,
    Producer, ProducerConfig, RateLimitConfig, TelemetryConfig, TimeoutConfig,
};
use serde_json::Value;

use crate::logging::Lines;
use crate::support::{SECOND, ctx};

/// Events of what this test cannot cause: a codec that fails, and files that TLS needs.
const RARE: [&str; 5] =
    ["compression.failed", "task.panicked", "tasks.moved", "tls.hostname_unverified", "tls.reload_failed"];
const DOCS: &str = include_str!("../../src/docs/telemetry.md");

async fn producer(cluster: &FakeCluster, lines: &Lines) -> Producer {
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t").logger(lines.logger());
    Producer::connect(&ctx(10 * SECOND), config).await.unwrap()
}

/// Everything that can happen to a producer, once.
async fn everything(lines: &Lines) {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    // It goes well.
    let healthy = producer(&cluster, lines).await;
    healthy.send_message(&ctx(SECOND), "k", "v").await.unwrap();
    healthy.flush(&ctx(SECOND)).await.unwrap();
    healthy.health(&ctx(SECOND)).await.unwrap();
    // A broker demands to start from the configured ones.
    cluster.inject(Rule::on(Api::Metadata), Fault::Error(129));
    healthy.partitions(&ctx(SECOND), "t").await.unwrap();
    // A broker is slow, refuses, throttles.
    cluster.inject(Rule::on(Api::Produce), Fault::Error(19));
    cluster.inject(Rule::on(Api::Produce), Fault::Throttle(SECOND));
    healthy.send_message(&ctx(10 * SECOND), "k", "v").await.unwrap();
    cluster.inject(Rule::on(Api::Produce), Fault::Error(29));
    healthy.send_message(&ctx(10 * SECOND), "k", "v").await.unwrap_err();
    // The user's clock panics.
    let broken = ProducerConfig::new(cluster.bootstrap()).topic("t").logger(lines.logger());
    let broken = broken.wall_clock(|| panic!("out of batteries"));
    let broken = Producer::connect(&ctx(10 * SECOND), broken).await.unwrap();
    broken.send_message(&ctx(10 * SECOND), "k", "v").await.unwrap();
    // Settings and variables without effect.
    let from_env = ProducerConfig::from_env_with_prefix("PA").unwrap().logger(lines.logger());
    Producer::new(from_env.with_properties([("bootstrap.servers", "a:1"), ("key.serializer", "s")]).unwrap())
        .unwrap();
    // It grants no producer id at first.
    cluster.inject(Rule::on(Api::InitProducerId).times(2), Fault::Error(15));
    producer(&cluster, lines).await.send_message(&ctx(10 * SECOND), "k", "v").await.unwrap();
    // Its topic is created again, and another cluster takes its place.
    let (one, two) =
        (FakeCluster::with_topic("t", 1).await.unwrap(), FakeCluster::with_topic("t", 1).await.unwrap());
    let moved = producer(&one, lines).await;
    moved.send_message(&ctx(10 * SECOND), "k", "v").await.unwrap();
    assert!(one.recreate_topic("t", 1));
    one.inject(Rule::on(Api::Produce), Fault::Error(6));
    moved.send_message(&ctx(10 * SECOND), "k", "v").await.unwrap();
    one.exchange(&two);
    tokio::time::sleep(SECOND / 1_000).await;
    moved.send_message(&ctx(10 * SECOND), "k", "v").await.unwrap();
    // It goes away and comes back.
    cluster.stop(0).await;
    let receipt = healthy.enqueue(&ctx(60 * SECOND), Message::new("v")).await.unwrap();
    tokio::time::sleep(10 * SECOND).await;
    healthy.flush(&ctx(SECOND / 10)).await.unwrap_err();
    healthy.health(&ctx(SECOND / 10)).await.unwrap_err();
    let unlucky = ProducerConfig::new(cluster.bootstrap()).logger(lines.logger());
    Producer::connect(&ctx(SECOND), unlucky).await.unwrap_err();
    cluster.start(0).unwrap();
    receipt.await.unwrap();
    healthy.close(&ctx(10 * SECOND)).await.unwrap();
    // It falls silent, and more is sent than there is room for.
    let buffer = BufferConfig::default().max_bytes(1 << 20);
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t").buffer(buffer).logger(lines.logger());
    let full = Producer::connect(&ctx(10 * SECOND), config).await.unwrap();
    full.send_message(&ctx(SECOND), "k", "v").await.unwrap();
    cluster.black_hole(0);
    // Those that wait fail after two seconds, which makes room for the next.
    for _ in 0..30 {
        drop(full.enqueue(&ctx(2 * SECOND), Message::new(vec![0; 100_000])).await);
    }
    drop(full.enqueue(&ctx(200 * SECOND), Message::new("left")).await.unwrap());
    full.close(&ctx(SECOND)).await.unwrap_err();
    cluster.behave(0);
    let dropped = producer(&cluster, lines).await;
    cluster.black_hole(0);
    drop(dropped.enqueue(&ctx(200 * SECOND), Message::new("v")).await.unwrap());
    drop(dropped);
    tokio::time::sleep(200 * SECOND).await;
    // A check is down and up again.
    let registry = HealthRegistry::new().logger(lines.logger());
    let up = Arc::new(AtomicBool::new(false));
    let is_up = up.clone();
    registry
        .register_fn("disk", move |_| {
            let up = is_up.load(Ordering::SeqCst);
            async move { if up { Health::Up } else { Health::down_because("full") } }
        })
        .unwrap();
    registry.report(&Context::background()).await;
    up.store(true, Ordering::SeqCst);
    tokio::time::advance(2 * SECOND).await;
    registry.report(&Context::background()).await;
}

/// Name, levels and fields of each event of the docs.
fn documented() -> BTreeMap<String, (Vec<String>, BTreeSet<String>)> {
    let ticked = |cell: &str| {
        let names = cell.split('`').skip(1).step_by(2);
        names.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let table = DOCS.split("# Counters").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let levels = cells[2].split(", ").map(str::to_owned).collect();
        (cells[1].trim_matches('`').to_owned(), (levels, ticked(cells[4])))
    })
    .collect()
}

#[tokio::test(start_paused = true)]
async fn every_event_of_the_docs_is_emitted_with_its_level_and_fields_and_no_other() {
    let lines = Lines::default();
    everything(&lines).await;
    let docs = documented();
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in lines.all().iter().filter(|line| line["target"] == "rskafka_producer") {
        let name = event["event"].as_str().unwrap_or_else(|| panic!("without a name: {event}"));
        let (levels, fields) = docs.get(name).unwrap_or_else(|| panic!("not in the docs: {event}"));
        assert!(levels.contains(&event["level"].as_str().unwrap().to_owned()), "{event}");
        assert_eq!(event["component"], "kafka", "{event}");
        for key in event.as_object().unwrap().keys() {
            let common = ["timestamp", "level", "target", "component", "event", "brokers", "message"];
            assert!(common.contains(&&**key) || fields.contains(key), "{key} is not in the docs: {event}");
            seen.entry(name.to_owned()).or_default().insert(key.clone());
        }
    }
    for (name, (_, fields)) in docs.iter().filter(|(name, _)| !RARE.contains(&name.as_str())) {
        let emitted = seen.get(name).unwrap_or_else(|| panic!("{name} was never emitted"));
        assert!(fields.is_subset(emitted), "{name} has {emitted:?}, the docs say {fields:?}");
    }
}

/// Every Rust file of the library.
fn sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.clone(), std::fs::read_to_string(path).unwrap()));
        }
    }
}

#[test]
fn every_event_name_in_the_source_is_in_the_docs_and_every_event_goes_through_the_logger() {
    let mut files = Vec::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut files);
    let (_, table) = files.iter().find(|(path, _)| path.ends_with("telemetry/event.rs")).unwrap();
    let mut names = BTreeSet::new();
    for row in table.lines().filter(|line| line.starts_with("    ") && line.ends_with("\";")) {
        let (before, name) = (row.split('"').next().unwrap(), row.split('"').nth(1).unwrap());
        match before.ends_with("= ") {
            true => names.extend([format!("{name}.ok"), format!("{name}.failed")]),
            false => _ = names.insert(name.to_owned()),
        }
    }
    let docs: BTreeSet<_> = documented().into_keys().collect();
    assert!(names.len() >= 27, "{names:?}");
    assert_eq!(names, docs);
    for (path, text) in files.iter().filter(|(path, _)| !path.ends_with("telemetry/log.rs")) {
        for macro_name in ["trace!", "debug!", "info!", "warn!", "error!", "event!"] {
            let called = format!("tracing::{macro_name}");
            assert!(!text.contains(&called), "{} bypasses the logger: {called}", path.display());
        }
    }
}

/// What a filter lets through of this crate while a producer works.
async fn heard_with(filter: &str) -> usize {
    let lines = Lines::default();
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t").logger(lines.filtered(filter));
    let producer = Producer::connect(&ctx(10 * SECOND), config).await.unwrap();
    producer.close(&ctx(10 * SECOND)).await.unwrap();
    lines.all().len()
}

#[tokio::test(start_paused = true)]
async fn the_filter_that_the_docs_recommend_silences_rskafka_and_not_this_crate() {
    let recommended = "rskafka=warn,rskafka_producer=info";
    assert!(DOCS.contains(recommended));
    let all = heard_with("info").await;
    assert!(all > 0);
    assert_eq!(heard_with(&format!("info,{recommended}")).await, all);
    assert_eq!(heard_with("info,rskafka=warn").await, 0, "a target matches by prefix");
}

#[tokio::test(start_paused = true)]
async fn a_change_of_health_names_no_brokers_since_a_registry_has_none() {
    let lines = Lines::default();
    let registry = HealthRegistry::new().logger(lines.logger());
    registry.register_fn("disk", |_| async { Health::down_because("full") }).unwrap();
    registry.report(&Context::background()).await;
    let all = lines.all();
    let changed = all.iter().find(|line| line["event"] == "health.changed").unwrap();
    assert!(changed.get("brokers").is_none(), "{changed}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_a_minute_leaves_few_events() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let lines = Lines::default();
    let producer = producer(&cluster, &lines).await;
    producer.send_message(&ctx(SECOND), "k", "v").await.unwrap();
    cluster.stop(0).await;
    let receipt = producer.enqueue(&ctx(100 * SECOND), Message::new("v")).await.unwrap();
    tokio::time::sleep(60 * SECOND).await;
    cluster.start(0).unwrap();
    receipt.await.unwrap();
    let loud = lines.all().iter().filter(|line| line["level"] != "DEBUG").count();
    assert!(loud < 120, "{loud} events");
    let of = |name: &str| {
        let events = lines.all();
        events.iter().filter(|line| line["event"] == name && line["broker"] != "cluster").count()
    };
    assert_eq!((of("breaker.opened"), of("breaker.closed")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn each_attempt_of_a_batch_is_a_span_by_the_conventions_of_opentelemetry() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let lines = Lines::default();
    let producer = producer(&cluster, &lines).await;
    cluster.inject(Rule::on(Api::Produce), Fault::Error(19));
    producer.send_message(&ctx(10 * SECOND), "s3cret", "s3cret").await.unwrap();
    let all = lines.all();
    let spans: Vec<&Value> = all.iter().filter(|line| line["target"] == "rskafka_producer::span").collect();
    assert_eq!(spans.len(), 2, "{spans:?}");
    let (host, port) =
        cluster.bootstrap()[0].rsplit_once(':').map(|(h, p)| (h.to_owned(), p.to_owned())).unwrap();
    for span in &spans {
        let span = &span["span"];
        for (field, value) in [
            ("name", "kafka.send"),
            ("otel.name", "send t"),
            ("otel.kind", "client"),
            ("messaging.system", "kafka"),
            ("messaging.operation.name", "send"),
            ("messaging.operation.type", "send"),
            ("messaging.destination.name", "t"),
            ("messaging.destination.partition.id", "0"),
            ("messaging.client.id", "rskafka-producer"),
            ("server.address", host.as_str()),
        ] {
            assert_eq!(span[field], value, "{field} of {span}");
        }
        assert_eq!(span["messaging.batch.message_count"], 1);
        assert_eq!(span["server.port"].to_string(), port);
    }
    let (failed, stored) = (&spans[0]["span"], &spans[1]["span"]);
    assert_eq!((&failed["error.type"], &failed["attempt"]), (&"NOT_ENOUGH_REPLICAS".into(), &1.into()));
    assert_eq!(failed["otel.status_code"], "ERROR");
    assert_eq!((&stored["messaging.kafka.offset"], &stored["attempt"]), (&0.into(), &2.into()));
    assert!(stored.get("error.type").is_none());
    assert!(!format!("{spans:?}").contains("s3cret"));
}

tokio::task_local! {
    static TRACE: &'static str;
}

#[tokio::test(start_paused = true)]
async fn the_trace_of_who_sends_is_in_the_headers_by_every_way_of_sending() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let telemetry = TelemetryConfig::default().propagator(|headers| {
        if let Ok(trace) = TRACE.try_with(|trace| *trace) {
            headers.set("traceparent", trace);
        }
    });
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t").telemetry(telemetry);
    let producer = Producer::connect(&ctx(10 * SECOND), config).await.unwrap();
    let limit = ctx(SECOND);
    TRACE.scope("a", producer.send_message(&limit, "k", "0")).await.unwrap();
    TRACE.scope("b", producer.send(&limit, Message::new("1").header("x", "y"))).await.unwrap();
    TRACE.scope("c", producer.enqueue(&limit, Message::new("2"))).await.unwrap().await.unwrap();
    TRACE.scope("d", async { producer.try_enqueue(Message::new("3")) }).await.unwrap().await.unwrap();
    let theirs = Message::new("4").header("traceparent", "theirs");
    TRACE.scope("e", producer.send(&limit, theirs)).await.unwrap();
    producer.send(&limit, Message::new("5")).await.unwrap();
    let traces: Vec<_> = cluster
        .records("t", 0)
        .into_iter()
        .map(|record| {
            let found: Vec<_> =
                record.headers.into_iter().filter(|(name, _)| name == "traceparent").collect();
            assert!(found.len() <= 1);
            found
                .into_iter()
                .next()
                .and_then(|(_, value)| value)
                .map(|v| String::from_utf8(v.to_vec()).unwrap())
        })
        .collect();
    let found: Vec<_> = traces.iter().map(Option::as_deref).collect();
    assert_eq!(found, [Some("a"), Some("b"), Some("c"), Some("d"), Some("theirs"), None]);
}

#[test]
fn the_baseline_engine_refuses_a_propagator() {
    let telemetry = TelemetryConfig::default().propagator(|_| {});
    let config = ProducerConfig::new(["b:9092"]).engine(EngineKind::PartitionClient).telemetry(telemetry);
    let error = config.validate().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.to_string().contains("telemetry.propagator"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn stats_have_each_broker_each_topic_and_how_values_are_spread() {
    let cluster = FakeCluster::builder().brokers(2).topic("a", 2).topic("b", 1).start().await.unwrap();
    let rate = RateLimitConfig::default().records_per_second(Some(10.0));
    let timeouts = TimeoutConfig::default().request(2 * SECOND);
    let config = ProducerConfig::new(cluster.bootstrap())
        .timeouts(timeouts)
        .batch(BatchConfig::default().linger(Duration::ZERO))
        .rate_limit(rate);
    let producer = Producer::connect(&ctx(10 * SECOND), config).await.unwrap();
    let limit = ctx(60 * SECOND);
    for n in 0..30 {
        let topic = if n % 3 == 0 { "b" } else { "a" };
        producer.send(&limit, Message::new(vec![0; 100]).to(topic).partition(n % 3 / 2)).await.unwrap();
    }
    cluster.inject(Rule::on(Api::Produce), Fault::Error(29));
    producer.send(&limit, Message::new("refused").to("b")).await.unwrap_err();
    let stats = producer.stats();
    assert_eq!((stats.records_accepted, stats.records_sent, stats.records_acked), (31, 31, 30));
    assert_eq!((stats.records_not_persisted, stats.records_possibly_persisted), (1, 0));
    let topics: Vec<_> =
        stats.topics.iter().map(|t| (t.topic.as_str(), t.records_acked, t.records_failed)).collect();
    assert_eq!(topics, [("a", 20, 0), ("b", 10, 1)]);
    assert_eq!(stats.topics.iter().map(|t| t.bytes_acked).sum::<u64>(), stats.bytes_acked);
    assert_eq!((stats.batch_records.count, stats.batch_records.p99), (30, 1));
    assert_eq!(stats.request_latency.count, 31);
    assert_eq!((stats.connects, stats.connections, stats.connections_lost), (2, 2, 0));
    assert!(stats.rate_limited > SECOND, "{:?}", stats.rate_limited);
    let mut addresses = cluster.bootstrap();
    addresses.sort();
    assert_eq!(stats.brokers.iter().map(|b| b.broker.clone()).collect::<Vec<_>>(), addresses);
    assert!(stats.brokers.iter().all(|b| b.breaker == BreakerState::Closed && b.in_flight == 0));
    assert!(stats.last_success.is_some() && stats.metadata_age.is_some());
    assert_eq!(stats.buffer_max_bytes, 32 << 20);
    cluster.stop(0).await;
    cluster.stop(1).await;
    let receipt = producer.enqueue(&limit, Message::new("late").to("b")).await.unwrap();
    tokio::time::sleep(10 * SECOND).await;
    let stats = producer.stats();
    let open: Vec<_> = stats.brokers.iter().filter(|b| b.breaker != BreakerState::Closed).collect();
    assert_eq!(open.len(), 1, "{:?}", stats.brokers);
    assert!(open[0].consecutive_failures >= 5);
    assert_eq!((stats.connections, stats.breaker_opened, stats.cluster_breaker), (0, 2, BreakerState::Open));
    assert!(stats.connects_failed > 0 && stats.connections_lost >= 1, "{stats:?}");
    drop(receipt);
}
