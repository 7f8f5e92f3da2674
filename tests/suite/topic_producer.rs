//! A producer for one topic.

use kafka_testbed::FakeCluster;
use rskafka_producer::{ErrorKind, Fate, Message, Producer, ProducerConfig, TimeoutConfig};
use tokio::time::sleep;

use crate::support::{SECOND, assert_numbers_in_order, minute};

async fn producer(cluster: &FakeCluster) -> Producer {
    let timeouts = TimeoutConfig::default().metadata_age(SECOND);
    let config = ProducerConfig::new(cluster.bootstrap()).topic("default").timeouts(timeouts);
    Producer::new(config.allow_auto_create_topics(true)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_call_goes_to_its_topic_and_in_order() {
    let cluster = FakeCluster::builder().topic("t", 1).topic("default", 1).start().await.unwrap();
    let producer = producer(&cluster).await;
    let topic = producer.topic("t");
    let number = |n: u32| Message::new(n.to_string());
    assert_eq!((topic.name(), topic.clone().name()), ("t", "t"));
    assert_eq!(topic.send(&minute(), number(0)).await.unwrap().topic(), "t");
    assert_eq!(topic.send_message(&minute(), "key", "1").await.unwrap().topic(), "t");
    topic.enqueue(&minute(), number(2)).await.unwrap().await.unwrap();
    topic.try_enqueue(number(3)).unwrap().await.unwrap();
    assert!(topic.send_all(&minute(), (4..300).map(number)).await.iter().all(Result::is_ok));
    assert!(topic.enqueue_all(&minute(), (300..600).map(number)).await.await.iter().all(Result::is_ok));
    // Its name may be in the message nevertheless.
    topic.clone().send(&minute(), number(600).to("t")).await.unwrap();
    assert_numbers_in_order(&cluster.records("t", 0), 601);
    assert_eq!(cluster.high_watermark("default", 0), Some(0));
    producer.close(&minute()).await.unwrap();
    assert_eq!(topic.send(&minute(), number(601)).await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_names_another_topic_is_rejected_and_handed_back_as_it_was() {
    let cluster = FakeCluster::builder().topic("t", 1).topic("other", 1).start().await.unwrap();
    let topic = producer(&cluster).await.topic("t");
    let other = Message::new("v").key("k").to("other");
    let mut errors = vec![
        topic.send(&minute(), other.clone()).await.unwrap_err(),
        topic.enqueue(&minute(), other.clone()).await.unwrap_err(),
        topic.try_enqueue(other.clone()).unwrap_err(),
    ];
    let mixed = || [Message::new("0"), other.clone(), Message::new("1")];
    for results in
        [topic.send_all(&minute(), mixed()).await, topic.enqueue_all(&minute(), mixed()).await.await]
    {
        let [first, second, third] = results.try_into().unwrap();
        assert!(first.is_ok() && third.is_ok());
        errors.push(second.unwrap_err());
    }
    for error in errors {
        assert_eq!((error.kind(), error.fate()), (ErrorKind::InvalidMessage, Fate::NotPersisted));
        let text = error.to_string();
        assert!(text.contains("\"other\"") && text.contains("\"t\""), "{text}");
        assert_eq!(error.into_message(), Some(other.clone()));
    }
    let unnamed = Message::new("v").partition(7);
    let error = topic.send(&minute(), unnamed.clone()).await.unwrap_err();
    assert_eq!((error.kind(), error.into_message()), (ErrorKind::UnknownPartition, Some(unnamed)));
}

/// Sends to another topic every second, so that metadata is fetched.
async fn keep_busy(producer: &Producer, seconds: usize) {
    for _ in 0..seconds {
        producer.send(&minute(), Message::new("v")).await.unwrap();
        sleep(SECOND).await;
    }
}

/// What it knows of its topic is never older than what the producer knows.
#[tokio::test(start_paused = true)]
async fn it_follows_a_topic_that_is_created_grows_moves_is_deleted_and_comes_back() {
    let cluster = FakeCluster::builder().brokers(2).auto_create(1).start().await.unwrap();
    let producer = producer(&cluster).await;
    let topic = producer.topic("t");
    let send = |partition| {
        let (topic, message) = (topic.clone(), Message::new("v").partition(partition));
        let same = topic.clone();
        async move {
            topic.send(&minute(), message.clone()).await.unwrap();
            same.send(&minute(), message).await.unwrap();
        }
    };
    // It did not exist when the handle was made.
    send(0).await;
    topic.send(&minute(), Message::new("v")).await.unwrap();
    cluster.grow_topic("t", 3);
    assert_eq!(
        topic.send(&minute(), Message::new("v").partition(2)).await.unwrap_err().kind(),
        ErrorKind::UnknownPartition
    );
    sleep(3 * SECOND).await;
    topic.send(&minute(), Message::new("v").partition(2)).await.unwrap();
    for node in [1, 0, 1] {
        cluster.move_leader("t", 2, node);
        topic.send(&minute(), Message::new("v").partition(2)).await.unwrap();
    }
    assert_eq!(cluster.high_watermark("t", 2), Some(4));
    assert!(cluster.delete_topic("t"));
    keep_busy(&producer, 60).await;
    topic.send(&minute(), Message::new("v").partition(0)).await.unwrap();
    // Unused for longer than topics are kept.
    keep_busy(&producer, 400).await;
    topic.send(&minute(), Message::new("v").partition(0)).await.unwrap();
    assert_eq!(cluster.high_watermark("t", 0), Some(2), "of the topic that came back");
}
