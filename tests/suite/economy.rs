//! What must cost nothing, or be asked only once.

use kafka_testbed::{Api, FakeCluster, Fault, FaultProxy, Rule};
use rskafka_producer::{Acks, BatchConfig, Compression, Message, Producer, ProducerConfig};

use crate::support::minute;

/// Bytes that a broker sends until a first message is stored, on a cluster with so many other topics.
async fn bytes_until_stored(others: usize) -> u64 {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    for n in 0..others {
        assert!(cluster.create_topic(&format!("other-{n}"), 1));
    }
    // What is asked of the bootstrap list passes the proxy: versions and metadata.
    let proxy = FaultProxy::start(cluster.address(0)).await.unwrap();
    let config = ProducerConfig::new([proxy.address().to_string()]).topic("t");
    let producer = Producer::connect(&minute(), config).await.unwrap();
    producer.send(&minute(), Message::new("v")).await.unwrap();
    proxy.traffic().down
}

#[tokio::test]
async fn ten_thousand_topics_that_are_not_used_cost_nothing() {
    let alone = bytes_until_stored(0).await;
    assert!(alone > 0);
    assert_eq!(bytes_until_stored(10_000).await, alone);
}

#[tokio::test(start_paused = true)]
async fn twelve_partitions_that_lost_their_leader_ask_for_it_once() {
    let cluster = FakeCluster::with_topic("t", 12).await.unwrap();
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t");
    let producer = Producer::connect(&minute(), config).await.unwrap();
    // Makes every partition known to the broker, so that all of them are sent at once afterwards.
    for partition in 0..12 {
        producer.send(&minute(), Message::new("v").partition(partition)).await.unwrap();
    }
    let asked = cluster.requests(Api::Metadata);
    // Not the leader, says the first request, of all its partitions.
    cluster.inject(Rule::on(Api::Produce).times(1), Fault::Error(6));
    let mut receipts = Vec::new();
    for partition in 0..12 {
        receipts.push(producer.enqueue(&minute(), Message::new("v").partition(partition)).await.unwrap());
    }
    for receipt in receipts {
        receipt.await.unwrap();
    }
    assert_eq!(cluster.requests(Api::Metadata) - asked, 1);
}

#[tokio::test(start_paused = true)]
async fn with_a_batch_size_of_nothing_each_message_gets_its_own_batch() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t");
    let producer =
        Producer::connect(&minute(), config.batch(BatchConfig::default().max_bytes(0))).await.unwrap();
    let mut receipts = Vec::new();
    for n in 0..20 {
        receipts.push(producer.enqueue(&minute(), Message::new(n.to_string())).await.unwrap());
    }
    for (n, receipt) in receipts.into_iter().enumerate() {
        assert_eq!(receipt.await.unwrap().offset(), Some(n as i64));
    }
    let sizes: Vec<_> = cluster.batches("t", 0).iter().map(|batch| batch.records).collect();
    assert_eq!(sizes, [1; 20]);
}

#[tokio::test(start_paused = true)]
async fn with_acks_of_the_leader_that_is_what_the_request_asks_for_and_no_sequence_is_claimed() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t").acks(Acks::Leader);
    let producer = Producer::connect(&minute(), config).await.unwrap();
    assert_eq!(producer.send(&minute(), Message::new("v")).await.unwrap().offset(), Some(0));
    let seen = cluster.seen();
    let produced: Vec<_> = seen.iter().filter(|request| request.api == Api::Produce).collect();
    assert_eq!(produced.len(), 1);
    assert_eq!((produced[0].acks, produced[0].batches[0].producer_id), (Some(1), -1));
    assert_eq!(cluster.requests(Api::InitProducerId), 0);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_does_not_shrink_goes_uncompressed() {
    for codec in Compression::ALL {
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let config = ProducerConfig::new(cluster.bootstrap())
            .topic("t")
            .batch(BatchConfig::default().compression(codec));
        if config.validate().is_err() {
            continue;
        }
        let producer = Producer::connect(&minute(), config).await.unwrap();
        let mut random = fastrand::Rng::with_seed(7);
        let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(4_000).collect();
        let again = "again ".repeat(1_000);
        producer.send(&minute(), Message::new(noise.clone())).await.unwrap();
        producer.send(&minute(), Message::new(again.clone())).await.unwrap();
        let codecs: Vec<_> = cluster.batches("t", 0).iter().map(|batch| batch.codec).collect();
        let index = Compression::ALL.iter().position(|c| *c == codec).unwrap() as i16;
        assert_eq!(codecs, [0, index], "{codec}");
        // An encoder that is used again keeps nothing of what it met before.
        let values: Vec<_> =
            cluster.records("t", 0).into_iter().map(|record| record.value.unwrap()).collect();
        assert_eq!(values, [noise, again.into()], "{codec}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lone_send_has_its_brokers_task_run_twice() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t");
    let producer = Producer::connect(&minute(), config).await.unwrap();
    producer.send(&minute(), Message::new("v")).await.unwrap();
    let work = || {
        let tasks = producer.tasks();
        let broker = tasks.iter().find(|task| task.name.starts_with("broker ")).unwrap();
        (broker.polls, broker.turns)
    };
    let before = work();
    for _ in 0..100 {
        producer.send(&minute(), Message::new("v")).await.unwrap();
    }
    let after = work();
    // To send, and to settle what the answer says.
    assert_eq!((after.0 - before.0, after.1 - before.1), (200, 200));
}
