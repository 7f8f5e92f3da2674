//! One event for each operation, with the fields that all of them share.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_testbed::FakeCluster;
use rskafka_producer::{Context, Message, Producer, ProducerConfig};
use serde_json::Value;
use tracing::Dispatch;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    pub(crate) fn logger(&self) -> Dispatch {
        let lines = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::CLOSE)
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(move || lines.clone())
            .finish();
        Dispatch::new(subscriber)
    }

    /// A logger with a filter, as `RUST_LOG` has it.
    pub(crate) fn filtered(&self, filter: &str) -> Dispatch {
        let lines = self.clone();
        let events =
            tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(move || lines.clone());
        let targets: Targets = filter.parse().unwrap();
        Dispatch::new(tracing_subscriber::registry().with(events.with_filter(targets)))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Every event.
    pub(crate) fn all(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect()
    }

    /// The events of one operation.
    fn of(&self, operation: &str) -> Vec<Value> {
        self.all().into_iter().filter(|event| event["operation"] == operation).collect()
    }
}

#[tokio::test]
async fn each_operation_leaves_one_event_with_the_shared_fields() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let lines = Lines::default();
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t").logger(lines.logger());
    let ctx = Context::timeout(Duration::from_secs(60));
    let producer = Producer::connect(&ctx, config).await.unwrap();
    producer.send_message(&ctx, "k", "v").await.unwrap();
    producer.flush(&ctx).await.unwrap();
    producer.health(&ctx).await.unwrap();
    producer.close(&ctx).await.unwrap();
    for (operation, level) in
        [("connect", "INFO"), ("send", "DEBUG"), ("flush", "INFO"), ("health", "DEBUG"), ("close", "INFO")]
    {
        let events = lines.of(operation);
        assert_eq!(events.len(), 1, "{operation}: {events:?}");
        let event = &events[0];
        assert_eq!(event["component"], "kafka");
        assert_eq!(event["level"], level, "{operation}");
        assert!(event["duration_ms"].as_f64().unwrap() >= 0.0);
        assert!(event["brokers"].as_str().unwrap().contains(&cluster.bootstrap()[0]));
        assert_eq!(event["error"], Value::Null);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_an_error_with_code_kind_and_fate_and_no_secret() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let lines = Lines::default();
    let config = ProducerConfig::new(cluster.bootstrap()).logger(lines.logger());
    let producer = Producer::new(config).unwrap();
    let message = Message::new("s3cret-value").key("s3cret-key").header("h", "s3cret-header").to("tpyo");
    producer.send(&Context::background(), message).await.unwrap_err();
    let events = lines.of("send");
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["level"], "ERROR");
    assert_eq!(events[0]["code"], "KAFKA_SEND_FAILED");
    assert_eq!(events[0]["kind"], "unknown_topic");
    assert_eq!(events[0]["fate"], "not persisted");
    assert!(events[0]["error"].as_str().unwrap().contains("tpyo"));
    let everything = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(!everything.contains("s3cret"), "{everything}");
}

#[tokio::test]
async fn without_a_logger_the_ambient_subscriber_hears_it() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let lines = Lines::default();
    let _ambient = tracing::dispatcher::set_default(&lines.logger());
    let ctx = Context::timeout(Duration::from_secs(60));
    let producer = Producer::connect(&ctx, ProducerConfig::new(cluster.bootstrap())).await.unwrap();
    producer.close(&ctx).await.unwrap();
    assert_eq!((lines.of("connect").len(), lines.of("close").len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn each_operation_that_fails_leaves_one_event_at_error() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let lines = Lines::default();
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t").logger(lines.logger());
    let short = || Context::timeout(Duration::from_millis(100));
    let producer =
        Producer::connect(&Context::timeout(Duration::from_secs(1)), config.clone()).await.unwrap();
    cluster.black_hole(0);
    Producer::connect(&short(), config).await.unwrap_err();
    producer.send_message(&short(), "k", "v").await.unwrap_err();
    drop(producer.enqueue(&Context::background(), Message::new("v")).await.unwrap());
    producer.flush(&short()).await.unwrap_err();
    producer.health(&short()).await.unwrap_err();
    producer.close(&short()).await.unwrap_err();
    for (operation, count, code) in [
        ("connect", 2, "KAFKA_BROKERS_UNAVAILABLE"),
        ("send", 1, "KAFKA_SEND_FAILED"),
        ("flush", 1, "KAFKA_SEND_FAILED"),
        ("health", 1, "KAFKA_BROKERS_UNAVAILABLE"),
        ("close", 1, "KAFKA_SEND_FAILED"),
    ] {
        let events = lines.of(operation);
        assert_eq!(events.len(), count, "{operation}: {events:?}");
        let event = events.last().unwrap();
        assert_eq!((&event["level"], &event["code"]), (&"ERROR".into(), &code.into()), "{operation}");
        assert!(!event["error"].as_str().unwrap().is_empty(), "{operation}");
        assert!(event["duration_ms"].as_f64().unwrap() <= 350.0, "{operation}");
        assert_eq!(event["component"], "kafka");
    }
}
