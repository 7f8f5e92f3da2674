//! Order and sequence numbers where a broker knows less of the producer than it acknowledged.

use std::time::Duration;

use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{
    BatchConfig, Context, ErrorKind, Fate, Message, Producer, ProducerConfig, Receipt, RetryConfig,
    TimeoutConfig,
};

use crate::support::minute;

async fn one_message_per_batch(cluster: &FakeCluster) -> Producer {
    let config = ProducerConfig::new(cluster.bootstrap())
        .topic("t")
        .batch(BatchConfig::default().max_bytes(0))
        .timeouts(TimeoutConfig::default().request(Duration::from_secs(2)));
    let producer = Producer::connect(&minute(), config).await.unwrap();
    producer.send(&minute(), Message::new("warm")).await.unwrap();
    producer
}

async fn enqueue(producer: &Producer, numbers: std::ops::Range<u32>) -> Vec<Receipt> {
    let mut receipts = Vec::new();
    for n in numbers {
        receipts.push(producer.enqueue(&minute(), Message::new(n.to_string())).await.unwrap());
    }
    receipts
}

fn log(cluster: &FakeCluster) -> Vec<String> {
    let text = |value: bytes::Bytes| String::from_utf8(value.to_vec()).unwrap();
    cluster.records("t", 0).into_iter().map(|record| text(record.value.unwrap())).collect()
}

