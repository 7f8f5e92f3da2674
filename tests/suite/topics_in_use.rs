//! Metadata is only fetched for topics in use, and only a message that waits creates one.

use kafka_testbed::{Api, FakeCluster};
use rskafka_producer::{Context, Message, Producer, ProducerConfig, TimeoutConfig};
use tokio::time::{Instant, sleep};

use crate::support::{SECOND, assert_numbers_in_order};

fn limit() -> Context {
    Context::timeout(30 * SECOND)
}

async fn send(producer: &Producer, topic: &str, n: usize) {
    producer.send(&limit(), Message::new(n.to_string()).to(topic)).await.unwrap();
}

fn config(cluster: &FakeCluster) -> ProducerConfig {
    let timeouts = TimeoutConfig::default().metadata_age(SECOND);
    ProducerConfig::new(cluster.bootstrap()).timeouts(timeouts)
}

/// Topics that metadata was requested for since `from`.
fn requested(cluster: &FakeCluster, from: Instant) -> Vec<Vec<String>> {
    let seen = cluster.seen();
    let later = seen.into_iter().filter(|seen| seen.api == Api::Metadata && seen.at >= from);
    later.map(|seen| seen.topics).collect()
}

/// Sends to a topic every second, so that metadata is fetched.
async fn keep_busy(producer: &Producer, topic: &str, seconds: usize) {
    for n in 0..seconds {
        send(producer, topic, n).await;
        sleep(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_an_administrator_deleted_is_not_created_again() {
    let cluster = FakeCluster::builder().auto_create(1).start().await.unwrap();
    let producer = Producer::new(config(&cluster).allow_auto_create_topics(true)).unwrap();
    send(&producer, "once", 0).await;
    send(&producer, "always", 0).await;
    assert!(cluster.delete_topic("once"));
    keep_busy(&producer, "always", 60).await;
    assert!(!cluster.has_topic("once"), "a question in the background created it again");
    send(&producer, "once", 0).await;
    assert_eq!(cluster.records("once", 0).len(), 1, "a message creates it");
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_not_used_for_five_minutes_is_no_longer_requested() {
    let cluster = FakeCluster::builder().topic("once", 3).topic("always", 1).start().await.unwrap();
    let producer = Producer::new(config(&cluster)).unwrap();
    send(&producer, "once", 0).await;
    keep_busy(&producer, "always", 290).await;
    assert!(requested(&cluster, Instant::now() - 10 * SECOND).iter().any(|topics| topics.len() == 2));
    keep_busy(&producer, "always", 20).await;
    let from = Instant::now();
    keep_busy(&producer, "always", 30).await;
    let questions = requested(&cluster, from);
    assert!(!questions.is_empty() && questions.iter().all(|topics| topics == &["always"]), "{questions:?}");
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_was_forgotten_goes_on_in_order_when_it_is_used_again() {
    let cluster = FakeCluster::builder().topic("seldom", 1).topic("always", 1).start().await.unwrap();
    let producer = Producer::new(config(&cluster)).unwrap();
    let mut sent = 0;
    for _ in 0..3 {
        let mut receipts = Vec::new();
        for _ in 0..20 {
            let message = Message::new(sent.to_string()).to("seldom");
            receipts.push(producer.enqueue(&limit(), message).await.unwrap());
            sent += 1;
        }
        for receipt in receipts {
            receipt.await.unwrap();
        }
        keep_busy(&producer, "always", 310).await;
    }
    assert_numbers_in_order(&cluster.records("seldom", 0), sent);
}

#[tokio::test(start_paused = true)]
async fn a_topic_with_pending_messages_is_not_forgotten() {
    let cluster = FakeCluster::builder().topic("stuck", 1).topic("always", 1).start().await.unwrap();
    let timeouts = TimeoutConfig::default().metadata_age(SECOND).delivery(900 * SECOND);
    let producer = Producer::new(config(&cluster).timeouts(timeouts)).unwrap();
    send(&producer, "stuck", 0).await;
    cluster.remove_leader("stuck", 0);
    let stuck = producer.enqueue(&Context::background(), Message::new("1").to("stuck")).await.unwrap();
    keep_busy(&producer, "always", 600).await;
    cluster.move_leader("stuck", 0, 0);
    stuck.await.unwrap();
    assert_numbers_in_order(&cluster.records("stuck", 0), 2);
}

#[tokio::test(start_paused = true)]
async fn counters_of_topics_do_not_grow_for_ever() {
    let cluster = FakeCluster::builder().auto_create(1).start().await.unwrap();
    let timeouts = TimeoutConfig::default().metadata_age(SECOND).metadata_idle(2 * SECOND);
    let config = config(&cluster).timeouts(timeouts).allow_auto_create_topics(true);
    let producer = Producer::new(config).unwrap();
    for n in 0..1_500 {
        send(&producer, &format!("t{n}"), 0).await;
        sleep(SECOND / 10).await;
    }
    assert!(producer.stats().topics.len() <= 1_050, "{}", producer.stats().topics.len());
    assert_eq!(producer.stats().records_acked, 1_500);
}
