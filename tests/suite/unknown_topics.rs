//! A topic counts as deleted when it was unknown for a time, not a number of times.

use std::time::Duration;

use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{BatchConfig, Context, Error, ErrorKind, Fate, Message, Producer, ProducerConfig};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::support::{SECOND, assert_numbers_in_order};

const UNKNOWN_TOPIC: i16 = 3;
const NOT_LEADER: i16 = 6;

fn background() -> Context {
    Context::background()
}

async fn producer(cluster: &FakeCluster) -> Producer {
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t");
    Producer::connect(&Context::timeout(30 * SECOND), config).await.unwrap()
}

/// Has every broker deny every topic for this time, as one that has just started does.
fn deny_for(cluster: &FakeCluster, time: Duration) {
    let until = Instant::now() + time;
    cluster.on_request(move |seen| {
        let denied = matches!(seen.api, Api::Metadata | Api::Produce) && seen.at < until;
        denied.then_some(Fault::Error(UNKNOWN_TOPIC))
    });
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_unknown_for_less_than_ten_seconds_fails_no_message() {
    for denied_ms in [10, 300, 3_000, 9_900] {
        let cluster = FakeCluster::builder().brokers(2).topic("t", 1).start().await.unwrap();
        let producer = producer(&cluster).await;
        producer.send(&background(), Message::new("0")).await.unwrap();
        deny_for(&cluster, Duration::from_millis(denied_ms));
        let mut receipts = Vec::new();
        for n in 1..200 {
            receipts.push(producer.enqueue(&background(), Message::new(n.to_string())).await.unwrap());
            sleep(Duration::from_millis(denied_ms / 200)).await;
        }
        for receipt in receipts {
            receipt.await.unwrap();
        }
        assert_numbers_in_order(&cluster.records("t", 0), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn denials_days_apart_fail_nothing() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = producer(&cluster).await;
    for n in 0..10 {
        cluster.inject(Rule::on(Api::Produce), Fault::Error(NOT_LEADER));
        cluster.inject(Rule::on(Api::Metadata), Fault::Error(UNKNOWN_TOPIC));
        producer.send(&background(), Message::new(n.to_string())).await.unwrap();
        sleep(86_400 * SECOND).await;
    }
    assert_numbers_in_order(&cluster.records("t", 0), 10);
}

#[tokio::test(start_paused = true)]
async fn messages_for_a_topic_that_is_deleted_for_good_fail_within_a_bound_and_honestly() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = producer(&cluster).await;
    producer.send(&background(), Message::new("0")).await.unwrap();
    assert!(cluster.delete_topic("t"));
    let started = Instant::now();
    let error = producer.send(&background(), Message::new("1")).await.unwrap_err();
    assert_eq!((error.kind(), error.fate()), (ErrorKind::UnknownTopic, Fate::NotPersisted), "{error}");
    let took = started.elapsed();
    assert!((30 * SECOND..35 * SECOND).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_may_have_been_stored_before_its_topic_was_deleted_says_so() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = producer(&cluster).await;
    producer.send(&background(), Message::new("0")).await.unwrap();
    cluster.inject(Rule::on(Api::Produce), Fault::Disconnect.after_apply());
    let sent = {
        let producer = producer.clone();
        tokio::spawn(async move { producer.send(&background(), Message::new("1")).await })
    };
    cluster.wait_until(|cluster| cluster.high_watermark("t", 0) == Some(2)).await;
    assert!(cluster.delete_topic("t"));
    let error = sent.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.fate()), (ErrorKind::UnknownTopic, Fate::PossiblyPersisted), "{error}");
}

async fn never_used(cluster: &FakeCluster) -> (Result<(), Error>, Duration) {
    let producer = Producer::new(ProducerConfig::new(cluster.bootstrap())).unwrap();
    let started = Instant::now();
    let sent = producer.send(&background(), Message::new("0").to("misspelt")).await;
    (sent.map(drop), started.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_was_never_used_and_does_not_exist_fails_soon() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let (sent, took) = never_used(&cluster).await;
    assert_eq!(sent.unwrap_err().kind(), ErrorKind::UnknownTopic);
    assert!((SECOND / 2..SECOND).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_appears_within_half_a_second_is_used() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let (sent, ()) = tokio::join!(never_used(&cluster), async {
        sleep(Duration::from_millis(450)).await;
        assert!(cluster.create_topic("misspelt", 1));
    });
    sent.0.unwrap();
}

#[tokio::test(start_paused = true)]
async fn while_topics_are_unknown_the_cluster_is_asked_a_few_times_a_second() {
    let cluster = FakeCluster::with_topic("t", 12).await.unwrap();
    let producer = producer(&cluster).await;
    for partition in 0..12 {
        producer.send(&background(), Message::new("0").partition(partition)).await.unwrap();
    }
    deny_for(&cluster, 20 * SECOND);
    let asked = cluster.requests(Api::Metadata);
    let mut receipts = Vec::new();
    for second in 0..20 {
        for partition in 0..12 {
            let message = Message::new(second.to_string()).partition(partition);
            receipts.push(producer.enqueue(&background(), message).await.unwrap());
        }
        sleep(SECOND).await;
    }
    let questions = cluster.requests(Api::Metadata) - asked;
    assert!((20..120).contains(&questions), "{questions} questions in 20 s");
    for receipt in receipts {
        receipt.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_that_is_called_off_ends_and_withdraws_no_other_message_of_a_topic_that_was_refused_meanwhile()
{
    let cluster = FakeCluster::builder().brokers(2).topic("t", 1).start().await.unwrap();
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t");
    let config = config.batch(BatchConfig::default().linger(2 * SECOND));
    let producer = Producer::connect(&Context::timeout(SECOND), config).await.unwrap();
    cluster.inject(Rule::on(Api::Produce).times(1), Fault::Silence);
    let called_off = CancellationToken::new();
    let first = tokio::spawn({
        let (producer, ctx) = (producer.clone(), background().with_cancellation(called_off.clone()));
        async move { producer.send(&ctx, Message::new("first")).await }
    });
    cluster.wait_until(|cluster| cluster.requests(Api::Produce) == 1).await;
    // While that is overdue, the other broker says once that the topic cannot be used. It is learned anew for the next.
    cluster.inject(Rule::on(Api::Metadata).times(1), Fault::Error(-1));
    let asked = cluster.requests(Api::Metadata);
    cluster.wait_until(|cluster| cluster.requests(Api::Metadata) > asked).await;
    sleep(SECOND / 10).await;
    let second = tokio::spawn({
        let producer = producer.clone();
        async move { producer.send(&background(), Message::new("second")).await }
    });
    sleep(5 * SECOND).await;
    // The topic is back, but what was sent before it was gone is on its way still, and must not be overtaken.
    assert!(!first.is_finished() && !second.is_finished());
    called_off.cancel();
    let ended = tokio::time::timeout(SECOND / 4, first).await.expect("it ends with its context").unwrap();
    assert_eq!(ended.unwrap_err().fate(), Fate::PossiblyPersisted);
    second.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_was_added_is_used_within_a_second_of_the_first_message_for_it() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = producer(&cluster).await;
    let message = || Message::new("v").partition(1);
    cluster.grow_topic("t", 2);
    let early = producer.send(&background(), message()).await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::UnknownPartition);
    sleep(SECOND).await;
    assert_eq!(producer.send(&background(), message()).await.unwrap().partition(), 1);
    // A caller that keeps trying causes no storm of requests.
    let before = cluster.requests(Api::Metadata);
    for _ in 0..1_000 {
        _ = producer.try_enqueue(Message::new("v").partition(7)).unwrap_err();
        sleep(SECOND / 100).await;
    }
    let asked = cluster.requests(Api::Metadata) - before;
    assert!(asked <= 40, "{asked} in ten seconds");
    producer.close(&background()).await.unwrap();
}
