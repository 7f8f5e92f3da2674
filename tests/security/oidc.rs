//! Tokens of an identity server: on a real Kafka that validates them against the server's keys, and what is said where
//! there are none.

use std::time::{Duration, Instant};

use kafka_testbed::{FakeCluster, IdentityServer, JvmCluster, Listener, Mechanism, PASSWORD, Sasl, USER};
use rskafka_producer::{
    ClientAssertion, Context, ErrorKind, Message, Oidc, Pem, Producer, ProducerConfig, SaslConfig,
};

use crate::load::renewed_under_load;
use crate::overheard::Overheard;
use crate::renewal::LASTS;
use crate::words::one_line;
use crate::{TURN, fitting, limit, providers};

/// How every token of the identity server begins.
const TOKEN: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6Im9uZSJ9";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_tokens_of_ten_seconds_are_renewed_without_a_reconnect() {
    if !JvmCluster::available_or_skip("under_load_tokens_of_ten_seconds_are_renewed_without_a_reconnect") {
        return;
    }
    let _turn = TURN.lock().await;
    let server = IdentityServer::start().await.unwrap();
    server.set_lifetime(Duration::from_secs(10));
    let cluster = JvmCluster::builder()
        .identity_server(&server)
        .proxied()
        .config("connections.max.reauth.ms", "10000")
        .start()
        .await
        .unwrap();
    let (_, provider) = providers().remove(0);
    let overheard = Overheard::default();
    let key = Pem::text(server.client_key_pem().unwrap());
    let assertion =
        ClientAssertion::signed(key).issuer("orders").subject("orders").audience("idp").unique_id(true);
    let settings = [
        ("sasl.mechanism", "OAUTHBEARER"),
        ("sasl.oauthbearer.token.endpoint.url", &server.token_endpoint()),
        ("sasl.oauthbearer.client.credentials.client.id", USER),
        ("sasl.oauthbearer.client.credentials.client.secret", PASSWORD),
        ("sasl.oauthbearer.extensions", "logicalCluster=lkc-1"),
    ];
    let loads = [
        (
            "secret",
            Listener::SaslSsl,
            fitting(&cluster, Listener::SaslSsl, None, Some(&provider)).with_properties(settings).unwrap(),
        ),
        (
            "assertion",
            Listener::SaslMutualTls,
            fitting(&cluster, Listener::SaslMutualTls, None, Some(&provider))
                .sasl(SaslConfig::oidc(Oidc::client_assertion(server.token_endpoint(), assertion))),
        ),
    ];
    let loads = loads.map(|(topic, listener, config)| (topic, listener, overheard.listen(config)));
    renewed_under_load(&cluster, LASTS, loads).await;
    // A minute has seven times eight seconds, for each of the two.
    let requests = server.requests();
    eprintln!("{} tokens", requests.len());
    assert!((12..=20).contains(&requests.len()), "{}", requests.len());
    overheard.holds_none_of(&[TOKEN, PASSWORD, &requests[0].authorization.clone().unwrap_or_default()]);
    // What the broker says of a token that it does not accept.
    let other = IdentityServer::start().await.unwrap();
    let foreign = Oidc::client_credentials(other.token_endpoint(), USER, PASSWORD);
    let config = fitting(&cluster, Listener::SaslSsl, None, Some(&provider)).sasl(SaslConfig::oidc(foreign));
    let error = Producer::connect(&limit(), config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    assert!(one_line(&error).contains("do the brokers trust this identity server"), "{error}");
    assert!(!format!("{error} {error:?}").contains(TOKEN), "{error}");
}

/// A cluster whose logins are never reached.
async fn fake() -> FakeCluster {
    let sasl = Sasl::new(&[Mechanism::OAuthBearer]);
    FakeCluster::builder().brokers(1).topic("t", 1).sasl(sasl).start().await.unwrap()
}

fn config(cluster: &FakeCluster, oidc: Oidc) -> ProducerConfig {
    ProducerConfig::new(cluster.bootstrap()).topic("t").sasl(SaslConfig::oidc(oidc).allow_plaintext(true))
}

#[tokio::test]
async fn a_wrong_secret_is_reported_at_once_and_in_the_servers_words() {
    let (cluster, server) = (fake().await, IdentityServer::start().await.unwrap());
    let overheard = Overheard::default();
    let oidc = Oidc::client_credentials(server.token_endpoint(), USER, "not-the-password");
    let config = overheard.listen(config(&cluster, oidc));
    let begun = Instant::now();
    let error = Producer::connect(&limit(), config.clone()).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(10), "it waited for its context");
    overheard.note_error(&error);
    assert_eq!(error.kind(), ErrorKind::Authentication);
    let text = one_line(&error);
    for part in [server.token_endpoint().as_str(), "invalid_client", "wrong client id or secret"] {
        assert_eq!(text.matches(part).count(), 1, "{text}");
    }
    // A producer that goes on reports it with each message, and the server is not asked each time.
    let producer = Producer::new(config).unwrap();
    let asked = server.requests().len();
    for _ in 0..100 {
        let error = producer.send(&limit(), Message::new("a")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    }
    let requests = server.requests().len() - asked;
    assert!(requests <= 2, "{requests} requests in {:?}", begun.elapsed());
    overheard.holds_none_of(&["not-the-password", &server.requests()[0].authorization.clone().unwrap()]);
}

#[tokio::test]
async fn a_server_that_is_down_or_silent_is_named_within_the_context() {
    let cluster = fake().await;
    let server = IdentityServer::start().await.unwrap();
    server.set_delay(Duration::from_secs(60));
    let down = "http://127.0.0.1:1/token".to_owned();
    for (url, wait, expected) in
        [(down, 2, "no connection"), (server.token_endpoint(), 4, "no answer within")]
    {
        let oidc = Oidc::client_credentials(&url, USER, PASSWORD);
        let mut config = config(&cluster, oidc);
        config.timeouts.connect = Duration::from_secs(2);
        let begun = Instant::now();
        let error =
            Producer::connect(&Context::timeout(Duration::from_secs(wait)), config).await.unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(wait + 2), "{:?}", begun.elapsed());
        let text = one_line(&error);
        assert!(text.contains(&url) && text.contains(expected), "{text}");
        assert!(!text.contains(PASSWORD), "{text}");
    }
}
