//! Each row of the error table, end to end: a broker answers the code once, and what the producer does is looked at.

use std::time::Duration;

use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{
    CircuitBreakerConfig, Context, ErrorCode, ErrorKind, Fate, Message, Producer, ProducerConfig,
};

use ErrorKind::*;
use Fate::{NotPersisted as N, PossiblyPersisted as P};
use Then::*;

/// What the producer does with the message.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    /// Fails it.
    Fails,
    /// Sends it again after 50–100 ms.
    Again,
    /// Sends it again after 20–50 ms.
    Soon,
    /// Sends it again under a new sequence.
    Renumbered,
    /// Takes it for stored.
    Stored,
}

/// Code, name, kind, fate, what then, whether the breaker counts it, whether metadata is refreshed.
type Row = (i16, &'static str, ErrorKind, Fate, Then, bool, bool);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    (-1,  "UNKNOWN_SERVER_ERROR",                  Broker,            P, Fails,      false, false),
    (1,   "OFFSET_OUT_OF_RANGE",                   Broker,            N, Fails,      false, false),
    (2,   "CORRUPT_MESSAGE",                       InvalidMessage,    N, Again,      false, false),
    (3,   "UNKNOWN_TOPIC_OR_PARTITION",            UnknownTopic,      N, Soon,       false, true),
    (5,   "LEADER_NOT_AVAILABLE",                  Broker,            N, Soon,       false, true),
    (6,   "NOT_LEADER_OR_FOLLOWER",                Broker,            N, Soon,       false, true),
    (7,   "REQUEST_TIMED_OUT",                     Broker,            P, Again,      false, false),
    (8,   "BROKER_NOT_AVAILABLE",                  Broker,            N, Again,      false, true),
    (9,   "REPLICA_NOT_AVAILABLE",                 Broker,            N, Soon,       false, true),
    (10,  "MESSAGE_TOO_LARGE",                     MessageTooLarge,   N, Fails,      false, false),
    (13,  "NETWORK_EXCEPTION",                     ConnectionLost,    P, Soon,       true,  true),
    (14,  "COORDINATOR_LOAD_IN_PROGRESS",          Broker,            N, Again,      false, false),
    (15,  "COORDINATOR_NOT_AVAILABLE",             Broker,            N, Again,      false, false),
    (16,  "NOT_COORDINATOR",                       Broker,            N, Again,      false, false),
    (17,  "INVALID_TOPIC_EXCEPTION",               InvalidTopic,      N, Fails,      false, false),
    (18,  "RECORD_LIST_TOO_LARGE",                 MessageTooLarge,   N, Fails,      false, false),
    (19,  "NOT_ENOUGH_REPLICAS",                   NotEnoughReplicas, N, Again,      false, false),
    (20,  "NOT_ENOUGH_REPLICAS_AFTER_APPEND",      NotEnoughReplicas, P, Again,      false, false),
    (21,  "INVALID_REQUIRED_ACKS",                 Broker,            N, Fails,      false, false),
    (29,  "TOPIC_AUTHORIZATION_FAILED",            Authorization,     N, Fails,      false, false),
    (30,  "GROUP_AUTHORIZATION_FAILED",            Authorization,     N, Fails,      false, false),
    (31,  "CLUSTER_AUTHORIZATION_FAILED",          Authorization,     N, Fails,      false, false),
    (32,  "INVALID_TIMESTAMP",                     InvalidMessage,    N, Fails,      false, false),
    (33,  "UNSUPPORTED_SASL_MECHANISM",            Authentication,    N, Fails,      false, false),
    (34,  "ILLEGAL_SASL_STATE",                    Authentication,    N, Fails,      false, false),
    (35,  "UNSUPPORTED_VERSION",                   Protocol,          N, Fails,      false, false),
    (37,  "INVALID_PARTITIONS",                    Broker,            N, Fails,      false, false),
    (38,  "INVALID_REPLICATION_FACTOR",            Broker,            N, Again,      false, false),
    (41,  "NOT_CONTROLLER",                        Broker,            N, Again,      false, false),
    (42,  "INVALID_REQUEST",                       Protocol,          N, Fails,      false, false),
    (43,  "UNSUPPORTED_FOR_MESSAGE_FORMAT",        Broker,            N, Fails,      false, false),
    (44,  "POLICY_VIOLATION",                      InvalidMessage,    N, Fails,      false, false),
    (45,  "OUT_OF_ORDER_SEQUENCE_NUMBER",          SequenceLost,      N, Renumbered, false, false),
    (46,  "DUPLICATE_SEQUENCE_NUMBER",             SequenceLost,      P, Stored,     false, false),
    (47,  "INVALID_PRODUCER_EPOCH",                SequenceLost,      N, Renumbered, false, false),
    (51,  "CONCURRENT_TRANSACTIONS",               Broker,            N, Again,      false, false),
    (53,  "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", Authorization,     N, Fails,      false, false),
    (54,  "SECURITY_DISABLED",                     Authentication,    N, Fails,      false, false),
    (55,  "OPERATION_NOT_ATTEMPTED",               Broker,            N, Again,      false, false),
    (56,  "KAFKA_STORAGE_ERROR",                   Broker,            P, Soon,       true,  true),
    (58,  "SASL_AUTHENTICATION_FAILED",            Authentication,    N, Fails,      false, false),
    (59,  "UNKNOWN_PRODUCER_ID",                   SequenceLost,      N, Renumbered, false, false),
    (60,  "REASSIGNMENT_IN_PROGRESS",              Broker,            N, Again,      false, false),
    (72,  "LISTENER_NOT_FOUND",                    Broker,            N, Soon,       false, true),
    (74,  "FENCED_LEADER_EPOCH",                   Broker,            N, Soon,       false, true),
    (75,  "UNKNOWN_LEADER_EPOCH",                  Broker,            N, Soon,       false, true),
    (76,  "UNSUPPORTED_COMPRESSION_TYPE",          InvalidMessage,    N, Fails,      false, false),
    (77,  "STALE_BROKER_EPOCH",                    Broker,            N, Again,      false, true),
    (78,  "OFFSET_NOT_AVAILABLE",                  Broker,            N, Again,      false, false),
    (80,  "PREFERRED_LEADER_NOT_AVAILABLE",        Broker,            N, Soon,       false, true),
    (83,  "ELIGIBLE_LEADERS_NOT_AVAILABLE",        Broker,            N, Again,      false, true),
    (84,  "ELECTION_NOT_NEEDED",                   Broker,            N, Again,      false, true),
    (87,  "INVALID_RECORD",                        InvalidMessage,    N, Fails,      false, false),
    (89,  "THROTTLING_QUOTA_EXCEEDED",             Broker,            N, Again,      false, false),
    (90,  "PRODUCER_FENCED",                       SequenceLost,      N, Renumbered, false, false),
    (100, "UNKNOWN_TOPIC_ID",                      UnknownTopic,      N, Soon,       false, true),
    (103, "INCONSISTENT_TOPIC_ID",                 Broker,            N, Soon,       false, true),
    // One that nobody knows.
    (999, "UNKNOWN",                               Broker,            P, Fails,      false, false),
];

