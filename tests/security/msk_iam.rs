//! Logins at Amazon MSK by IAM, on a real Kafka that computes the signatures again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use axum::http::StatusCode;
use kafka_testbed::{JvmCluster, Listener, Reader};
use rskafka_producer::{AwsCredentials, ErrorKind, MskIam, Producer, ProducerConfig, SaslConfig, TlsConfig};

use crate::load::renewed_under_load;
use crate::overheard::Overheard;
use crate::{TURN, ca, limit, providers};

const REGION: &str = "eu-central-1";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+permanent";
const TEMPORARY: &str = "wJalrXUtnFEMI/K7MDENG+temporary";
const SESSION: &str = "FwoGZXIvYXdzEJr//session+token==";
/// What every token begins with.
const TOKEN: &str = "aHR0cHM6Ly9rYWZrYS4";

async fn cluster() -> JvmCluster {
    let keys = [("AKIDPERMANENT", SECRET, None), ("ASIATEMPORARY", TEMPORARY, Some(SESSION))];
    let cluster = JvmCluster::builder().msk_iam(REGION, &keys).proxied();
    cluster.config("connections.max.reauth.ms", "10000").start().await.unwrap()
}

fn config(cluster: &JvmCluster, iam: MskIam) -> ProducerConfig {
    let (_, provider) = providers().remove(0);
    ProducerConfig::new(cluster.bootstrap_at(Listener::SaslSsl))
        .tls(TlsConfig::default().ca(ca(cluster)).provider(provider))
        .sasl(SaslConfig::msk_iam(iam))
}

fn variables(key: &str, secret: &str, more: &[(&str, &str)]) -> MskIam {
    let key = [("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", secret), ("AWS_REGION", REGION)];
    MskIam::new().variables(key.iter().chain(more).copied())
}

