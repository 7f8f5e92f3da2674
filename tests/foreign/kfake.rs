//! franz-go's kfake, as released and with other versions than it has.

use kafka_testbed::{Api, KfakeCluster, KfakeClusterBuilder, PASSWORD, USER};
use rskafka_producer::{ErrorKind, Message, Producer, ProducerConfig, SaslConfig};

use crate::promises::{Broker, ctx, hold, hold_with_login, kcat_or_skip, unusable};

fn builder() -> KfakeClusterBuilder {
    KfakeCluster::builder().brokers(3).topic("t", 3)
}

fn broker(bootstrap: &[String]) -> Broker<'_> {
    Broker { bootstrap, topic: "t", zstd: true, deduplicates: true }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_promise_holds_on_kfake() {
    let test = "every_promise_holds_on_kfake";
    if !KfakeCluster::available_or_skip(test) || !kcat_or_skip(test) {
        return;
    }
    let cluster = builder().start().await.unwrap();
    hold(broker(&cluster.bootstrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mechanism_logs_in_to_kfake() {
    if !KfakeCluster::available_or_skip("every_mechanism_logs_in_to_kfake") {
        return;
    }
    let cluster = builder().sasl().start().await.unwrap();
    for login in [
        SaslConfig::plain(USER, PASSWORD),
        SaslConfig::scram_sha_256(USER, PASSWORD),
        SaslConfig::scram_sha_512(USER, PASSWORD),
    ] {
        hold_with_login(broker(&cluster.bootstrap()), login).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kfake_is_spoken_to_in_every_version_that_it_can_be_restricted_to() {
    let test = "kfake_is_spoken_to_in_every_version_that_it_can_be_restricted_to";
    if !KfakeCluster::available_or_skip(test) {
        return;
    }
    let oldest = builder()
        .offer(Api::Produce, 3..=7)
        .offer(Api::Metadata, 0..=4)
        .offer(Api::InitProducerId, 0..=0)
        .offer(Api::ApiVersions, 0..=2);
    let middle = builder().offer(Api::Produce, 3..=8).offer(Api::Metadata, 0..=9);
    let newest =
        builder().offer(Api::Produce, 9..=12).offer(Api::Metadata, 9..=12).offer(Api::InitProducerId, 2..=5);
    for cluster in [oldest, middle, newest] {
        let cluster = cluster.start().await.unwrap();
        let producer =
            Producer::connect(&ctx(), ProducerConfig::new(cluster.bootstrap()).topic("t")).await.unwrap();
        for n in 0..30 {
            producer.send(&ctx(), Message::new("v").partition(n % 3)).await.unwrap();
        }
        producer.close(&ctx()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_kfake_lacks_fails_at_once_and_the_error_names_it() {
    if !KfakeCluster::available_or_skip("what_kfake_lacks_fails_at_once_and_the_error_names_it") {
        return;
    }
    let cases: [(KfakeClusterBuilder, &[&str]); 3] = [
        (builder().without(Api::InitProducerId), &["InitProducerId", "idempotence(false)"]),
        (builder().offer(Api::Produce, 0..=2), &["Produce", "0 to 2", "3 to 13"]),
        (builder().without(Api::Metadata), &["Metadata"]),
    ];
    for (cluster, words) in cases {
        let cluster = cluster.start().await.unwrap();
        let config = ProducerConfig::new(cluster.bootstrap()).topic("t");
        unusable(config, ErrorKind::Protocol, words).await;
    }
}
