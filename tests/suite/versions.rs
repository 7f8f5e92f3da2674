//! Brokers that offer other versions than the newest Kafka: each is spoken to in the newest version that both sides
//! know, and one that cannot be used is an error at once that says why.

use std::ops::RangeInclusive;

use kafka_testbed::{Api, FakeCluster, FakeClusterBuilder, Fault, Mechanism, PASSWORD, Rule, Sasl, USER};
use rskafka_producer::{
    BatchConfig, Compression, Error, ErrorCode, ErrorKind, Fate, Message, Producer, ProducerConfig,
    SaslConfig,
};
use tokio::time::Instant;

use crate::support::{SECOND, minute};

pub(crate) fn builder() -> FakeClusterBuilder {
    FakeCluster::builder().topic("t", 3).topic("other", 1)
}

pub(crate) fn config(cluster: &FakeCluster) -> ProducerConfig {
    ProducerConfig::new(cluster.bootstrap()).topic("t")
}

/// Versions in which the cluster was asked, each once.
fn versions_of(cluster: &FakeCluster, api: Api) -> Vec<i16> {
    let mut versions: Vec<_> =
        cluster.seen().iter().filter(|seen| seen.api == api).map(|seen| seen.version).collect();
    versions.sort_unstable();
    versions.dedup();
    versions
}

/// Sends numbered messages to several partitions and topics, and checks that each was stored once.
pub(crate) async fn deliver(cluster: &FakeCluster, producer: &Producer, count: usize) {
    let stored = || cluster.all_records("t").len() + cluster.all_records("other").len();
    let before = stored();
    let mut receipts = Vec::new();
    for n in 0..count {
        let value = format!("{n} {}", "x".repeat(n % 300));
        let message = match n % 4 {
            3 => Message::new(value).to("other"),
            partition => Message::new(value).partition(partition as i32),
        };
        receipts.push(producer.enqueue(&minute(), message.header("h", "v")).await.unwrap());
    }
    for receipt in receipts {
        receipt.await.unwrap();
    }
    assert_eq!(stored() - before, count);
}

fn codecs() -> Vec<Compression> {
    let mut codecs = vec![Compression::None];
    #[cfg(feature = "gzip")]
    codecs.push(Compression::Gzip);
    #[cfg(feature = "snappy")]
    codecs.push(Compression::Snappy);
    #[cfg(feature = "lz4")]
    codecs.push(Compression::Lz4);
    #[cfg(feature = "zstd")]
    codecs.push(Compression::Zstd);
    codecs
}

/// The cluster reads and writes by `kafka-protocol`, which shares no code with the producer.
#[tokio::test]
async fn every_version_of_produce_is_written_and_read_as_kafka_defines_it() {
    for version in 3..=13 {
        let cluster = builder().offer(Api::Produce, version..=version).start().await.unwrap();
        for compression in codecs().into_iter().filter(|codec| *codec != Compression::Zstd || version >= 7) {
            let batch = BatchConfig::default().compression(compression);
            let producer = Producer::connect(&minute(), config(&cluster).batch(batch)).await.unwrap();
            deliver(&cluster, &producer, 400).await;
            producer.close(&minute()).await.unwrap();
        }
        assert_eq!(versions_of(&cluster, Api::Produce), [version]);
    }
}