fn ctx(seconds: u64) -> Context {
    Context::timeout(Duration::from_secs(seconds))
}

#[tokio::test(start_paused = true)]
async fn each_row_of_the_error_table_does_what_it_says() {
    for row in ROWS {
        once(row).await;
        for_good(row).await;
    }
}

/// The code is answered once: what becomes of the message.
async fn once(&(code, name, kind, fate, then, counts, refreshes): &Row) {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    // One failure opens the breaker, so that it shows whether it was counted.
    let breaker = CircuitBreakerConfig::default().consecutive_failures(1);
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t").circuit_breaker(breaker);
    let producer = Producer::connect(&ctx(10), config).await.unwrap();
    producer.send(&ctx(10), Message::new("first")).await.unwrap();
    let asked = cluster.requests(Api::Metadata);
    cluster.inject(Rule::on(Api::Produce), Fault::Error(code));
    let result = producer.send(&ctx(60), Message::new("second")).await;
    tokio::time::sleep(Duration::from_secs(2)).await;

    let sent: Vec<_> = cluster.seen().into_iter().filter(|r| r.api == Api::Produce).skip(1).collect();
    let opened = producer.stats().breaker_opened;
    assert_eq!(opened, u64::from(counts), "{name}: the breaker");
    // An open breaker's probes are metadata, too.
    if !counts {
        assert_eq!(cluster.requests(Api::Metadata) > asked, refreshes, "{name}: metadata refreshed");
    }
    let stored = cluster.high_watermark("t", 0);
    match then {
        Fails => {
            let error = result.expect_err(name);
            assert_eq!(
                (error.code(), error.kind(), error.fate()),
                (ErrorCode::SendFailed, kind, fate),
                "{name}"
            );
            let said = error.broker_error().unwrap();
            assert_eq!((said.code(), said.name()), (code, name));
            assert_eq!((error.attempts(), sent.len()), (1, 1), "{name}: not tried again");
            assert!(error.to_string().contains(name), "{error}");
            assert_eq!(error.into_message().unwrap().value.as_deref(), Some(&b"second"[..]), "{name}");
            assert_eq!(stored, Some(1), "{name}");
        }
        Stored => {
            let delivery = result.expect(name);
            assert_eq!((delivery.offset(), delivery.attempts(), sent.len()), (None, 1, 1), "{name}");
        }
        Again | Soon | Renumbered => {
            let delivery = result.expect(name);
            assert_eq!((delivery.offset(), delivery.attempts(), sent.len()), (Some(1), 2, 2), "{name}");
            assert_eq!(stored, Some(2), "{name}");
            let (before, after) = (&sent[0].batches[0], &sent[1].batches[0]);
            let same = (before.producer_id, before.epoch, before.sequence)
                == (after.producer_id, after.epoch, after.sequence);
            assert_eq!(same, then != Renumbered, "{name}: {before:?}, {after:?}");
            if !counts {
                let pause = (sent[1].at - sent[0].at).as_millis();
                let due = if then == Soon { 20..=51 } else { 50..=102 };
                assert!(due.contains(&pause), "{name}: again after {pause} ms");
            }
        }
    }
}

/// The code is answered for ever: every error that was retried comes to light, with the fate that it leaves.
async fn for_good(&(code, name, kind, fate, then, ..): &Row) {
    if matches!(then, Fails | Stored) {
        return;
    }
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let retry = rskafka_producer::RetryConfig::default().max_attempts(Some(3));
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t").retry(retry);
    let producer = Producer::connect(&ctx(10), config).await.unwrap();
    cluster.inject(Rule::on(Api::Produce).always(), Fault::Error(code));
    let error = producer.send(&ctx(60), Message::new("v")).await.expect_err(name);
    assert_eq!((error.kind(), error.fate(), error.attempts()), (kind, fate, 3), "{name}");
    assert_eq!(error.broker_error().map(|e| e.code()), Some(code), "{name}");
}
