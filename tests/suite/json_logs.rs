//! The formatter of `examples/json_logs`, and the advice on filters.

use std::time::Duration;

use kafka_testbed::FakeCluster;
use rskafka_producer::{Context, Producer, ProducerConfig};
use serde_json::Value;
use tracing::Dispatch;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;

use crate::logging::Lines;

#[path = "../../examples/json_logs/kafka_json.rs"]
mod kafka_json;
use kafka_json::KafkaJson;

fn logger(lines: &Lines, format: KafkaJson) -> Dispatch {
    let lines = lines.clone();
    let layer = tracing_subscriber::fmt::layer().event_format(format).with_writer(move || lines.clone());
    Dispatch::new(
        tracing_subscriber::registry().with(layer.with_filter(filter_fn(move |event| format.wants(event)))),
    )
}

async fn checked(cluster: &FakeCluster, logger: Dispatch, limit: Duration) {
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t").logger(logger);
    let producer = Producer::new(config).unwrap();
    _ = producer.health(&Context::timeout(limit)).await;
}

#[tokio::test]
async fn a_health_check_is_logged_in_exactly_the_documented_form() {
    let cluster = FakeCluster::builder().brokers(2).topic("t", 1).start().await.unwrap();
    let lines = Lines::default();
    checked(&cluster, logger(&lines, KafkaJson::default()), Duration::from_secs(10)).await;
    let text = lines.text();
    let duration = lines.all()[0]["duration_ms"].as_f64().unwrap();
    let brokers = cluster.bootstrap().join(r#"",""#);
    assert_eq!(
        text,
        format!(
            r#"{{"component":"kafka","duration_ms":{duration:?},"brokers":["{brokers}"],"error":null}}{}"#,
            "\n"
        )
    );
    let thousandths = duration * 1_000.0;
    assert!((thousandths - thousandths.round()).abs() < 1e-6, "three decimals: {duration}");
}

#[tokio::test]
async fn a_failed_health_check_has_its_error_as_a_text_and_the_same_fields() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    cluster.stop(0).await;
    let lines = Lines::default();
    checked(&cluster, logger(&lines, KafkaJson::default()), Duration::from_millis(100)).await;
    let line = &lines.all()[0];
    assert!(line["error"].as_str().unwrap().contains(&cluster.bootstrap()[0]), "{line}");
    let order = ["component", "duration_ms", "brokers", "error"].map(|name| lines.text().find(name).unwrap());
    assert!(order.is_sorted(), "{}", lines.text());
    assert_eq!(line.as_object().unwrap().len(), 4, "{line}");
}

#[tokio::test]
async fn with_details_every_event_has_its_time_level_message_and_fields() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let lines = Lines::default();
    let logger = logger(&lines, KafkaJson::default().with_details());
    checked(&cluster, logger, Duration::from_secs(10)).await;
    let events = lines.all();
    let opened = events.iter().find(|line| line["event"] == "connection.opened").unwrap();
    assert_eq!(opened["broker"], cluster.bootstrap()[0].as_str());
    assert!(events.iter().any(|line| line["event"] == "health.ok"));
    for line in &events {
        for field in ["timestamp", "level", "message", "component"] {
            assert!(line[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {line}");
        }
        assert!(line["brokers"].is_array() && line.get("error") == Some(&Value::Null), "{line}");
    }
}

#[tokio::test]
async fn the_documented_filter_silences_rskafka_and_not_this_crate() {
    let advice = "rskafka=warn,rskafka_producer=info";
    for text in
        [include_str!("../../src/docs/telemetry.md"), include_str!("../../examples/json_logs/main.rs")]
    {
        assert!(text.contains("rskafka=warn,rskafka_producer="), "the advice is gone");
    }
    for (filter, heard) in [("info", true), ("info,rskafka=warn", false), (advice, true)] {
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let lines = Lines::default();
        let writer = lines.clone();
        let events =
            tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(move || writer.clone());
        let filter_for_all: EnvFilter = filter.parse().unwrap();
        let subscriber = tracing_subscriber::registry().with(filter_for_all).with(events);
        checked(&cluster, Dispatch::new(subscriber), Duration::from_secs(10)).await;
        assert_eq!(lines.all().iter().any(|line| line["event"] == "connection.opened"), heard, "{filter}");
    }
}
