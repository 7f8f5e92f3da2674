//! Messages without a key stay in the rack of their producer (KIP-1123).

use std::collections::BTreeSet;

use kafka_testbed::FakeCluster;
use rskafka_producer::{BatchConfig, Message, Partitioning, Producer, ProducerConfig, TimeoutConfig};

use crate::support::{SECOND, minute};

async fn cluster() -> FakeCluster {
    let cluster = FakeCluster::builder().brokers(3).topic("t", 6).start().await.unwrap();
    for (node, rack) in ["a", "b", "c"].into_iter().enumerate() {
        cluster.set_rack(node as i32, Some(rack));
    }
    cluster
}

fn config(cluster: &FakeCluster) -> ProducerConfig {
    // Each message gets a batch, so that they spread.
    ProducerConfig::new(cluster.bootstrap()).topic("t").batch(BatchConfig::default().max_bytes(0))
}

/// The partitions that so many messages went to.
async fn spread(producer: &Producer, keyed: bool) -> BTreeSet<i32> {
    let mut partitions = BTreeSet::new();
    for n in 0..60 {
        let message = Message::new("v");
        let message = if keyed { message.key(n.to_string()) } else { message };
        partitions.insert(producer.send(&minute(), message).await.unwrap().partition());
    }
    partitions
}

#[tokio::test(start_paused = true)]
async fn messages_without_a_key_go_to_leaders_in_the_rack_and_others_where_their_key_says() {
    let cluster = cluster().await;
    let producer = Producer::connect(&minute(), config(&cluster).rack("b")).await.unwrap();
    assert_eq!(spread(&producer, false).await, [1, 4].into());
    assert_eq!(spread(&producer, true).await, (0..6).collect());
}

#[tokio::test(start_paused = true)]
async fn without_a_leader_in_the_rack_every_partition_is_used_and_one_that_moves_there_alone() {
    let cluster = cluster().await;
    let timeouts = TimeoutConfig::default().metadata_age(SECOND);
    let config = config(&cluster).rack("nowhere").timeouts(timeouts);
    let producer = Producer::connect(&minute(), config).await.unwrap();
    assert_eq!(spread(&producer, false).await, (0..6).collect());
    cluster.set_rack(2, Some("nowhere"));
    cluster.move_leader("t", 0, 2);
    tokio::time::sleep(2 * SECOND).await;
    // The answer to this one is when old metadata is refreshed.
    producer.send(&minute(), Message::new("v")).await.unwrap();
    tokio::time::sleep(SECOND).await;
    assert_eq!(spread(&producer, false).await, [0, 2, 5].into());
}

#[tokio::test(start_paused = true)]
async fn by_default_and_with_another_rule_racks_do_not_matter() {
    let cluster = cluster().await;
    let mut plain = config(&cluster);
    plain.client_rack = Some("b".into());
    let round_robin = config(&cluster).rack("b").partitioning(Partitioning::RoundRobin);
    for config in [plain, round_robin] {
        let producer = Producer::connect(&minute(), config).await.unwrap();
        assert_eq!(spread(&producer, false).await, (0..6).collect());
    }
}

#[test]
fn racks_that_cannot_be_obeyed_are_refused() {
    let mut config = ProducerConfig::new("kafka-1:9092");
    config.partitioner_rack_aware = true;
    let error = config.validate().unwrap_err().to_string();
    assert!(error.contains("partitioner.rack.aware") && error.contains("client.rack"), "{error}");
}