#[tokio::test(start_paused = true)]
async fn after_a_rest_in_which_the_broker_may_forget_its_producers_nothing_passes_what_it_refuses() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = one_message_per_batch(&cluster).await;
    for code in [19, 6, 2] {
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        cluster.forget_producers("t", 0);
        cluster.inject(Rule::on(Api::Produce).times(1), Fault::Error(code));
        let before = log(&cluster).len();
        for receipt in enqueue(&producer, 0..8).await {
            receipt.await.unwrap();
        }
        assert_eq!(log(&cluster)[before..], ["0", "1", "2", "3", "4", "5", "6", "7"], "after {code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_forgets_while_batches_are_in_flight_never_reorders_what_it_acknowledges() {
    for code in [3, 6, 19] {
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let producer = one_message_per_batch(&cluster).await;
        cluster.forget_producers("t", 0);
        cluster.inject(Rule::on(Api::Produce).times(1), Fault::Error(code));
        let mut acked = vec!["warm".to_owned()];
        for (n, receipt) in enqueue(&producer, 0..8).await.into_iter().enumerate() {
            match receipt.await {
                Ok(_) => acked.push(n.to_string()),
                Err(error) => {
                    assert_eq!((error.kind(), error.fate()), (ErrorKind::SequenceLost, Fate::NotPersisted));
                    assert_eq!(error.broker_error().map(|e| e.code()), None);
                    assert!(error.to_string().contains("out of order"), "{error}");
                }
            }
        }
        assert_eq!(log(&cluster), acked, "after {code}");
        let stats = producer.stats();
        assert_eq!((stats.records_acked + stats.records_not_persisted, stats.buffer_bytes), (9, 0));
        // And it goes on.
        producer.send(&minute(), Message::new("next")).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_overtaken_is_not_stored_later_either_where_it_waits_behind_a_batch_in_doubt() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = one_message_per_batch(&cluster).await;
    cluster.forget_producers("t", 0);
    // The fate of the first is unknown, the second is refused, the third is stored: the broker does not miss the others.
    for code in [7, 6] {
        cluster.inject(Rule::on(Api::Produce).times(1), Fault::Error(code));
    }
    // All are on their way before any is answered.
    cluster.stop_reading(0);
    let receipts = enqueue(&producer, 0..3).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    cluster.behave(0);
    let mut fates = Vec::new();
    for receipt in receipts {
        fates.push(receipt.await.map(drop).map_err(|error| error.fate()));
    }
    assert_eq!(fates, [Err(Fate::PossiblyPersisted), Err(Fate::NotPersisted), Ok(())]);
    producer.send(&minute(), Message::new("next")).await.unwrap();
    assert_eq!(log(&cluster), ["warm", "2", "next"]);
}

#[tokio::test(start_paused = true)]
async fn a_producer_id_that_brokers_refuse_is_replaced_also_where_no_batch_is_sent_again() {
    for code in [47, 90] {
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let config = ProducerConfig::new(cluster.bootstrap()).topic("t");
        let config = config.retry(RetryConfig::default().max_attempts(Some(1)));
        let producer = Producer::connect(&minute(), config).await.unwrap();
        producer.send(&minute(), Message::new("warm")).await.unwrap();
        let refused = cluster.batches("t", 0)[0].producer_id;
        cluster.on_request(move |seen| {
            let is_refused = seen.batches.iter().any(|batch| batch.producer_id == refused);
            is_refused.then_some(Fault::Error(code))
        });
        let mut failed = 0;
        while producer.send(&minute(), Message::new("v")).await.is_err() {
            failed += 1;
            assert!(failed < 10, "after {code} nothing can be sent any more");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_copy_of_an_abandoned_message_never_lands_behind_newer_ones() {
    for code in [59, 47, 90, 45] {
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let producer = one_message_per_batch(&cluster).await;
        let late = Duration::from_secs(4);
        cluster.inject(Rule::on(Api::Produce).times(1), Fault::Delay(late));
        let short = Context::timeout(Duration::from_secs(1));
        let lost = producer.send(&short, Message::new("lost")).await.unwrap_err();
        assert_eq!(lost.fate(), Fate::PossiblyPersisted);
        // The request has timed out, and its copy has not arrived yet.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        cluster.inject(Rule::on(Api::Produce).times(1), Fault::Error(code));
        producer.send(&minute(), Message::new("newer")).await.unwrap();
        tokio::time::sleep(2 * late).await;
        let found = log(&cluster);
        let newer = found.iter().position(|value| value == "newer").unwrap();
        assert!(found.iter().skip(newer).all(|value| value != "lost"), "after {code}: {found:?}");
    }
}

/// A broker refused the epoch of a message that was sent again, wrongly, and the first copy was still on its way: under a new
/// producer id that copy was stored behind newer messages.
#[tokio::test(start_paused = true)]
async fn a_late_copy_of_a_message_that_was_refused_when_it_was_sent_again_never_lands_behind_newer_ones() {
    for code in [59, 47, 90, 45] {
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let producer = one_message_per_batch(&cluster).await;
        let late = Duration::from_secs(6);
        cluster.inject(Rule::on(Api::Produce).times(1), Fault::Delay(late));
        let lost = producer.enqueue(&minute(), Message::new("lost")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        cluster.inject(Rule::on(Api::Produce).times(1), Fault::Error(code));
        let lost = lost.await.unwrap_err();
        assert_eq!((lost.kind(), lost.fate()), (ErrorKind::SequenceLost, Fate::PossiblyPersisted), "{code}");
        producer.send(&minute(), Message::new("newer")).await.unwrap();
        tokio::time::sleep(2 * late).await;
        let found = log(&cluster);
        let newer = found.iter().position(|value| value == "newer").unwrap();
        assert!(found.iter().skip(newer).all(|value| value != "lost"), "after {code}: {found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_to_a_topic_that_is_gone_is_fenced_once_the_topic_is_back() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = one_message_per_batch(&cluster).await;
    let before = cluster.batches("t", 0).pop().unwrap();
    assert!(cluster.delete_topic("t"));
    let gone = producer.send(&minute(), Message::new("gone")).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::UnknownTopic);
    assert!(cluster.create_topic("t", 1));
    tokio::time::sleep(Duration::from_secs(5)).await;
    producer.send(&minute(), Message::new("back")).await.unwrap();
    let after = cluster.batches("t", 0).pop().unwrap();
    assert_eq!(after.producer_id, before.producer_id, "a new id would fence nothing");
    assert!((after.epoch, after.sequence) > (before.epoch, 0), "{before:?}, {after:?}");
}

/// Seed 165698 of the simulated model: where another topic had been given a new producer id meanwhile, a topic that was gone
/// and came back began with that one, which fenced nothing of what had been sent to it before.
#[tokio::test(start_paused = true)]
async fn a_late_copy_to_a_topic_that_is_gone_never_lands_behind_newer_messages_once_it_is_back() {
    let cluster = FakeCluster::builder().topic("t", 1).topic("other", 1).start().await.unwrap();
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t").timeouts(
        TimeoutConfig::default().request(Duration::from_secs(2)).metadata_age(Duration::from_secs(1)),
    );
    let producer = Producer::connect(&minute(), config).await.unwrap();
    producer.send(&minute(), Message::new("warm")).await.unwrap();
    let before = cluster.batches("t", 0).pop().unwrap();
    // Its copy arrives when the topic is back.
    let late = Duration::from_secs(60);
    cluster.inject(Rule::on(Api::Produce).times(1), Fault::Delay(late));
    let short = Context::timeout(Duration::from_secs(1));
    let lost = producer.send(&short, Message::new("lost")).await.unwrap_err();
    assert_eq!(lost.fate(), Fate::PossiblyPersisted);
    cluster.inject(Rule::on(Api::Metadata).always(), Fault::Error(29));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let gone = producer.send(&minute(), Message::new("gone")).await.unwrap_err();
    assert_eq!(gone.fate(), Fate::NotPersisted);
    cluster.heal();
    producer.send(&minute(), Message::new("elsewhere").to("other")).await.unwrap();
    cluster.inject(Rule::on(Api::Produce).times(1), Fault::Error(47));
    producer.send(&minute(), Message::new("elsewhere").to("other")).await.unwrap();
    let elsewhere = cluster.batches("other", 0).pop().unwrap();
    assert_ne!(elsewhere.producer_id, before.producer_id, "it has a new one");
    tokio::time::sleep(Duration::from_secs(5)).await;
    producer.send(&minute(), Message::new("newer")).await.unwrap();
    tokio::time::sleep(2 * late).await;
    assert_eq!(log(&cluster), ["warm", "newer"]);
    let after = cluster.batches("t", 0).pop().unwrap();
    assert_eq!(after.producer_id, before.producer_id, "a new one would fence nothing");
    assert!(after.epoch > before.epoch, "{before:?}, {after:?}");
}

/// The broker refused the epoch while a batch before it was in doubt: that one failed after the producer id had been replaced,
/// and its late copy was stored behind newer messages.
#[tokio::test(start_paused = true)]
async fn a_late_copy_of_a_message_that_fails_after_the_epoch_was_refused_never_lands_behind_newer_ones() {
    for code in [47, 90] {
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let config = ProducerConfig::new(cluster.bootstrap())
            .topic("t")
            .batch(BatchConfig::default().max_bytes(0).linger(Duration::ZERO))
            .retry(RetryConfig::default().max_attempts(Some(2)))
            .timeouts(TimeoutConfig::default().request(Duration::from_secs(2)));
        let producer = Producer::connect(&minute(), config).await.unwrap();
        producer.send(&minute(), Message::new("warm")).await.unwrap();
        let late = Duration::from_secs(6);
        for fault in [Fault::Error(7), Fault::Error(code), Fault::Delay(late)] {
            cluster.inject(Rule::on(Api::Produce).times(1), fault);
        }
        let mut receipts = enqueue(&producer, 0..2).await.into_iter();
        let lost = receipts.next().unwrap().await.unwrap_err();
        assert_eq!(lost.fate(), Fate::PossiblyPersisted, "{code}");
        receipts.next().unwrap().await.unwrap();
        tokio::time::sleep(2 * late).await;
        assert_eq!(log(&cluster), ["warm", "1"], "after {code}");
    }
}

/// A topic was created again while a request to it was lost, and the next request went to the new log, by the topic's name: its
/// offset was lower than those before. The lost message was then sent again, and stored behind the newer one.
#[tokio::test(start_paused = true)]
async fn what_was_overtaken_in_a_topic_that_was_created_again_is_not_stored_behind_newer_messages() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    // Without topic ids.
    cluster.offer(0, Api::Produce, 3..=9);
    cluster.offer(0, Api::Metadata, 4..=8);
    let config = ProducerConfig::new(cluster.bootstrap())
        .topic("t")
        .batch(BatchConfig::default().max_bytes(0).linger(Duration::ZERO))
        .timeouts(TimeoutConfig::default().request(Duration::from_secs(2)));
    let producer = Producer::connect(&minute(), config).await.unwrap();
    for number in 0..3 {
        producer.send(&minute(), Message::new(format!("before {number}"))).await.unwrap();
    }
    cluster.black_hole(0);
    let mut receipts = enqueue(&producer, 0..1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    cluster.behave(0);
    cluster.recreate_topic("t", 1);
    receipts.extend(enqueue(&producer, 1..2).await);
    receipts.pop().unwrap().await.unwrap();
    cluster.forget_producers("t", 0);
    cluster.cut_connections(0);
    let overtaken = receipts.pop().unwrap().await.unwrap_err();
    assert_eq!(overtaken.fate(), Fate::PossiblyPersisted);
    producer.send(&minute(), Message::new("2")).await.unwrap();
    assert_eq!(log(&cluster), ["1", "2"]);
}
