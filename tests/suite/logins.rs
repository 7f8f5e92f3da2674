//! Logins on a cluster in this process: sessions that end, credentials that change or are wrong, and what becomes of
//! messages meanwhile. What only a real Kafka can show is in `tests/security`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use kafka_testbed::{Api, FakeCluster, Fault, Mechanism, PASSWORD, Rule, Sasl, USER, unsecured_token};
use parking_lot::Mutex;
use rskafka_producer::{
    Context, Credentials, CredentialsProvider, ErrorCode, ErrorKind, Fate, Message, Producer, ProducerConfig,
    ProviderError, SaslConfig, SaslMechanism, Token,
};
use tokio::time::Instant;

use crate::support::{SECOND, assert_numbers_in_order, minute};

async fn cluster(sasl: Sasl) -> FakeCluster {
    let cluster = FakeCluster::builder().brokers(1).sasl(sasl).start().await.unwrap();
    cluster.create_topic("t", 1);
    cluster
}

fn config(cluster: &FakeCluster, sasl: SaslConfig) -> ProducerConfig {
    ProducerConfig::new(cluster.bootstrap()).topic("t").sasl(sasl.allow_plaintext(true))
}

fn number(n: usize) -> Message {
    Message::new(n.to_string())
}

fn every_mechanism() -> [SaslConfig; 4] {
    [
        SaslConfig::plain(USER, PASSWORD),
        SaslConfig::scram_sha_256(USER, PASSWORD),
        SaslConfig::scram_sha_512(USER, PASSWORD),
        SaslConfig::oauth_bearer(|| async { Ok(Token::new(unsecured_token(USER, 3_600 * SECOND))) }),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_password_that_ends_in_a_line_break_is_refused_with_a_hint() {
    let cluster = cluster(Sasl::new(&Mechanism::ALL)).await;
    for (password, hint) in [(format!("{PASSWORD}\n"), true), (format!("{PASSWORD}x"), false)] {
        for sasl in [SaslConfig::plain(USER, &*password), SaslConfig::scram_sha_256(USER, &*password)] {
            let error = Producer::connect(&minute(), config(&cluster, sasl)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
            assert_eq!(error.to_string().contains("ends in white space"), hint, "{error}");
            assert!(!error.to_string().contains(PASSWORD), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_is_renewed_before_it_ends_with_requests_in_flight_and_in_order() {
    for sasl in every_mechanism() {
        let mechanism = sasl.mechanism();
        let cluster = cluster(Sasl::new(&Mechanism::ALL).session_lifetime(10 * SECOND)).await;
        // Slow enough that a login always meets requests in flight.
        cluster.inject(Rule::on(Api::Produce).always(), Fault::Delay(Duration::from_millis(300)));
        let producer = Producer::connect(&minute(), config(&cluster, sasl)).await.unwrap();
        let started = Instant::now();
        let mut receipts = Vec::new();
        while started.elapsed() < 60 * SECOND {
            receipts.push(producer.enqueue(&minute(), number(receipts.len())).await.unwrap());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let sent = receipts.len();
        for receipt in receipts {
            assert_eq!(receipt.await.unwrap().attempts(), 1, "{mechanism}");
        }
        assert_numbers_in_order(&cluster.all_records("t"), sent);
        assert_eq!(cluster.connections_accepted(0), 1, "{mechanism}: nothing was connected again");
        let logins = cluster.authentications();
        assert!((6..=8).contains(&logins.repeated), "{mechanism}: {logins:?}");
        assert_eq!(logins.failed, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_producer_lets_its_session_end_and_renews_it_at_the_next_message() {
    let cluster = cluster(Sasl::new(&Mechanism::ALL).session_lifetime(60 * SECOND)).await;
    let sasl = SaslConfig::scram_sha_256(USER, PASSWORD);
    let producer = Producer::connect(&minute(), config(&cluster, sasl)).await.unwrap();
    producer.send(&minute(), number(0)).await.unwrap();
    tokio::time::sleep(100 * SECOND).await;
    assert_eq!(cluster.authentications().repeated, 0, "nothing wakes an idle producer");
    assert_eq!(producer.send(&minute(), number(1)).await.unwrap().attempts(), 1);
    assert_eq!(cluster.authentications().repeated, 1);
    assert_eq!(cluster.connections_accepted(0), 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ended_while_the_process_was_frozen_is_renewed_first() {
    let cluster = cluster(Sasl::new(&Mechanism::ALL).session_lifetime(60 * SECOND)).await;
    let slept = Arc::new(AtomicU64::new(0));
    let wall = slept.clone();
    let config = config(&cluster, SaslConfig::plain(USER, PASSWORD))
        .wall_clock(move || SystemTime::now() + Duration::from_secs(wall.load(Relaxed)));
    let producer = Producer::connect(&minute(), config).await.unwrap();
    producer.send(&minute(), number(0)).await.unwrap();
    // Past the session, not past `timeouts.idle`.
    slept.store(100, Relaxed);
    tokio::time::advance(2 * SECOND).await;
    producer.send(&minute(), number(1)).await.unwrap();
    assert_eq!(cluster.authentications().repeated, 1);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_reported_at_once_and_tried_at_most_every_five_seconds() {
    let cluster = cluster(Sasl::new(&Mechanism::ALL).failure_delay(Duration::from_millis(300))).await;
    let producer = Producer::new(config(&cluster, SaslConfig::scram_sha_512(USER, "guess"))).unwrap();
    let started = Instant::now();
    let mut tries = 0;
    while started.elapsed() < Duration::from_millis(4_900) {
        let error = producer.send(&minute(), number(0)).await.unwrap_err();
        assert_eq!(
            (error.code(), error.kind()),
            (ErrorCode::SendFailed, ErrorKind::Authentication),
            "{error}"
        );
        assert_eq!(error.fate(), Fate::NotPersisted);
        assert!(!format!("{error:?}").contains("guess"));
        tries += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(tries > 100, "{tries}");
    let logins = cluster.authentications();
    assert!(logins.attempts <= 2, "{logins:?} in five seconds");
}

/// A password that somebody changes.
#[derive(Default)]
struct Vault {
    password: Mutex<String>,
    asked: AtomicUsize,
}

struct FromVault(Arc<Vault>);

#[async_trait]
impl CredentialsProvider for FromVault {
    async fn credentials(&self, broker: &str) -> Result<Credentials, ProviderError> {
        assert!(broker.starts_with("127.0.0.1:"), "{broker}");
        self.0.asked.fetch_add(1, Relaxed);
        let password = self.0.password.lock().clone();
        if password.is_empty() {
            return Err("the vault is sealed".into());
        }
        Ok(Credentials::new("bob", password))
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotated_password_is_used_by_the_next_login() {
    let known = |password| Sasl::new(&Mechanism::ALL).user("bob", password).session_lifetime(60 * SECOND);
    let cluster = cluster(known("old")).await;
    let vault = Arc::new(Vault::default());
    "old".clone_into(&mut vault.password.lock());
    let sasl = SaslConfig::password(SaslMechanism::ScramSha256, FromVault(vault.clone()));
    let producer = Producer::connect(&minute(), config(&cluster, sasl)).await.unwrap();
    producer.send(&minute(), number(0)).await.unwrap();
    cluster.set_sasl(known("new"));
    "new".clone_into(&mut vault.password.lock());
    // The session stands; its renewal takes the new password, as does a new connection.
    producer.send(&minute(), number(1)).await.unwrap();
    tokio::time::sleep(55 * SECOND).await;
    producer.send(&minute(), number(2)).await.unwrap();
    cluster.cut_connections(0);
    producer.send(&minute(), number(3)).await.unwrap();
    assert_eq!(vault.asked.load(Relaxed), 3);
    assert_eq!(cluster.authentications().failed, 0);
    assert_numbers_in_order(&cluster.all_records("t"), 4);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_refused_fails_what_waited_for_it_and_nothing_that_was_sent() {
    let known = |password| Sasl::new(&Mechanism::ALL).user("bob", password).session_lifetime(60 * SECOND);
    let cluster = cluster(known("old")).await;
    let sasl = SaslConfig::plain("bob", "old");
    let producer = Producer::connect(&minute(), config(&cluster, sasl)).await.unwrap();
    producer.send(&minute(), number(0)).await.unwrap();
    cluster.set_sasl(known("new"));
    tokio::time::sleep(55 * SECOND).await;
    let error = producer.send(&minute(), number(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.fate()), (ErrorKind::Authentication, Fate::NotPersisted), "{error:?}");
    assert_numbers_in_order(&cluster.all_records("t"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_fails_is_asked_again_and_its_words_are_the_source() {
    let cluster = cluster(Sasl::new(&Mechanism::ALL).user("bob", "pw")).await;
    let vault = Arc::new(Vault::default());
    let sasl = SaslConfig::password(SaslMechanism::Plain, FromVault(vault.clone()));
    let config = config(&cluster, sasl);
    let error = Producer::connect(&Context::timeout(SECOND), config.clone()).await.unwrap_err();
    assert_eq!(
        (error.code(), error.kind()),
        (ErrorCode::BrokersUnavailable, ErrorKind::Unreachable),
        "{error}"
    );
    assert!(error.to_string().contains("their provider failed"), "{error}");
    let mut causes = std::iter::successors(std::error::Error::source(&error), |e| e.source());
    assert!(causes.any(|cause| cause.to_string() == "the vault is sealed"), "{error:?}");
    "pw".clone_into(&mut vault.password.lock());
    let producer = Producer::connect(&minute(), config).await.unwrap();
    producer.send(&minute(), number(0)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_login_that_breaks_or_hangs_is_tried_again() {
    for fault in [Fault::Disconnect, Fault::Silence, Fault::Disconnect.after_apply()] {
        for api in [Api::SaslHandshake, Api::SaslAuthenticate] {
            let cluster = cluster(Sasl::new(&Mechanism::ALL)).await;
            cluster.inject(Rule::on(api), fault.clone());
            let sasl = SaslConfig::scram_sha_256(USER, PASSWORD);
            let producer = Producer::new(config(&cluster, sasl).serverless()).unwrap();
            let sent = producer.send(&minute(), number(0)).await;
            assert!(sent.is_ok(), "{fault:?} at {api:?}: {sent:?}");
            assert_numbers_in_order(&cluster.all_records("t"), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_during_a_renewal_disturbs_nobody() {
    let cluster = cluster(Sasl::new(&Mechanism::ALL).session_lifetime(60 * SECOND)).await;
    let sasl = SaslConfig::scram_sha_256(USER, PASSWORD);
    let producer = Producer::connect(&minute(), config(&cluster, sasl)).await.unwrap();
    producer.send(&minute(), number(0)).await.unwrap();
    tokio::time::sleep(55 * SECOND).await;
    cluster.inject(Rule::on(Api::SaslAuthenticate), Fault::Delay(SECOND));
    // A probe begins the renewal, and is dropped in the middle of it.
    let probe = producer.health(&Context::timeout(Duration::from_millis(100))).await;
    assert_eq!(probe.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    assert_eq!(producer.send(&minute(), number(1)).await.unwrap().attempts(), 1);
    assert_eq!(cluster.connections_accepted(0), 1);
    assert_numbers_in_order(&cluster.all_records("t"), 2);
}

#[test]
fn a_secret_without_tls_needs_explicit_consent() {
    let config = ProducerConfig::new(["kafka:9092"]);
    for sasl in [SaslConfig::plain(USER, PASSWORD), every_mechanism()[3].clone()] {
        let error = config.clone().sasl(sasl.clone()).validate().unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfig);
        assert!(error.to_string().contains("allow_plaintext"), "{error}");
        config.clone().sasl(sasl.allow_plaintext(true)).validate().unwrap();
    }
    config.clone().sasl(SaslConfig::scram_sha_256(USER, PASSWORD)).validate().unwrap();
    let mixed = SaslConfig::password(SaslMechanism::OauthBearer, Credentials::new(USER, PASSWORD));
    assert!(config.sasl(mixed.allow_plaintext(true)).validate().is_err());
}

/// Keeps its thread busy as often as requested.
struct Busy(Arc<AtomicUsize>);

#[async_trait]
impl CredentialsProvider for Busy {
    async fn credentials(&self, _: &str) -> Result<Credentials, ProviderError> {
        if self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
            std::thread::sleep(3 * SECOND);
        }
        Ok(Credentials::new(USER, PASSWORD))
    }
}

/// The broker's task is replaced meanwhile; the batch that it held is sent by its successor.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_login_that_keeps_a_thread_busy_strands_no_message() {
    let cluster = cluster(Sasl::new(&Mechanism::ALL)).await;
    let blocks = Arc::new(AtomicUsize::new(0));
    let sasl = SaslConfig::password(SaslMechanism::Plain, Busy(blocks.clone()));
    let producer = Producer::connect(&minute(), config(&cluster, sasl)).await.unwrap();
    producer.send(&minute(), number(0)).await.unwrap();
    blocks.store(1, Relaxed);
    cluster.cut_connections(0);
    cluster.wait_until(|cluster| cluster.connections_open(0) == 0).await;
    let started = Instant::now();
    producer.send(&minute(), number(1)).await.unwrap();
    producer.send(&minute(), number(2)).await.unwrap();
    assert!(started.elapsed() < 30 * SECOND, "{:?}", started.elapsed());
    assert_numbers_in_order(&cluster.all_records("t"), 3);
    producer.close(&minute()).await.unwrap();
}