/// STS on this machine, which returns the temporary credentials for a role.
async fn sts() -> String {
    let end = humantime::format_rfc3339_seconds(SystemTime::now() + Duration::from_secs(3_600));
    let answer = format!(
        "<AssumeRoleResponse><Credentials><AccessKeyId>ASIATEMPORARY</AccessKeyId><SecretAccessKey>{TEMPORARY}</SecretAccessKey>\
         <SessionToken>{SESSION}</SessionToken><Expiration>{end}</Expiration></Credentials></AssumeRoleResponse>"
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = move |body: String| async move {
        match body.contains("Action=AssumeRole&") {
            true => (StatusCode::OK, answer),
            false => (StatusCode::BAD_REQUEST, String::new()),
        }
    };
    let app = axum::Router::new().route("/", axum::routing::post(asked));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_checks_signatures_takes_good_tokens_and_says_why_it_refuses_others() {
    if !JvmCluster::available_or_skip(
        "a_broker_that_checks_signatures_takes_good_tokens_and_says_why_it_refuses_others",
    ) {
        return;
    }
    let _turn = TURN.lock().await;
    let (cluster, sts) = (cluster().await, sts().await);
    let overheard = Overheard::default();
    let permanent = |more: &[(&str, &str)]| variables("AKIDPERMANENT", SECRET, more);
    for (topic, iam) in [
        ("permanent", permanent(&[])),
        ("temporary", variables("ASIATEMPORARY", TEMPORARY, &[("AWS_SESSION_TOKEN", SESSION)])),
        ("role", permanent(&[("AWS_ENDPOINT_URL_STS", &sts)]).assume_role("arn:aws:iam::1:role/orders")),
    ] {
        cluster.create_topic(topic, 1, &[]).await.unwrap();
        let config = overheard.listen(config(&cluster, iam)).topic(topic);
        let producer =
            Producer::connect(&limit(), config).await.unwrap_or_else(|error| panic!("{topic}: {error}"));
        producer.send_message(&limit(), "k", "v").await.unwrap();
        producer.close(&limit()).await.unwrap();
        assert_eq!(cluster.read(Reader::Java, topic).await.unwrap().len(), 1, "{topic}");
    }
    let in_twenty_minutes = || SystemTime::now() + Duration::from_secs(1_200);
    let policy = "check the AWS credentials, that the policy of their identity allows kafka-cluster:Connect";
    for (name, config, words) in [
        (
            "a wrong secret",
            config(&cluster, variables("AKIDPERMANENT", TEMPORARY, &[])),
            ["another signature", policy],
        ),
        ("an unknown key", config(&cluster, variables("AKIDOTHER", SECRET, &[])), ["not known", policy]),
        (
            "an old session token",
            config(&cluster, variables("ASIATEMPORARY", TEMPORARY, &[("AWS_SESSION_TOKEN", "old")])),
            ["another session token", policy],
        ),
        (
            "a wrong region",
            config(&cluster, permanent(&[]).region("eu-west-1")),
            ["another region", "is in eu-west-1"],
        ),
        (
            "a clock that is ahead",
            config(&cluster, permanent(&[])).wall_clock(in_twenty_minutes),
            ["signed at another time", "the clock of this machine"],
        ),
        (
            "no credentials",
            config(&cluster, MskIam::new().region(REGION).variables([("AWS_PROFILE", "none")])),
            ["there is no AWS profile \"none\"", "cannot log in at MSK"],
        ),
    ] {
        let before = cluster.proxy_at(Listener::SaslSsl, 1).traffic().accepted;
        let started = Instant::now();
        let error = Producer::connect(&limit(), overheard.listen(config)).await.err();
        let error = error.unwrap_or_else(|| panic!("{name}: no error"));
        let connections = cluster.proxy_at(Listener::SaslSsl, 1).traffic().accepted - before;
        eprintln!("{name} ({:.1?}, {connections} connections)\n    {error}", started.elapsed());
        overheard.note_error(&error);
        assert_eq!(error.kind(), ErrorKind::Authentication, "{name}: {error:?}");
        assert!(words.iter().all(|words| error.to_string().contains(words)), "{name}: {error}");
        assert!(connections <= 2, "{name}: {connections} attempts");
        assert!(started.elapsed() < Duration::from_secs(5), "{name}: {:?}", started.elapsed());
    }
    overheard.holds_none_of(&[SECRET, TEMPORARY, SESSION, TOKEN]);
}

#[tokio::test]
async fn a_service_that_is_down_is_named_when_the_context_ends_and_asked_twice_in_five_seconds() {
    let asked = Arc::new(AtomicU32::new(0));
    let counted = asked.clone();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(move || async move {
        counted.fetch_add(1, Relaxed);
        StatusCode::SERVICE_UNAVAILABLE
    });
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    // Brokers that accept connections: a login does not get as far as its first message.
    let broker = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let iam = MskIam::new().region(REGION).variables([("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str())]);
    let config = ProducerConfig::new(broker.local_addr().unwrap().to_string())
        .sasl(SaslConfig::msk_iam(iam).allow_plaintext(true));
    let started = Instant::now();
    let limit = Duration::from_millis(4_500);
    let error = Producer::connect(&rskafka_producer::Context::timeout(limit), config).await.unwrap_err();
    assert!(started.elapsed() < limit + Duration::from_secs(1), "{:?}", started.elapsed());
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    let expected = format!("the container credentials endpoint {url}/ answers with status 503");
    assert_eq!(text.matches(&expected).count(), 1, "{text}");
    assert!(asked.load(Relaxed) <= 2, "asked {} times", asked.load(Relaxed));
}

/// Sessions of ten seconds, and credentials that are replaced meanwhile: they have fifty, so that what is left of them never
/// makes a session shorter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_sessions_and_credentials_are_renewed_without_a_reconnect() {
    const LASTS: Duration = Duration::from_secs(55);
    if !JvmCluster::available_or_skip("under_load_sessions_and_credentials_are_renewed_without_a_reconnect") {
        return;
    }
    let _turn = TURN.lock().await;
    let cluster = cluster().await;
    let issued = Arc::new(AtomicU32::new(0));
    let counted = issued.clone();
    let iam = MskIam::new().region(REGION).credentials(move || {
        counted.fetch_add(1, Relaxed);
        async {
            let expire = SystemTime::now() + Duration::from_secs(50);
            Ok(AwsCredentials::new("ASIATEMPORARY", TEMPORARY).session_token(SESSION).expires_at(expire))
        }
    });
    renewed_under_load(&cluster, LASTS, [("msk", Listener::SaslSsl, config(&cluster, iam))]).await;
    let issued = issued.load(Relaxed);
    assert!((2..=3).contains(&issued), "credentials were requested {issued} times");
}
