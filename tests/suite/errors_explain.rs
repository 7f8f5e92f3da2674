//! Every error says what it is about and why, once: a table of the situations in which one arises.

use std::error::Error as _;
use std::time::Duration;

use kafka_testbed::{Api, FakeCluster, Fault, Mechanism, PASSWORD, Rule, Sasl, USER};
use rskafka_producer::{
    BatchConfig, BufferConfig, BulkheadConfig, CircuitBreakerConfig, Context, Error, ErrorKind, Message,
    OpenCircuit, Producer, ProducerConfig, RateLimitConfig, SaslConfig, TimeoutConfig,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{SECOND, ctx};

const SECRET: &str = "s3cret";
/// Longest line that `fn main() -> Result<()>` may print.
const LONGEST: usize = 700;

fn chain(error: &Error) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(next) = cause {
        texts.push(next.to_string());
        cause = next.source();
    }
    texts
}

/// What must hold of every error.
pub(crate) fn assert_well_explained(name: &str, error: &Error) {
    let chain = chain(error);
    for (at, text) in chain.iter().enumerate() {
        assert!(!text.trim().is_empty(), "{name}: an empty text in {chain:?}");
        assert!(!text.chars().any(char::is_control), "{name}: a control character in {text:?}");
        for secret in [SECRET, PASSWORD] {
            assert!(!text.contains(secret), "{name}: a secret in {text:?}");
        }
        for words in ["poisoned", "framed message", "OtherError", "Cannot read"] {
            assert!(!text.contains(words), "{name}: {words:?} in {text:?}");
        }
        for (below, other) in chain.iter().enumerate().skip(at + 1) {
            assert!(!text.contains(other.as_str()), "{name}: cause {below} is said twice: {chain:#?}");
        }
    }
    let debug = format!("{error:?}");
    assert!(debug.len() <= LONGEST, "{name}: {} bytes of Debug: {debug}", debug.len());
    assert!(!debug.contains('\n'), "{name}: Debug has more than one line");
    assert!(
        debug.contains(error.code().as_str()) && debug.contains(error.kind().as_str()),
        "{name}: {debug}"
    );
    for text in &chain {
        assert!(debug.contains(text.as_str()) || debug.ends_with('…'), "{name}: {text:?} is not in {debug}");
    }
    assert_explained(name, error);
    if let Some(broker) = error.broker() {
        assert!(chain.iter().any(|text| text.contains(broker)), "{name}: {broker} is not in {chain:?}");
    }
    eprintln!("{name}\n    {error:?}");
}

/// A time-out has a cause, as a value and in words.
pub(crate) fn assert_explained(name: &str, error: &Error) {
    let timed_out = [ErrorKind::DeadlineExceeded, ErrorKind::DeliveryTimeout, ErrorKind::BufferFull]
        .contains(&error.kind());
    let chain = chain(error);
    // What was refused at once did not wait.
    let at_once = ["before the call", "allow: raise one of them"];
    if timed_out && !at_once.iter().any(|words| chain[0].contains(words)) {
        assert!(error.wait_reason().is_some(), "{name}: a time-out without a typed cause: {chain:?}");
        assert!(chain.len() > 1 || chain[0].contains(": "), "{name}: a time-out without a cause: {chain:?}");
    }
}

fn assert_says(name: &str, error: &Error, words: &[&str]) {
    assert_well_explained(name, error);
    let all = chain(error).join(": ");
    for word in words {
        assert!(all.contains(word), "{name}: {word:?} is not in {all:?}");
    }
}

fn message() -> Message {
    Message::new(SECRET).key(SECRET).to("t").partition(0)
}

async fn warm(cluster: &FakeCluster, config: ProducerConfig) -> Producer {
    let producer = Producer::connect(&ctx(30 * SECOND), config).await.unwrap();
    producer.send(&ctx(30 * SECOND), message()).await.unwrap();
    assert!(cluster.high_watermark("t", 0).unwrap() > 0);
    producer
}

async fn one() -> FakeCluster {
    FakeCluster::with_topic("t", 1).await.unwrap()
}

