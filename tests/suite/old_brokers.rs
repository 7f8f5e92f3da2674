//! The habits of old brokers: how many batches they remember, which codecs they know, how they refuse and what time they
//! report.

use std::time::SystemTime;

use kafka_testbed::{Api, Fault, Rule};
use rskafka_producer::{BatchConfig, ErrorKind, Fate, Message, Producer};
#[cfg(feature = "zstd")]
use rskafka_producer::{Compression, ErrorCode};
use tokio::time::Instant;

use crate::support::{SECOND, minute};
use crate::versions::{builder, config};

/// What was stored and not answered is recognised when it is sent again: by Kafka 0.11 the last batch only, and by later
/// ones the last five.
#[tokio::test(start_paused = true)]
async fn a_broker_that_remembers_one_batch_of_a_producer_gets_one_at_a_time() {
    for (newest, most) in [(3, 1), (5, 5)] {
        let cluster = builder().offer(Api::Produce, 0..=newest).start().await.unwrap();
        let batch = BatchConfig::default().max_bytes(1_000);
        let producer = Producer::connect(&minute(), config(&cluster).batch(batch)).await.unwrap();
        let message = || Message::new("x".repeat(900)).partition(0);
        producer.send(&minute(), message()).await.unwrap();
        for _ in 0..25 {
            let before = cluster.requests(Api::Produce);
            cluster.inject(Rule::on(Api::Produce).always(), Fault::Unanswered);
            let receipts: Vec<_> = (0..8).map(|_| producer.try_enqueue(message()).unwrap()).collect();
            cluster.wait_until(|cluster| cluster.requests(Api::Produce) == before + most).await;
            tokio::time::sleep(SECOND / 10).await;
            assert_eq!(cluster.requests(Api::Produce), before + most);
            cluster.heal();
            cluster.cut_connections(0);
            for receipt in receipts {
                assert!(receipt.await.unwrap().offset().is_some());
            }
        }
        assert_eq!(cluster.all_records("t").len(), 1 + 25 * 8);
        producer.close(&minute()).await.unwrap();
    }
}

#[cfg(feature = "zstd")]
#[tokio::test(start_paused = true)]
async fn zstd_is_refused_at_once_where_the_broker_cannot_read_it() {
    let cluster = builder().brokers(3).offer(Api::Produce, 0..=5).start().await.unwrap();
    let batch = BatchConfig::default().compression(Compression::Zstd);
    let error = Producer::connect(&minute(), config(&cluster).batch(batch.clone())).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::InvalidConfig, ErrorCode::InvalidConfig));
    let producer = Producer::new(config(&cluster).batch(batch)).unwrap();
    let started = Instant::now();
    let error = producer.send_message(&minute(), "k", "v").await.unwrap_err();
    assert!(started.elapsed() < SECOND);
    assert_eq!((error.kind(), error.fate()), (ErrorKind::InvalidConfig, Fate::NotPersisted));
    assert!(error.to_string().contains("batch.compression"), "{error}");
    assert_eq!(cluster.requests(Api::Produce), 0);
    producer.close(&minute()).await.unwrap();
}

/// Before Kafka 2.4 a message without a key on a compacted topic is answered `CORRUPT_MESSAGE`, as damage on the way is.
#[tokio::test(start_paused = true)]
async fn a_batch_that_is_refused_as_corrupt_twice_fails_at_once_and_only_where_it_has_no_key() {
    let cluster = builder().offer(Api::Produce, 0..=5).start().await.unwrap();
    cluster.configure_topic("t", "cleanup.policy", "compact");
    let producer = Producer::connect(&minute(), config(&cluster)).await.unwrap();
    for keyless in [&[0][..], &[0, 1, 2, 3, 4, 5], &[1, 4]] {
        let (stored, requests) = (cluster.all_records("t").len(), cluster.requests(Api::Produce));
        let started = Instant::now();
        let receipts: Vec<_> = (0..6)
            .map(|n| {
                let message = Message::new(n.to_string()).partition(0);
                let message = if keyless.contains(&n) { message } else { message.key("k") };
                (n, producer.try_enqueue(message).unwrap())
            })
            .collect();
        for (n, receipt) in receipts {
            match receipt.await {
                Ok(_) => assert!(!keyless.contains(&n)),
                Err(error) => {
                    assert!(keyless.contains(&n));
                    assert_eq!((error.kind(), error.fate()), (ErrorKind::InvalidMessage, Fate::NotPersisted));
                    assert_eq!(error.broker_error().map(|error| error.code()), Some(2));
                    assert!(error.to_string().contains("compacted"), "{error}");
                }
            }
        }
        assert!(started.elapsed() < SECOND, "{:?}", started.elapsed());
        assert_eq!(cluster.all_records("t").len() - stored, 6 - keyless.len());
        assert!(cluster.requests(Api::Produce) - requests <= 3);
    }
    producer.close(&minute()).await.unwrap();
}

/// Damage does not repeat itself for ever; what has a key, or goes to a broker that would name it, is sent again.
#[tokio::test(start_paused = true)]
async fn a_batch_that_was_damaged_on_its_way_is_sent_again() {
    for (newest, key, refusals) in [(5, Some("k"), 4), (12, Some("k"), 4), (12, None, 4), (5, None, 1)] {
        let cluster = builder().offer(Api::Produce, 3..=newest).start().await.unwrap();
        let producer = Producer::connect(&minute(), config(&cluster)).await.unwrap();
        let message = || key.map_or_else(|| Message::new("v"), |key| Message::new("v").key(key));
        cluster.inject(Rule::on(Api::Produce).times(refusals), Fault::Error(2));
        producer.send(&minute(), message()).await.unwrap();
        // Where something else is answered in between, it was not refused twice in a row.
        for code in [2, 19, 2] {
            cluster.inject(Rule::on(Api::Produce), Fault::Error(code));
        }
        producer.send(&minute(), message()).await.unwrap();
        assert_eq!(cluster.all_records("t").len(), 2);
        producer.close(&minute()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_that_was_recognised_has_the_timestamp_that_is_in_the_log() {
    for by_the_broker in [false, true] {
        let cluster = builder().start().await.unwrap();
        if by_the_broker {
            cluster.configure_topic("t", "message.timestamp.type", "LogAppendTime");
        }
        let producer = Producer::connect(&minute(), config(&cluster)).await.unwrap();
        let old = SystemTime::now() - 3_600 * SECOND;
        for _ in 0..3 {
            let message = || Message::new("v").key("k").timestamp(old);
            producer.send(&minute(), message()).await.unwrap();
            cluster.inject(Rule::on(Api::Produce), Fault::Disconnect.after_apply());
            let delivery = producer.send(&minute(), message()).await.unwrap();
            assert_eq!(delivery.attempts(), 2);
            let stored = cluster.records("t", delivery.partition());
            let stored = stored.iter().find(|record| Some(record.offset) == delivery.offset()).unwrap();
            let apart = (stored.timestamp - delivery.timestamp()).abs();
            assert!(apart < 1_000, "{apart} ms");
        }
        producer.close(&minute()).await.unwrap();
    }
}
