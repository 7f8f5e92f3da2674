//! Old releases of Apache Kafka.

use kafka_testbed::{OldKafka, PASSWORD, USER, ZooKeeperCluster, ZooKeeperClusterBuilder};
use rskafka_producer::{Context, ErrorKind, Fate, Message, Producer, ProducerConfig, SaslConfig};

use crate::promises::{Broker, ctx, hold, hold_with_login, kcat_or_skip, unusable};

/// JVMs take turns: on a small machine several would only slow one another down.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn start(builder: ZooKeeperClusterBuilder) -> ZooKeeperCluster {
    let cluster = builder.start().await.unwrap();
    cluster.create_topic("t", 3, "delete").await.unwrap();
    cluster
}

fn broker(bootstrap: &[String], zstd: bool) -> Broker<'_> {
    Broker { bootstrap, topic: "t", zstd, deduplicates: true }
}

fn login() -> SaslConfig {
    SaslConfig::plain(USER, PASSWORD).allow_plaintext(true)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_promise_holds_on_kafka_2_8() {
    let test = "every_promise_holds_on_kafka_2_8";
    if !ZooKeeperCluster::available_or_skip(OldKafka::V2_8, test) || !kcat_or_skip(test) {
        return;
    }
    let _turn = TURN.lock().await;
    let cluster = start(ZooKeeperCluster::builder(OldKafka::V2_8)).await;
    hold(broker(&cluster.bootstrap(), true)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_promise_holds_on_kafka_1_1_with_a_login_too() {
    let test = "every_promise_holds_on_kafka_1_1_with_a_login_too";
    if !ZooKeeperCluster::available_or_skip(OldKafka::V1_1, test) || !kcat_or_skip(test) {
        return;
    }
    let _turn = TURN.lock().await;
    let cluster = start(ZooKeeperCluster::builder(OldKafka::V1_1).sasl()).await;
    hold(broker(&cluster.bootstrap(), false)).await;
    hold_with_login(broker(&cluster.sasl_bootstrap(), false), login()).await;
    compacted_topic(&cluster).await;
    no_zstd(&cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_promise_holds_on_kafka_0_11_and_a_login_fails_at_once() {
    let test = "every_promise_holds_on_kafka_0_11_and_a_login_fails_at_once";
    if !ZooKeeperCluster::available_or_skip(OldKafka::V0_11, test) || !kcat_or_skip(test) {
        return;
    }
    let _turn = TURN.lock().await;
    let cluster = start(ZooKeeperCluster::builder(OldKafka::V0_11).sasl()).await;
    hold(broker(&cluster.bootstrap(), false)).await;
    compacted_topic(&cluster).await;
    let config = ProducerConfig::new(cluster.sasl_bootstrap()).topic("t").sasl(login());
    unusable(config, ErrorKind::Protocol, &["SaslHandshake", "logins need Kafka 1.0"]).await;
}

/// A message without a key fails soon and alone on a compacted topic, although the broker does not say why.
async fn compacted_topic(cluster: &ZooKeeperCluster) {
    cluster.create_topic("compact", 1, "compact").await.unwrap();
    let config = ProducerConfig::new(cluster.bootstrap()).topic("compact");
    let producer = Producer::connect(&ctx(), config).await.unwrap();
    let ten = Context::timeout(std::time::Duration::from_secs(10));
    let keyed = producer.enqueue(&ten, Message::new("v").key("k")).await.unwrap();
    let keyless = producer.enqueue(&ten, Message::new("v")).await.unwrap();
    let also_keyed = producer.enqueue(&ten, Message::new("v").key("k")).await.unwrap();
    let error = keyless.await.unwrap_err();
    assert_eq!((error.kind(), error.fate()), (ErrorKind::InvalidMessage, Fate::NotPersisted), "{error}");
    assert!(error.to_string().contains("compacted topic"), "{error}");
    keyed.await.unwrap();
    also_keyed.await.unwrap();
    producer.close(&ctx()).await.unwrap();
}

#[cfg(feature = "zstd")]
async fn no_zstd(cluster: &ZooKeeperCluster) {
    use rskafka_producer::{BatchConfig, Compression};

    let config = ProducerConfig::new(cluster.bootstrap())
        .topic("t")
        .batch(BatchConfig::default().compression(Compression::Zstd));
    unusable(config, ErrorKind::InvalidConfig, &["zstd", "batch.compression"]).await;
}

#[cfg(not(feature = "zstd"))]
async fn no_zstd(_: &ZooKeeperCluster) {}