fn config(cluster: &FakeCluster) -> ProducerConfig {
    ProducerConfig::new(cluster.bootstrap())
}

fn address(cluster: &FakeCluster) -> String {
    cluster.address(0).to_string()
}

/// A broker in front of the cluster whose answers name hosts that nobody can resolve.
async fn advertising_an_unknown_host(cluster: &FakeCluster) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (front, back) = (listener.local_addr().unwrap(), cluster.address(0));
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let far = TcpStream::connect(back).await.unwrap();
                let ((mut near_read, mut near_write), (mut far_read, mut far_write)) =
                    (near.into_split(), far.into_split());
                let there = tokio::io::copy(&mut near_read, &mut far_write);
                let back = async {
                    let mut bytes = vec![0; 1 << 16];
                    while let Ok(read @ 1..) = far_read.read(&mut bytes).await {
                        // As long as the other, so that nothing else changes.
                        while let Some(at) = bytes[..read].windows(9).position(|w| w == b"127.0.0.1") {
                            bytes[at..at + 9].copy_from_slice(b"a.invalid");
                        }
                        near_write.write_all(&bytes[..read]).await.unwrap();
                    }
                };
                tokio::select! { _ = there => {}, () = back => {} }
            });
        }
    });
    front.to_string()
}

#[tokio::test(start_paused = true)]
async fn a_send_to_an_advertised_name_that_cannot_be_resolved_names_it() {
    let cluster = one().await;
    let front = advertising_an_unknown_host(&cluster).await;
    let producer =
        Producer::connect(&ctx(10 * SECOND), ProducerConfig::new([front]).topic("t")).await.unwrap();
    let error = producer.send(&ctx(3 * SECOND), message()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    let advertised = format!("a.invalid:{}", cluster.address(0).port());
    assert_eq!(error.broker(), Some(advertised.as_str()), "{error:?}");
    assert_says("advertised name", &error, &[&advertised, "cannot be resolved", "advertised.listeners"]);
    assert!(error.source().is_some(), "{error:?}");
    // The same by every other way to wait for it.
    let receipt = producer.enqueue(&ctx(2 * SECOND), message()).await.unwrap();
    assert_says("a receipt", &receipt.await.unwrap_err(), &[&advertised, "cannot be resolved"]);
    let _receipt = producer.enqueue(&ctx(60 * SECOND), message()).await.unwrap();
    let error = producer.flush(&ctx(SECOND)).await.unwrap_err();
    assert_says("flush", &error, &["1 message", "\"t\"", &advertised, "cannot be resolved"]);
    let error = producer.close(&ctx(SECOND)).await.unwrap_err();
    assert_says("close", &error, &["1 message", "\"t\"", &advertised, "cannot be resolved"]);
}

#[tokio::test(start_paused = true)]
async fn whatever_times_out_under_a_frozen_broker_names_it_and_since_when_it_is_silent() {
    let cluster = one().await;
    let broker = address(&cluster);
    let buffer = BufferConfig::default().max_bytes(1 << 20).max_wait(2 * SECOND);
    let timeouts = TimeoutConfig::default().delivery(20 * SECOND).request(15 * SECOND);
    let producer = warm(&cluster, config(&cluster).topic("t").buffer(buffer).timeouts(timeouts)).await;
    cluster.black_hole(0);
    let words = [broker.as_str(), "has not answered for"];
    for seconds in 1..=5 {
        let error = producer.send(&ctx(seconds * SECOND), message()).await.unwrap_err();
        assert_eq!((error.kind(), error.broker()), (ErrorKind::DeadlineExceeded, Some(broker.as_str())));
        assert_says(&format!("send, {seconds} s"), &error, &words);
    }
    let receipt = producer.enqueue(&Context::background(), message()).await.unwrap();
    let error = receipt.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeliveryTimeout);
    assert_says("delivery timeout", &error, &[&broker, "timeouts.delivery"]);
    assert_says(
        "flush",
        &{
            drop(producer.enqueue(&Context::background(), message()).await.unwrap());
            producer.flush(&ctx(SECOND)).await.unwrap_err()
        },
        &[&broker, "\"t\"", "1 message"],
    );
    let error = producer.send(&ctx(2 * SECOND), Message::new("v").to("another")).await.unwrap_err();
    assert_says("metadata", &error, &["\"another\"", &broker]);
    for _ in 0..30 {
        if let Err(error) = producer.enqueue(&ctx(3 * SECOND), Message::new(vec![0; 100_000]).to("t")).await {
            assert_eq!(error.kind(), ErrorKind::BufferFull);
            assert_says("buffer", &error, &["buffer.max_bytes", &broker]);
            break;
        }
    }
    let error = producer.try_enqueue(Message::new(vec![0; 900_000]).to("t")).unwrap_err();
    assert_says("try_enqueue", &error, &["buffer.max_bytes", &broker]);
    let error = producer.health(&ctx(SECOND)).await.unwrap_err();
    assert_says("health", &error, &[&broker]);
    let error = producer.close(&ctx(SECOND / 2)).await.unwrap_err();
    assert_says("close", &error, &[&broker, "\"t\""]);
    let error = Producer::connect(&ctx(4 * SECOND), config(&cluster)).await.unwrap_err();
    assert_says("connect", &error, &[&broker]);
}

