//! What a user gets wrong: one clear sentence each, at once, and no storm of attempts.

use std::time::{Duration, Instant};

use kafka_testbed::{JvmCluster, Listener, Mechanism, PASSWORD, USER};
use rskafka_producer::{ErrorCode, ErrorKind, Fate, Pem, Producer, ProducerConfig, SaslConfig, TlsConfig};

use crate::overheard::Overheard;
use crate::{TURN, ca, fitting, identity, limit, providers, sasl};

const QUICK: Duration = Duration::from_secs(1);

struct Case {
    name: &'static str,
    listener: Listener,
    config: ProducerConfig,
    kind: ErrorKind,
    words: &'static [&'static str],
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mismatch_is_reported_within_a_second_by_one_clear_sentence() {
    if !JvmCluster::available_or_skip("each_mismatch_is_reported_within_a_second_by_one_clear_sentence") {
        return;
    }
    let _turn = TURN.lock().await;
    let cluster = JvmCluster::builder()
        .secured()
        .proxied()
        .mechanisms(Listener::SaslMutualTls, &[Mechanism::ScramSha512])
        .start()
        .await
        .unwrap();
    let overheard = Overheard::default();
    for case in cases(&cluster) {
        let before = cluster.proxy_at(case.listener, 1).traffic();
        let started = Instant::now();
        // A peer that only closes the connection is tried until the context ends; what one says is final.
        let is_final = case.kind != ErrorKind::Unreachable;
        let ctx = if is_final { limit() } else { limit().with_timeout(3 * QUICK) };
        let result = Producer::connect(&ctx, overheard.listen(case.config)).await;
        let took = started.elapsed();
        let error = result.err().unwrap_or_else(|| panic!("{}: no error", case.name));
        let connections = cluster.proxy_at(case.listener, 1).traffic().accepted - before.accepted;
        eprintln!("{} ({took:.1?}, {connections} connections)\n    {error}", case.name);
        overheard.note_error(&error);
        // What a wrong configuration causes is a wrong configuration; what is not Kafka at all may come back as Kafka.
        let code = match case.kind {
            ErrorKind::Protocol | ErrorKind::Unreachable => ErrorCode::BrokersUnavailable,
            _ => ErrorCode::InvalidConfig,
        };
        assert_eq!((error.kind(), error.code()), (case.kind, code), "{}: {error:?}", case.name);
        assert_eq!(error.fate(), Fate::NotPersisted);
        for word in case.words {
            assert!(error.to_string().contains(word), "{}: {word:?} is missing: {error}", case.name);
        }
        let longest = if is_final { QUICK } else { 4 * QUICK };
        assert!(took <= longest, "{}: {took:?}", case.name);
        assert!(connections <= if is_final { 3 } else { 15 }, "{}: {connections} connections", case.name);
    }
    overheard.no_secret_of(&cluster);
}

fn cases(cluster: &JvmCluster) -> Vec<Case> {
    let (_, provider) = providers().remove(0);
    let tls = || TlsConfig::default().ca(ca(cluster)).provider(provider.clone());
    let at = |listener| ProducerConfig::new(cluster.bootstrap_at(listener));
    let fitting = |listener, mechanism| fitting(cluster, listener, mechanism, Some(&provider));
    let foreign = || {
        TlsConfig::default()
            .provider(provider.clone())
            .ca(Pem::text(cluster.certificates().unwrap().foreign_ca_pem()))
    };
    let case = |name, listener, config, kind, words| Case { name, listener, config, kind, words };
    let mut cases = vec![
        case(
            "TLS to a plaintext port",
            Listener::Plaintext,
            at(Listener::Plaintext).tls(tls()),
            ErrorKind::Unreachable,
            &["plaintext listener?"],
        ),
        case(
            "plaintext to a TLS port",
            Listener::Ssl,
            at(Listener::Ssl),
            ErrorKind::Protocol,
            &["speaks TLS", "is TLS missing"],
        ),
        case(
            "no login where one is wanted",
            Listener::SaslPlaintext,
            at(Listener::SaslPlaintext),
            ErrorKind::Authentication,
            &["sasl is not set"],
        ),
        case(
            "no login where one is wanted, by TLS",
            Listener::SaslSsl,
            at(Listener::SaslSsl).tls(tls()),
            ErrorKind::Authentication,
            &["sasl is not set"],
        ),
        case(
            "a login where none is wanted",
            Listener::Plaintext,
            at(Listener::Plaintext).sasl(sasl(Mechanism::ScramSha256, USER, PASSWORD)),
            ErrorKind::Authentication,
            &["asks for no login"],
        ),
        case(
            "a mechanism that is not offered",
            Listener::SaslMutualTls,
            fitting(Listener::SaslMutualTls, Some(Mechanism::Plain)),
            ErrorKind::Authentication,
            &["does not offer", "it offers SCRAM-SHA-512"],
        ),
        case(
            "an authority that is not trusted",
            Listener::Ssl,
            at(Listener::Ssl).tls(foreign()),
            ErrorKind::Tls,
            &["not trusted", "TlsConfig::ca"],
        ),
        case(
            "an expired certificate",
            Listener::ExpiredCertificate,
            at(Listener::ExpiredCertificate).tls(tls()),
            ErrorKind::Tls,
            &["has expired"],
        ),
        case(
            "a certificate of another host",
            Listener::WrongHostCertificate,
            at(Listener::WrongHostCertificate).tls(tls()),
            ErrorKind::Tls,
            &["another host", "elsewhere.example", "server_name"],
        ),
        case(
            "no client certificate",
            Listener::MutualTls,
            at(Listener::MutualTls).tls(tls()),
            ErrorKind::Tls,
            &["client certificate", "TlsConfig::identity"],
        ),
        case(
            "a foreign client certificate",
            Listener::MutualTls,
            at(Listener::MutualTls).tls(identity(cluster, tls(), "foreign-client")),
            ErrorKind::Tls,
            &["client certificate"],
        ),
        case(
            "a file that is not there",
            Listener::Ssl,
            at(Listener::Ssl)
                .tls(TlsConfig::default().provider(provider.clone()).ca(Pem::file("/nowhere/ca.pem"))),
            ErrorKind::InvalidConfig,
            &["/nowhere/ca.pem"],
        ),
    ];
    for mechanism in Mechanism::ALL {
        let name = match mechanism {
            Mechanism::Plain => "a wrong password, PLAIN",
            Mechanism::ScramSha256 => "a wrong password, SCRAM-SHA-256",
            Mechanism::ScramSha512 => "a wrong password, SCRAM-SHA-512",
            _ => "a wrong token",
        };
        let config = fitting(Listener::SaslSsl, None).sasl(sasl(mechanism, USER, "not-the-password"));
        cases.push(case(name, Listener::SaslSsl, config, ErrorKind::Authentication, &["cannot log in at"]));
    }
    let unknown =
        fitting(Listener::SaslSsl, None).sasl(SaslConfig::scram_sha_512("nobody", "not-the-password"));
    cases.push(case(
        "an unknown user",
        Listener::SaslSsl,
        unknown,
        ErrorKind::Authentication,
        &["cannot log in at"],
    ));
    cases
}
