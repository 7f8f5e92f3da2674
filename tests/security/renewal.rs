//! Sessions that end are renewed under load, on the connections that stand (KIP-368).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use kafka_testbed::{JvmCluster, Listener, Mechanism, USER, unsecured_token};
use rskafka_producer::{SaslConfig, Token};

use crate::load::renewed_under_load;
use crate::{TURN, fitting, providers};

pub(crate) const LASTS: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_sessions_of_ten_seconds_are_renewed_without_a_reconnect() {
    if !JvmCluster::available_or_skip("under_load_sessions_of_ten_seconds_are_renewed_without_a_reconnect") {
        return;
    }
    let _turn = TURN.lock().await;
    let cluster = JvmCluster::builder()
        .secured()
        .proxied()
        .config("connections.max.reauth.ms", "10000")
        .start()
        .await
        .unwrap();
    let (_, provider) = providers().remove(0);
    let fitting = |listener, mechanism| fitting(&cluster, listener, mechanism, Some(&provider));
    // A token that lasts as long as the others' sessions.
    let tokens = AtomicU64::new(0);
    let tokens: &'static AtomicU64 = Box::leak(Box::new(tokens));
    let bearer = SaslConfig::oauth_bearer(move || async move {
        tokens.fetch_add(1, Relaxed);
        Ok(Token::new(unsecured_token(USER, Duration::from_secs(10))))
    });
    let loads = [
        ("scram", Listener::SaslSsl, fitting(Listener::SaslSsl, Some(Mechanism::ScramSha512))),
        ("plain", Listener::SaslMutualTls, fitting(Listener::SaslMutualTls, Some(Mechanism::Plain))),
        (
            "bearer",
            Listener::SaslPlaintext,
            fitting(Listener::SaslPlaintext, None).sasl(bearer.allow_plaintext(true)),
        ),
    ];
    renewed_under_load(&cluster, LASTS, loads).await;
    assert!(tokens.load(Relaxed) >= 6, "the token was requested {} times", tokens.load(Relaxed));
}