/// What only some versions have in their answers: records that are to blame, words, hints about leaders, throttling.
#[tokio::test(start_paused = true)]
async fn every_version_of_produce_answers_refusals_that_are_understood() {
    for version in 3..=13 {
        let cluster = builder().brokers(2).offer(Api::Produce, version..=version).start().await.unwrap();
        cluster.create_topic("compact", 1);
        cluster.configure_topic("compact", "cleanup.policy", "compact");
        let producer = Producer::connect(&minute(), config(&cluster).topic("compact")).await.unwrap();
        // In one batch; only the one without a key fails.
        let bad = producer.try_enqueue(Message::new("no key")).unwrap();
        let good = producer.try_enqueue(Message::new("v").key("k")).unwrap();
        let refused = bad.await.unwrap_err();
        let code = if version >= 8 { 87 } else { 2 };
        assert_eq!(refused.broker_error().map(|error| error.code()), Some(code), "version {version}");
        // From version 8 on the answer says which records are to blame.
        assert_eq!(refused.to_string().contains("without key"), version >= 8, "{refused}");
        good.await.unwrap();
        let before = cluster.all_records("compact").len();
        let leader = cluster.leader("compact", 0).unwrap();
        cluster.move_leader("compact", 0, 1 - leader);
        cluster.inject(Rule::on(Api::Produce).node(1 - leader), Fault::Throttle(SECOND / 10));
        producer.send_message(&minute(), "k", "v").await.unwrap();
        assert_eq!(cluster.all_records("compact").len(), before + 1);
        producer.close(&minute()).await.unwrap();
    }
}

/// Per API: every version that we speak.
#[tokio::test]
async fn every_version_of_the_other_requests_is_written_and_read_as_kafka_defines_it() {
    let sweep: [(Api, RangeInclusive<i16>); 3] =
        [(Api::InitProducerId, 0..=5), (Api::Metadata, 4..=13), (Api::ApiVersions, 0..=4)];
    for (api, versions) in sweep {
        for version in versions {
            // Everyone has the first version of ApiVersions.
            let oldest = if api == Api::ApiVersions { 0 } else { version };
            let cluster = builder().offer(api, oldest..=version).start().await.unwrap();
            let producer = Producer::connect(&minute(), config(&cluster)).await.unwrap();
            deliver(&cluster, &producer, 20).await;
            // The second connection knows better than the first.
            cluster.cut_connections(0);
            deliver(&cluster, &producer, 20).await;
            assert!(versions_of(&cluster, api).contains(&version), "{api:?} {version}");
            producer.close(&minute()).await.unwrap();
        }
    }
}

fn mechanisms() -> [SaslConfig; 3] {
    [
        SaslConfig::plain(USER, PASSWORD),
        SaslConfig::scram_sha_256(USER, PASSWORD),
        SaslConfig::scram_sha_512(USER, PASSWORD),
    ]
}

/// Kafka 1.0 to 2.1 has version 0 alone, and is older than the version of `ApiVersions` that is tried first.
#[tokio::test(start_paused = true)]
async fn every_version_of_sasl_authenticate_logs_in_and_again_before_the_session_ends() {
    for (version, newest) in [(0, 1), (0, 3), (1, 2), (2, 3)] {
        for sasl in mechanisms() {
            let demands = Sasl::new(&Mechanism::ALL).session_lifetime(10 * SECOND);
            let cluster = builder()
                .sasl(demands)
                .offer(Api::ApiVersions, 0..=newest)
                .offer(Api::SaslAuthenticate, 0..=version)
                .start()
                .await
                .unwrap();
            let producer = Producer::connect(&minute(), config(&cluster).sasl(sasl.allow_plaintext(true)))
                .await
                .unwrap();
            deliver(&cluster, &producer, 20).await;
            assert_eq!(versions_of(&cluster, Api::SaslAuthenticate), [version]);
            // Version 0 says nothing of a session's end.
            if version > 0 {
                tokio::time::sleep(11 * SECOND).await;
                deliver(&cluster, &producer, 20).await;
                assert!(cluster.authentications().repeated > 0);
                assert_eq!(versions_of(&cluster, Api::SaslAuthenticate), [version]);
            }
            assert_eq!(cluster.authentications().failed, 0);
            producer.close(&minute()).await.unwrap();
        }
    }
}

