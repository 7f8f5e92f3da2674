//! Questions about partitions and the cluster, answered by a fake that misbehaves.

use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{BatchConfig, Context, ErrorKind, Message, Producer, ProducerConfig};

use crate::support::{SECOND, ctx};

async fn producer(cluster: &FakeCluster) -> Producer {
    Producer::connect(&ctx(10 * SECOND), ProducerConfig::new(cluster.bootstrap())).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_partition_has_its_leader_address_and_rack() {
    let cluster = FakeCluster::builder().brokers(2).topic("t", 3).start().await.unwrap();
    cluster.set_rack(1, Some("zone-b"));
    let producer = producer(&cluster).await;
    let partitions = producer.partitions(&ctx(10 * SECOND), "t").await.unwrap();
    assert_eq!(partitions.len(), 3);
    for (index, found) in (0..).zip(&partitions) {
        let leader = found.leader.as_ref().unwrap();
        assert_eq!(found.partition, index);
        assert_eq!(leader.address, cluster.bootstrap()[leader.id as usize]);
        assert_eq!(leader.rack.as_deref(), (leader.id == 1).then_some("zone-b"));
    }
    assert!(partitions.iter().any(|found| found.leader.as_ref().unwrap().id == 1));
    assert_eq!(producer.cluster_id(&ctx(10 * SECOND)).await.unwrap(), cluster.cluster_id());
    assert!(producer.stats().topics.is_empty(), "a question does not count as use");
    cluster.set_cluster_id(None);
    assert_eq!(producer.cluster_id(&ctx(10 * SECOND)).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_question_is_asked_again_until_the_context_ends() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = producer(&cluster).await;
    cluster.inject(Rule::on(Api::Metadata).times(3), Fault::Disconnect);
    assert_eq!(producer.partitions(&ctx(10 * SECOND), "t").await.unwrap().len(), 1);

    cluster.black_hole(0);
    let error = producer.cluster_id(&ctx(2 * SECOND)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "{error}");
    assert!(error.wait_reason().is_some(), "{error:?}");
    let started = tokio::time::Instant::now();
    producer.partitions(&Context::background(), "t").await.unwrap_err();
    assert!(started.elapsed() <= 61 * SECOND, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_answered_is_an_error_at_once() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = producer(&cluster).await;
    let minute = ctx(60 * SECOND);
    let started = tokio::time::Instant::now();
    for (topic, kind) in [("no spaces", ErrorKind::InvalidTopic), ("u", ErrorKind::UnknownTopic)] {
        let error = producer.partitions(&minute, topic).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    cluster.inject(Rule::on(Api::Metadata), Fault::Error(29));
    let error = producer.partitions(&minute, "t").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authorization, "{error}");
    producer.close(&minute).await.unwrap();
    assert_eq!(producer.cluster_id(&minute).await.unwrap_err().kind(), ErrorKind::Closed);
    assert!(started.elapsed() < 5 * SECOND, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_estimated_size_is_what_a_message_may_have() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let batch = BatchConfig::default().max_request_bytes(5_024);
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t").batch(batch);
    let producer = Producer::connect(&ctx(10 * SECOND), config).await.unwrap();
    for value in 3_900..4_000 {
        let message = Message::new(vec![7; value]).header("a", "b");
        let size = producer.estimated_size(&message);
        let sent = producer.send(&ctx(10 * SECOND), message).await;
        assert_eq!(sent.is_ok(), size <= 4_000, "{value}: {size}");
    }
}
