//! Settings from text reach the wire.

use std::time::Duration;

use kafka_testbed::FakeCluster;
use rskafka_producer::{Acks, Context, ErrorCode, Producer, ProducerConfig, Setting};

#[tokio::test(start_paused = true)]
async fn a_producer_made_from_a_file_and_the_environment_delivers() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let brokers = cluster.bootstrap().join(",");
    let file =
        ProducerConfig::from_properties_text("topic = overridden\nlinger.ms = 1\ncompression.type = lz4")
            .unwrap();
    let vars = [
        ("KAFKA_BOOTSTRAP_SERVERS", brokers.as_str()),
        ("KAFKA_TOPIC", "t"),
        ("KAFKA_PORT", "tcp://10.0.0.1:9092"),
    ];
    let (config, left_alone) = file.with_vars("KAFKA_", vars).unwrap();
    assert_eq!(left_alone, ["KAFKA_PORT"]);

    let ctx = Context::timeout(Duration::from_secs(60));
    let producer = Producer::connect(&ctx, config).await.unwrap();
    let delivery = producer.send_message(&ctx, "key", "value").await.unwrap();
    assert_eq!((delivery.topic(), delivery.offset()), ("t", Some(0)));
    producer.close(&ctx).await.unwrap();
}

#[test]
fn what_reads_well_but_does_not_go_together_is_refused_by_name_before_any_io() {
    let config = ProducerConfig::from_properties([
        ("bootstrap.servers", "kafka:9092"),
        ("request.timeout.ms", "30000"),
        ("delivery.timeout.ms", "1000"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", "alice"),
        ("sasl.password", "hunter2"),
    ])
    .unwrap();
    let error = Producer::new(config).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfig);
    let text = error.to_string();
    for expected in ["delivery.timeout.ms", "sasl.mechanism"] {
        assert!(text.contains(expected), "{text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn every_default_can_be_written_out_and_read_again() {
    let defaults = ProducerConfig::new(["kafka:9092"]).acks(Acks::Leader);
    let written = Setting::ALL.iter().map(|setting| (setting.name(), setting.value(&defaults)));
    let read = ProducerConfig::from_properties(written.filter(|(_, value)| !value.is_empty())).unwrap();
    assert_eq!(format!("{read:?}"), format!("{defaults:?}"));
    read.validate().unwrap();
}