/// A way in which a broker cannot be used: what it offers, and what the error has to say.
type Unusable = (&'static str, Edit, &'static [&'static str]);

type Edit = fn(FakeClusterBuilder) -> FakeClusterBuilder;

const UNUSABLE: &[Unusable] = &[
    (
        "no InitProducerId",
        |builder| builder.without(Api::InitProducerId),
        &["InitProducerId", "0 to 6", "idempotence(false)"],
    ),
    (
        "a newer InitProducerId",
        |builder| builder.offer(Api::InitProducerId, 7..=8),
        &["InitProducerId", "7 to 8", "0 to 6", "idempotence(false)"],
    ),
    ("no Produce", |builder| builder.without(Api::Produce), &["Produce", "3 to 13"]),
    ("an older Produce", |builder| builder.offer(Api::Produce, 0..=2), &["Produce", "0 to 2", "3 to 13"]),
    ("a newer Produce", |builder| builder.offer(Api::Produce, 20..=21), &["Produce", "20 to 21", "3 to 13"]),
    ("no Metadata", |builder| builder.without(Api::Metadata), &["Metadata"]),
    ("an older Metadata", |builder| builder.offer(Api::Metadata, 0..=3), &["Metadata", "0 to 3"]),
    ("a newer Metadata", |builder| builder.offer(Api::Metadata, 40..=41), &["Metadata", "40 to 41"]),
];

pub(crate) fn says(error: &Error, words: &[&str], what: &str) {
    for word in words {
        assert!(error.to_string().contains(word), "{what}: {word:?} is missing in {error}");
    }
    assert_eq!(error.kind(), ErrorKind::Protocol, "{what}: {error}");
    assert_eq!(error.fate(), Fate::NotPersisted, "{what}");
}

#[tokio::test(start_paused = true)]
async fn a_missing_api_fails_at_once_and_the_error_names_it() {
    for brokers in [1, 3] {
        for (what, edit, words) in UNUSABLE {
            let cluster = edit(builder().brokers(brokers)).start().await.unwrap();
            let started = Instant::now();
            let error = Producer::connect(&minute(), config(&cluster)).await.unwrap_err();
            says(&error, words, what);
            assert_eq!(error.code(), ErrorCode::BrokersUnavailable);

            // Without a connection beforehand, the first message and the health check say the same.
            let producer = Producer::new(config(&cluster)).unwrap();
            let error = producer.send_message(&minute(), "k", "v").await.unwrap_err();
            says(&error, words, what);
            assert!(error.into_message().is_some());
            says(&producer.health(&minute()).await.unwrap_err(), words, what);
            assert!(started.elapsed() < 2 * SECOND, "{what}: {:?}", started.elapsed());
            producer.close(&minute()).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_idempotence_no_producer_id_is_needed() {
    let cluster = builder().without(Api::InitProducerId).start().await.unwrap();
    let producer = Producer::connect(&minute(), config(&cluster).idempotence(false)).await.unwrap();
    deliver(&cluster, &producer, 100).await;
    producer.close(&minute()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_login_that_the_broker_is_too_old_for_fails_at_once() {
    let ways: [Edit; 3] = [
        // Kafka 0.11
        |builder| {
            builder
                .offer(Api::ApiVersions, 0..=1)
                .offer(Api::SaslHandshake, 0..=0)
                .without(Api::SaslAuthenticate)
        },
        |builder| builder.without(Api::SaslHandshake),
        |builder| builder.offer(Api::SaslAuthenticate, 3..=4),
    ];
    for edit in ways {
        let cluster = edit(builder().sasl(Sasl::new(&Mechanism::ALL))).start().await.unwrap();
        let sasl = SaslConfig::plain(USER, PASSWORD).allow_plaintext(true);
        let started = Instant::now();
        let error = Producer::connect(&minute(), config(&cluster).sasl(sasl)).await.unwrap_err();
        says(&error, &["Sasl", "logins need Kafka 1.0"], "login");
        assert!(started.elapsed() < SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_loses_an_api_fails_messages_at_once_and_serves_them_when_it_is_back() {
    let cluster = builder().start().await.unwrap();
    let producer = Producer::connect(&minute(), config(&cluster)).await.unwrap();
    deliver(&cluster, &producer, 20).await;
    cluster.offer(0, Api::Produce, 20..=21);
    cluster.cut_connections(0);
    // A message that meets the end of the connection is possibly persisted.
    tokio::time::sleep(SECOND).await;
    let started = Instant::now();
    let error = producer.send_message(&minute(), "k", "v").await.unwrap_err();
    says(&error, &["Produce", "20 to 21"], "downgraded");
    assert!(started.elapsed() < 2 * SECOND, "{:?}", started.elapsed());
    cluster.offer(0, Api::Produce, 3..=9);
    tokio::time::sleep(2 * SECOND).await;
    deliver(&cluster, &producer, 20).await;
    producer.close(&minute()).await.unwrap();
}

#[tokio::test]
async fn brokers_of_one_cluster_may_offer_different_versions() {
    let cluster = builder().brokers(3).start().await.unwrap();
    cluster.offer(0, Api::Produce, 3..=5);
    cluster.offer(0, Api::ApiVersions, 0..=1);
    cluster.offer(0, Api::Metadata, 0..=5);
    cluster.offer(1, Api::Produce, 3..=8);
    cluster.offer(2, Api::Produce, 9..=13);
    let producer = Producer::connect(&minute(), config(&cluster)).await.unwrap();
    deliver(&cluster, &producer, 300).await;
    producer.close(&minute()).await.unwrap();
    let mut used: Vec<_> = cluster
        .seen()
        .iter()
        .filter(|seen| seen.api == Api::Produce)
        .map(|seen| (seen.node, seen.version))
        .collect();
    used.sort_unstable();
    used.dedup();
    // The first of them may have described the topics, and knows no ids, which version 13 needs.
    let newest = used.pop();
    assert!(matches!(newest, Some((2, 12 | 13))), "{newest:?}");
    assert_eq!(used, [(0, 5), (1, 8)]);
}

/// What a kind of Kafka offers, by API.
type Offers = &'static [(Api, RangeInclusive<i16>)];

/// The generations of Kafka.
const GENERATIONS: [(&str, Offers); 5] = [
    (
        "0.11",
        &[
            (Api::Produce, 0..=3),
            (Api::Metadata, 0..=4),
            (Api::ApiVersions, 0..=1),
            (Api::InitProducerId, 0..=0),
        ],
    ),
    (
        "1.1",
        &[
            (Api::Produce, 0..=5),
            (Api::Metadata, 0..=5),
            (Api::ApiVersions, 0..=1),
            (Api::InitProducerId, 0..=0),
        ],
    ),
    (
        "2.4",
        &[
            (Api::Produce, 0..=8),
            (Api::Metadata, 0..=9),
            (Api::ApiVersions, 0..=3),
            (Api::InitProducerId, 0..=2),
        ],
    ),
    (
        "4.1",
        &[
            (Api::Produce, 3..=13),
            (Api::Metadata, 0..=13),
            (Api::ApiVersions, 0..=4),
            (Api::InitProducerId, 0..=5),
        ],
    ),
    (
        "only the newest of each",
        &[
            (Api::Produce, 13..=13),
            (Api::Metadata, 13..=13),
            (Api::ApiVersions, 0..=4),
            (Api::InitProducerId, 5..=5),
        ],
    ),
];

fn become_generation(cluster: &FakeCluster, offers: Offers) {
    for (api, versions) in offers {
        cluster.offer(0, *api, versions.clone());
    }
    cluster.cut_connections(0);
}

/// Whatever was learned of the broker before, it is checked against what the broker says now.
#[tokio::test(start_paused = true)]
async fn a_broker_may_be_upgraded_and_downgraded_behind_its_address() {
    for (from, old) in GENERATIONS {
        for (to, new) in GENERATIONS {
            let cluster = builder().start().await.unwrap();
            become_generation(&cluster, old);
            let producer = Producer::connect(&minute(), config(&cluster)).await.unwrap();
            deliver(&cluster, &producer, 20).await;
            become_generation(&cluster, new);
            let started = Instant::now();
            deliver(&cluster, &producer, 20).await;
            assert!(started.elapsed() < 2 * SECOND, "from {from} to {to}: {:?}", started.elapsed());
            producer.close(&minute()).await.unwrap();
        }
    }
}
