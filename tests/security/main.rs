//! TLS and SASL on a real Apache Kafka: what goes through, what is refused and in which words, and that no secret is
//! ever seen.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod curves;
mod folder;
mod formats;
mod load;
mod matrix;
mod mismatches;
#[cfg(feature = "aws-msk-iam")]
mod msk_iam;
#[cfg(feature = "oidc")]
mod oidc;
mod overheard;
mod renewal;
mod rotation;
mod round_trips;
mod tls12;
mod words;

use std::sync::Arc;
use std::time::Duration;

use kafka_testbed::{JvmCluster, Listener, Mechanism, PASSWORD, USER, unsecured_token};
use rskafka_producer::{Context, Pem, ProducerConfig, SaslConfig, TlsConfig, Token};
use rustls::crypto::CryptoProvider;

/// Real clusters take turns.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn limit() -> Context {
    Context::timeout(Duration::from_secs(30))
}

/// Every cryptography of this build that this processor can run.
fn providers() -> Vec<(&'static str, Arc<CryptoProvider>)> {
    let mut found = Vec::new();
    #[cfg(feature = "tls-graviola")]
    if let Ok(provider) = std::panic::catch_unwind(rustls_graviola::default_provider) {
        found.push(("graviola", Arc::new(provider)));
    }
    #[cfg(feature = "tls-ring")]
    found.push(("ring", Arc::new(rustls::crypto::ring::default_provider())));
    found
}

fn ca(cluster: &JvmCluster) -> Pem {
    Pem::file(cluster.certificates_dir().join("ca.pem"))
}

fn identity(cluster: &JvmCluster, tls: TlsConfig, name: &str) -> TlsConfig {
    let file = |extension: &str| Pem::file(cluster.certificates_dir().join(format!("{name}.{extension}")));
    tls.identity(file("pem"), file("key"))
}

fn sasl(mechanism: Mechanism, user: &str, password: &str) -> SaslConfig {
    let (user, password) = (user.to_owned(), password.to_owned());
    match mechanism {
        Mechanism::Plain => SaslConfig::plain(user, password),
        Mechanism::ScramSha256 => SaslConfig::scram_sha_256(user, password),
        Mechanism::ScramSha512 => SaslConfig::scram_sha_512(user, password),
        // A token as good as the password: none at all where the password is wrong.
        _ => SaslConfig::oauth_bearer(move || {
            let token = match password == PASSWORD {
                true => unsecured_token(&user, Duration::from_secs(600)),
                false => "wrong.token.".to_owned(),
            };
            async move { Ok(Token::new(token)) }
        }),
    }
    .allow_plaintext(true)
}

/// What fits a listener; `None` without a login where it wants one.
fn fitting(
    cluster: &JvmCluster,
    listener: Listener,
    mechanism: Option<Mechanism>,
    provider: Option<&Arc<CryptoProvider>>,
) -> ProducerConfig {
    let mut config = ProducerConfig::new(cluster.bootstrap_at(listener));
    if let (true, Some(provider)) = (listener.has_tls(), provider) {
        let mut tls = TlsConfig::default().ca(ca(cluster)).provider(provider.clone());
        if listener.wants_certificate() {
            tls = identity(cluster, tls, "client");
        }
        config = config.tls(tls);
    }
    match mechanism {
        Some(mechanism) => config.sasl(sasl(mechanism, USER, PASSWORD)),
        None => config,
    }
}
