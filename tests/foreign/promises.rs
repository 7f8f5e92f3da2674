//! What has to hold on every broker.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kafka_testbed::{ClusterProxy, Reader, StoredRecord, read_by_kcat};
use rskafka_producer::{
    BatchConfig, Compression, Context, Delivery, Error, ErrorKind, Fate, Message, Producer, ProducerConfig,
    SaslConfig,
};

/// Messages while connections are cut, and how often they are.
const MESSAGES: usize = 5_000;
const CUTS: usize = 25;

pub(crate) fn ctx() -> Context {
    Context::timeout(Duration::from_secs(60))
}

/// What can be expected of a broker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Broker<'a> {
    pub(crate) bootstrap: &'a [String],
    pub(crate) topic: &'a str,
    pub(crate) zstd: bool,
    /// It recognises what it stored already.
    pub(crate) deduplicates: bool,
}

pub(crate) fn codecs(zstd: bool) -> Vec<Compression> {
    let mut codecs = vec![Compression::None];
    #[cfg(feature = "gzip")]
    codecs.push(Compression::Gzip);
    #[cfg(feature = "snappy")]
    codecs.push(Compression::Snappy);
    #[cfg(feature = "lz4")]
    codecs.push(Compression::Lz4);
    if cfg!(feature = "zstd") && zstd {
        codecs.push(Compression::Zstd);
    }
    codecs
}

/// kcat is needed to read back.
pub(crate) fn kcat_or_skip(test: &str) -> bool {
    if Reader::Kcat.is_available() {
        return true;
    }
    assert!(std::env::var("KAFKA_TESTS").as_deref() != Ok("required"), "{test} needs kcat");
    eprintln!("SKIPPED {test}: it reads back by kcat, which is not installed");
    false
}

/// Runs everything that has to hold in plaintext.
pub(crate) async fn hold(broker: Broker<'_>) {
    let mut sent = every_codec(broker).await;
    sent.extend(cut_connections(broker, sent.len(), None).await);
    check(broker, &sent).await;
}

/// The same for a login.
pub(crate) async fn hold_with_login(broker: Broker<'_>, login: SaslConfig) {
    let sent = cut_connections(broker, 0, Some(login)).await;
    assert_eq!(sent.len(), MESSAGES);
}

fn message(n: usize) -> Message {
    Message::new(format!("{n} {}", "x".repeat(n % 200))).key((n % 97).to_string()).header("n", n.to_string())
}

async fn every_codec(broker: Broker<'_>) -> Vec<Delivery> {
    let mut sent = Vec::new();
    for codec in codecs(broker.zstd) {
        let config = ProducerConfig::new(broker.bootstrap.to_vec())
            .topic(broker.topic)
            .allow_auto_create_topics(true)
            .batch(BatchConfig::default().compression(codec));
        let producer = Producer::connect(&ctx(), config).await.unwrap();
        let mut receipts = Vec::new();
        for n in 0..200 {
            receipts.push(producer.enqueue(&ctx(), message(sent.len() + n)).await.unwrap());
        }
        for receipt in receipts {
            sent.push(receipt.await.unwrap_or_else(|error| panic!("{codec:?}: {error}")));
        }
        producer.close(&ctx()).await.unwrap();
    }
    sent
}

/// Connections to all brokers are cut again and again while messages are on their way.
async fn cut_connections(broker: Broker<'_>, first: usize, login: Option<SaslConfig>) -> Vec<Delivery> {
    let proxy = ClusterProxy::start(broker.bootstrap).await.unwrap();
    let mut config =
        ProducerConfig::new(proxy.bootstrap()).topic(broker.topic).allow_auto_create_topics(true);
    if let Some(login) = login {
        config = config.sasl(login.allow_plaintext(true));
    }
    let producer = Producer::connect(&ctx(), config).await.unwrap();
    let mut sent = Vec::new();
    for _ in 0..CUTS {
        let batch = MESSAGES / CUTS;
        let mut receipts = Vec::new();
        for n in 0..batch {
            let n = first + sent.len() + n;
            receipts.push(producer.enqueue(&ctx(), message(n)).await.unwrap());
        }
        proxy.cut_now();
        for receipt in receipts {
            sent.push(receipt.await.unwrap_or_else(|error| panic!("after {}: {error}", sent.len())));
        }
    }
    assert!(proxy.proxies().iter().map(|proxy| proxy.traffic().accepted).sum::<u64>() > CUTS as u64);
    producer.close(&ctx()).await.unwrap();
    sent
}

/// Every message is stored, once, and where its delivery says; those of a partition are in order.
async fn check(broker: Broker<'_>, sent: &[Delivery]) {
    let stored = read_by_kcat(broker.bootstrap, broker.topic).await.unwrap();
    let mut copies = BTreeMap::<usize, Vec<&StoredRecord>>::new();
    for record in &stored {
        copies.entry(number(record)).or_default().push(record);
    }
    assert_eq!(copies.len(), sent.len(), "each is there, and nothing else");
    for (n, delivery) in sent.iter().enumerate() {
        let copies = &copies[&n];
        let there = |record: &&StoredRecord| {
            record.partition == delivery.partition()
                && delivery.offset().is_none_or(|offset| offset == record.offset)
        };
        assert!(copies.iter().any(there), "{n} is not where its delivery says");
        if broker.deduplicates || delivery.attempts() == 1 {
            assert_eq!(copies.len(), 1, "{n} after {} attempts", delivery.attempts());
        }
    }
    if broker.deduplicates {
        for pair in stored.windows(2).filter(|pair| pair[0].partition == pair[1].partition) {
            assert!(number(&pair[0]) < number(&pair[1]), "out of order");
        }
    }
}

fn number(record: &StoredRecord) -> usize {
    let value = record.value.as_deref().unwrap_or_default();
    let text = String::from_utf8_lossy(value);
    text.split(' ').next().unwrap_or_default().parse().unwrap()
}

/// Connecting and sending fail at once, with an error that holds these words; health says the same.
pub(crate) async fn unusable(config: ProducerConfig, kind: ErrorKind, words: &[&str]) {
    let says = |error: &Error| {
        assert_eq!((error.kind(), error.fate()), (kind, Fate::NotPersisted), "{error}");
        for word in words {
            assert!(error.to_string().contains(word), "{word:?} is missing in: {error}");
        }
    };
    let started = Instant::now();
    let producer = Producer::new(config.clone()).unwrap();
    says(&Producer::connect(&ctx(), config).await.unwrap_err());
    says(&producer.send_message(&ctx(), "k", "v").await.unwrap_err());
    says(&producer.health(&ctx()).await.unwrap_err());
    producer.close(&ctx()).await.unwrap();
    // timeouts.delivery is two minutes.
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}