#[tokio::test(start_paused = true)]
async fn a_send_that_waits_for_something_else_says_for_what() {
    // No leader.
    let cluster = FakeCluster::builder().brokers(2).topic("t", 1).start().await.unwrap();
    let producer = warm(&cluster, config(&cluster).topic("t")).await;
    cluster.remove_leader("t", 0);
    let error = producer.send(&ctx(3 * SECOND), message()).await.unwrap_err();
    assert_says("no leader", &error, &["has had no leader for", "partition 0"]);
    // Too few replicas.
    let cluster = one().await;
    let producer = warm(&cluster, config(&cluster).topic("t")).await;
    cluster.inject(Rule::on(Api::Produce).always(), Fault::Error(19));
    let error = producer.send(&ctx(3 * SECOND), message()).await.unwrap_err();
    assert_says("replicas", &error, &["NOT_ENOUGH_REPLICAS", "\"t\""]);
    assert_eq!(error.topic(), Some("t"));
    // An open breaker, waited for and not.
    for when_open in [OpenCircuit::Wait, OpenCircuit::FailFast] {
        let cluster = one().await;
        let broker = address(&cluster);
        let breaker = CircuitBreakerConfig::default().consecutive_failures(1).when_open(when_open);
        let producer = warm(&cluster, config(&cluster).topic("t").circuit_breaker(breaker)).await;
        cluster.stop(0).await;
        let error = producer.send(&ctx(3 * SECOND), message()).await.unwrap_err();
        assert_says("breaker", &error, &["circuit breaker"]);
        assert!(chain(&error).concat().contains(&broker), "{error:?}");
        let error = producer.health(&ctx(SECOND)).await.unwrap_err();
        assert_says("health with an open breaker", &error, &["circuit breaker"]);
    }
    // A throttled producer.
    let cluster = one().await;
    let producer = warm(&cluster, config(&cluster).topic("t")).await;
    cluster.inject(Rule::on(Api::Produce), Fault::Throttle(30 * SECOND));
    producer.send(&ctx(10 * SECOND), message()).await.unwrap();
    let error = producer.send(&ctx(3 * SECOND), message()).await.unwrap_err();
    assert_says("throttle", &error, &["throttles this producer", &address(&cluster)]);
    // The rate limit.
    let cluster = one().await;
    let rate = RateLimitConfig::default().records_per_second(Some(1.0));
    let producer = warm(&cluster, config(&cluster).topic("t").rate_limit(rate)).await;
    let mut last = None;
    for _ in 0..20 {
        last = producer.send(&ctx(SECOND / 4), message()).await.err().or(last);
    }
    assert_says("rate limit", &last.unwrap(), &["rate_limit"]);
    // No producer id.
    let cluster = one().await;
    cluster.inject(Rule::on(Api::InitProducerId).always(), Fault::Error(15));
    let producer = Producer::connect(&ctx(10 * SECOND), config(&cluster).topic("t")).await.unwrap();
    let error = producer.send(&ctx(3 * SECOND), message()).await.unwrap_err();
    assert_says("producer id", &error, &["producer id", "COORDINATOR_NOT_AVAILABLE"]);
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_fails_says_why_and_names_the_broker_once() {
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let error = Producer::connect(&ctx(3 * SECOND), ProducerConfig::new([&gone])).await.unwrap_err();
    assert_says("refused", &error, &[&gone, "refused"]);
    let text = format!("{error:?}");
    assert_eq!(text.matches("refused").count(), 1, "{text}");
    let list: Vec<_> = (1..60).map(|port| format!("127.0.0.1:{port}")).collect();
    let error = Producer::connect(&ctx(3 * SECOND), ProducerConfig::new(list)).await.unwrap_err();
    assert_says("many refused", &error, &["127.0.0.1", "more"]);
    let error =
        Producer::connect(&ctx(3 * SECOND), ProducerConfig::new(["nowhere.invalid:9092"])).await.unwrap_err();
    assert_says("unknown host", &error, &["nowhere.invalid:9092", "cannot be resolved"]);
    let cluster = one().await;
    cluster.black_hole(0);
    let error = Producer::connect(&ctx(SECOND), config(&cluster)).await.unwrap_err();
    assert_says("silent", &error, &[&address(&cluster)]);
    let cluster = one().await;
    let error = Producer::connect(&ctx(3 * SECOND), config(&cluster).topic("absent")).await.unwrap_err();
    assert_says("no topic", &error, &["\"absent\""]);
    let cluster =
        FakeCluster::builder().sasl(Sasl::new(&Mechanism::ALL)).topic("t", 1).start().await.unwrap();
    let sasl = SaslConfig::plain(USER, SECRET).allow_plaintext(true);
    let error = Producer::connect(&ctx(3 * SECOND), config(&cluster).sasl(sasl)).await.unwrap_err();
    assert_says("wrong password", &error, &["cannot log in at", &address(&cluster)]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_login_is_final_only_because_the_listener_says_so_when_asked() {
    let cluster =
        FakeCluster::builder().sasl(Sasl::new(&Mechanism::ALL)).topic("t", 1).start().await.unwrap();
    let started = tokio::time::Instant::now();
    let error = Producer::connect(&ctx(30 * SECOND), config(&cluster)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert!(started.elapsed() < SECOND, "{:?}", started.elapsed());
    assert_says("no login", &error, &[&address(&cluster), "sasl is not set", "SCRAM-SHA-512"]);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_ends_connections_early_is_tried_until_the_context_ends() {
    let cluster = one().await;
    cluster.inject(Rule::on(Api::Metadata).always(), Fault::Disconnect);
    let started = tokio::time::Instant::now();
    let error = Producer::connect(&ctx(4 * SECOND), config(&cluster)).await.unwrap_err();
    assert!(started.elapsed() >= 4 * SECOND, "{:?}", started.elapsed());
    assert_eq!(error.code(), rskafka_producer::ErrorCode::BrokersUnavailable);
    assert_says("closed at the first request", &error, &[&address(&cluster), "sasl is not set"]);
    let config = config(&cluster);
    let connecting = tokio::spawn(async move { Producer::connect(&ctx(30 * SECOND), config).await });
    tokio::time::sleep(3 * SECOND).await;
    cluster.heal();
    connecting.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_http_503_of_a_proxy_during_startup_is_tried_until_the_broker_is_there() {
    let cluster = one().await;
    let back = cluster.address(0);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        for turn in 0.. {
            let (mut near, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                if turn < 5 {
                    _ = near.read(&mut [0; 64]).await;
                    _ = near.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").await;
                } else {
                    let mut far = TcpStream::connect(back).await.unwrap();
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                }
            });
        }
    });
    Producer::connect(&ctx(30 * SECOND), ProducerConfig::new([front])).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_the_cluster_does_not_create_ends_the_wait_after_a_few_tries() {
    let cluster = one().await;
    let config = config(&cluster).allow_auto_create_topics(true);
    let producer = Producer::new(config.clone()).unwrap();
    let started = tokio::time::Instant::now();
    let error = producer.send(&ctx(20 * SECOND), Message::new("v").to("auto")).await.unwrap_err();
    assert!(started.elapsed() < 5 * SECOND, "{:?}", started.elapsed());
    assert_eq!((error.kind(), error.topic()), (ErrorKind::UnknownTopic, Some("auto")));
    assert_says("not created", &error, &["did not create topic \"auto\"", "auto.create.topics.enable"]);
    let error = Producer::connect(&ctx(20 * SECOND), config.topic("auto")).await.unwrap_err();
    assert_says("not created at connect", &error, &["did not create topic \"auto\""]);
    assert!(!error.to_string().contains("no broker"), "{error}");
    // Where it does, no answer that comes late is taken for a refusal.
    let cluster = FakeCluster::builder().auto_create(1).start().await.unwrap();
    cluster.inject(Rule::on(Api::Metadata).topic("auto").times(6), Fault::Error(3));
    let config = ProducerConfig::new(cluster.bootstrap()).allow_auto_create_topics(true);
    let producer = Producer::new(config).unwrap();
    producer.send(&ctx(20 * SECOND), Message::new("v").to("auto")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_broker_error_about_a_topic_names_it() {
    for code in -1..=103 {
        let cluster = one().await;
        let retry = rskafka_producer::RetryConfig::default().max_attempts(Some(2));
        let producer = warm(&cluster, config(&cluster).topic("t").retry(retry)).await;
        cluster.inject(Rule::on(Api::Produce).always(), Fault::Error(code));
        let Err(error) = producer.send(&ctx(5 * SECOND), message()).await else {
            continue;
        };
        assert_eq!((error.topic(), error.partition()), (Some("t"), Some(0)), "{code}: {error:?}");
        assert_says(&format!("produce, {code}"), &error, &["\"t\""]);
        let cluster = one().await;
        cluster.inject(Rule::on(Api::Metadata).topic("t").always(), Fault::Error(code));
        let producer = Producer::new(config(&cluster)).unwrap();
        if let Err(error) = producer.send(&ctx(SECOND), message()).await {
            assert_eq!(error.topic(), Some("t"), "{code}: {error:?}");
            assert_says(&format!("metadata, {code}"), &error, &["\"t\""]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_before_it_is_sent_says_what_to_change() {
    let cluster = one().await;
    let batch = BatchConfig::default();
    let producer = warm(&cluster, config(&cluster).batch(batch)).await;
    let limit = ctx(3 * SECOND);
    let cases = [
        (Message::new("v"), "default topic"),
        (Message::new("v").to("no/name"), "no/name"),
        (Message::new("v").to("t").partition(7), "partition 7"),
        (Message::new(vec![0; 3 << 20]).to("t"), "batch.max_request_bytes"),
    ];
    for (message, word) in cases {
        let error = producer.send(&limit, message.clone()).await.unwrap_err();
        assert_says(word, &error, &[word]);
        assert_says(word, &producer.try_enqueue(message).unwrap_err(), &[word]);
    }
    let error = producer.send(&ctx(Duration::ZERO), message()).await.unwrap_err();
    assert_says("no time", &error, &["before the call"]);
    let share = BulkheadConfig::default().topic_share(0.1);
    let small = config(&cluster)
        .batch(BatchConfig::default().max_bytes(100_000))
        .buffer(BufferConfig::default().max_bytes(2 << 20))
        .bulkhead(share);
    let producer = warm(&cluster, small).await;
    let error = producer.send(&limit, Message::new(vec![0; 500_000]).to("t")).await.unwrap_err();
    assert_says("share", &error, &["bulkhead.topic_share"]);
    producer.close(&limit).await.unwrap();
    assert_says("closed", &producer.send(&limit, message()).await.unwrap_err(), &["closed"]);
}
