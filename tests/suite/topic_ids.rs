//! What the newest versions of `Produce` bring: topics by their ids (KIP-516), and leaders that an answer names (KIP-951).

use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{Message, Producer, ProducerConfig};
use tokio::time::Instant;

use crate::support::{MS, minute};

async fn connected(cluster: &FakeCluster) -> Producer {
    Producer::connect(&minute(), ProducerConfig::new(cluster.bootstrap()).topic("t")).await.unwrap()
}

/// Codes that `Produce` was answered with cannot be seen, but its requests can.
fn produced(cluster: &FakeCluster) -> usize {
    cluster.requests(Api::Produce) as usize
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_an_answer_names_is_followed_at_once_and_nobody_is_asked() {
    let cluster = FakeCluster::builder().brokers(3).topic("t", 6).start().await.unwrap();
    let producer = connected(&cluster).await;
    for partition in 0..6 {
        producer.send(&minute(), Message::new("v").partition(partition)).await.unwrap();
    }
    let asked = cluster.seen().len();
    for partition in 0..6 {
        cluster.move_leader("t", partition, (partition + 1) % 3);
    }
    let started = Instant::now();
    let receipts: Vec<_> = (0..6)
        .map(|partition| producer.try_enqueue(Message::new("v").partition(partition)).unwrap())
        .collect();
    for receipt in receipts {
        receipt.await.unwrap();
    }
    assert!(started.elapsed() < 50 * MS, "{:?}", started.elapsed());
    let others: Vec<_> =
        cluster.seen().split_off(asked).into_iter().filter(|seen| seen.api != Api::Produce).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[tokio::test(start_paused = true)]
async fn several_batches_in_flight_follow_a_leader_in_their_order_and_nobody_is_asked() {
    let cluster = FakeCluster::builder().brokers(2).topic("t", 2).start().await.unwrap();
    let producer = connected(&cluster).await;
    // A new connection would ask who answers there.
    for partition in [1, 0] {
        producer.send(&minute(), Message::new("first").partition(partition)).await.unwrap();
    }
    let asked = cluster.requests(Api::Metadata);
    cluster.inject(Rule::on(Api::Produce).times(1), Fault::Delay(100 * MS));
    let mut receipts = Vec::new();
    for n in 0..5 {
        receipts.push(producer.try_enqueue(Message::new(n.to_string()).partition(0)).unwrap());
        // Each in a separate request.
        tokio::time::sleep(10 * MS).await;
    }
    cluster.move_leader("t", 0, 1 - cluster.leader("t", 0).unwrap());
    for receipt in receipts {
        receipt.await.unwrap();
    }
    let stored = cluster.records("t", 0).into_iter().map(|record| record.value.unwrap()).collect::<Vec<_>>();
    assert_eq!(stored, ["first", "0", "1", "2", "3", "4"]);
    assert_eq!(cluster.requests(Api::Metadata), asked);
}

/// A broker that names one that no longer leads either, as one whose metadata is old.
#[tokio::test(start_paused = true)]
async fn two_brokers_that_name_each_other_are_not_followed_in_circles() {
    let cluster = FakeCluster::builder().brokers(2).topic("t", 1).start().await.unwrap();
    let producer = connected(&cluster).await;
    producer.send(&minute(), Message::new("v")).await.unwrap();
    cluster.move_leader("t", 0, 1);
    // Broker 1 refuses what it leads; broker 0 names broker 1.
    cluster.inject(Rule::on(Api::Produce).node(1).times(3), Fault::Error(6));
    let before = produced(&cluster);
    producer.send(&minute(), Message::new("v")).await.unwrap();
    assert!(produced(&cluster) - before <= 6, "{}", produced(&cluster) - before);
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_was_created_again_is_never_written_to_under_its_former_id() {
    let cluster = FakeCluster::builder().topic("t", 1).start().await.unwrap();
    let producer = connected(&cluster).await;
    for n in 0..5 {
        producer.send(&minute(), Message::new(n.to_string())).await.unwrap();
    }
    assert!(cluster.delete_topic("t") && cluster.create_topic("t", 1));
    let before = produced(&cluster);
    // The producer learns of it by the answer: the broker does not know the id, and metadata has the new one.
    let delivery = producer.send(&minute(), Message::new("after")).await.unwrap();
    assert_eq!((delivery.offset(), delivery.attempts()), (Some(0), 2));
    assert_eq!(produced(&cluster) - before, 2);
    let batches = cluster.batches("t", 0);
    assert_eq!((batches.len(), batches[0].sequence), (1, 0), "its numbers begin again");
}

#[tokio::test(start_paused = true)]
async fn what_was_stored_in_a_topic_that_is_gone_is_stored_once_in_the_one_that_took_its_place() {
    let cluster = FakeCluster::builder().topic("t", 1).start().await.unwrap();
    let producer = connected(&cluster).await;
    producer.send(&minute(), Message::new("first")).await.unwrap();
    producer.send(&minute(), Message::new("second")).await.unwrap();
    // Stored, and its answer lost, in the moment in which the topic is created again.
    cluster.inject(Rule::on(Api::Produce).times(1), Fault::ApplyThen(Box::new(Fault::Disconnect)));
    let receipt = producer.try_enqueue(Message::new("in doubt")).unwrap();
    cluster.wait_until(|cluster| cluster.all_records("t").len() == 3).await;
    assert!(cluster.delete_topic("t") && cluster.create_topic("t", 1));
    let delivery = receipt.await.unwrap();
    assert_eq!((delivery.offset(), delivery.attempts()), (Some(0), 3), "lost, an id that is gone, stored");
    producer.send(&minute(), Message::new("next")).await.unwrap();
    let stored: Vec<_> = cluster.records("t", 0).into_iter().map(|record| record.value.unwrap()).collect();
    assert_eq!(stored, ["in doubt", "next"]);
}

#[tokio::test(start_paused = true)]
async fn a_topic_whose_id_is_not_known_is_sent_by_its_name() {
    let cluster = FakeCluster::builder().topic("t", 1).offer(Api::Metadata, 4..=9).start().await.unwrap();
    let producer = connected(&cluster).await;
    producer.send(&minute(), Message::new("v")).await.unwrap();
    let versions: Vec<_> =
        cluster.seen().iter().filter(|seen| seen.api == Api::Produce).map(|seen| seen.version).collect();
    assert_eq!(versions, [12]);
}
