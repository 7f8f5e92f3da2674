//! SASL: of the fake, by rskafka, and against a real Kafka word by word.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiVersionsRequest, MetadataRequest, SaslAuthenticateRequest, SaslHandshakeRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use kafka_testbed::{
    FakeCluster, JvmCluster, Listener, Mechanism, PASSWORD, Sasl, USER, unsecured_token, unsecured_token_at,
};
use rskafka::client::partition::{Compression, UnknownTopicHandling};
use rskafka::client::{ClientBuilder, Credentials, OauthBearerCredentials, SaslConfig};
use rskafka::record::Record;
use tokio::net::TcpStream;

use crate::{TURN, wire};

fn config(mechanism: Mechanism, user: &str, password: &str) -> SaslConfig {
    let credentials = || Credentials::new(user.to_owned(), password.to_owned());
    match mechanism {
        Mechanism::Plain => SaslConfig::Plain(credentials()),
        Mechanism::ScramSha256 => SaslConfig::ScramSha256(credentials()),
        Mechanism::ScramSha512 => SaslConfig::ScramSha512(credentials()),
        Mechanism::OAuthBearer => {
            let token = unsecured_token(user, Duration::from_secs(60));
            SaslConfig::Oauthbearer(OauthBearerCredentials {
                callback: Arc::new(move || {
                    let token = token.clone();
                    Box::pin(async move { Ok(token) })
                }),
                authz_id: None,
                bearer_kvs: Vec::new(),
            })
        }
    }
}

/// Sends one record; what went wrong otherwise. rskafka would try for ever.
pub(crate) async fn produce(
    bootstrap: &[String],
    mechanism: Mechanism,
    user: &str,
    password: &str,
    topic: &str,
) -> Result<(), String> {
    let limit = Duration::from_secs(60);
    let sent = async {
        let client = ClientBuilder::new(bootstrap.to_vec()).sasl_config(config(mechanism, user, password));
        let client = client.build().await?;
        let partition = client.partition_client(topic, 0, UnknownTopicHandling::Error).await?;
        let record = Record {
            key: None,
            value: Some(b"hello".to_vec()),
            headers: BTreeMap::new(),
            timestamp: std::time::SystemTime::now().into(),
        };
        partition.produce(vec![record], Compression::NoCompression).await
    };
    match tokio::time::timeout(limit, sent).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("nothing within {limit:?}")),
    }
}

/// A connection that keeps a transcript of the responses.
struct Talk {
    socket: TcpStream,
    said: Vec<String>,
}

impl Talk {
    async fn begin(address: &str, what: &str) -> Self {
        Self { socket: TcpStream::connect(address).await.unwrap(), said: vec![what.to_owned()] }
    }

    fn say<T>(&mut self, answer: std::io::Result<T>, describe: impl FnOnce(T) -> String) {
        self.said.push(answer.map_or_else(|_| "closed".to_owned(), describe));
    }

    async fn versions(mut self) -> Self {
        let answer = wire::request(&mut self.socket, ApiVersionsRequest::default(), 0).await;
        self.say(answer, |answer| format!("versions: {}", answer.error_code));
        self
    }

    async fn metadata(mut self) -> Self {
        let topic = TopicName(StrBytes::from_static_str("t"));
        let topic = MetadataRequestTopic::default().with_name(Some(topic));
        let asked = MetadataRequest::default().with_topics(Some(vec![topic]));
        let answer = wire::request(&mut self.socket, asked, 4).await;
        self.say(answer, |answer| format!("metadata: {}", answer.topics[0].error_code));
        self
    }

    async fn handshake(mut self, mechanism: &'static str) -> Self {
        let asked = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
        let answer = wire::request(&mut self.socket, asked, 1).await;
        self.say(answer, |mut answer| {
            answer.mechanisms.sort();
            format!("handshake: {} {:?}", answer.error_code, answer.mechanisms)
        });
        self
    }

    async fn authenticate(mut self, bytes: &[u8]) -> Self {
        let asked = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::copy_from_slice(bytes));
        let answer = wire::request(&mut self.socket, asked, 2).await;
        self.say(answer, |answer| {
            let (code, said, lifetime) =
                (answer.error_code, answer.error_message, answer.session_lifetime_ms);
            let bytes = String::from_utf8_lossy(&answer.auth_bytes).into_owned();
            // A server's nonce and salt are its own.
            let bytes = if bytes.starts_with("r=") { "a nonce and a salt".to_owned() } else { bytes };
            format!("authenticate: {code} {said:?} {bytes:?} {lifetime} ms")
        });
        self
    }
}

const ALICE: &[u8] = b"\0alice\0wonderland-4f1e";

/// Everything that can be said wrongly, or twice, and what the broker says to it. It has two users, and sessions of ten
/// seconds.
async fn transcript(address: &str) -> Vec<String> {
    let expired = unsecured_token_at("alice", SystemTime::now(), Duration::ZERO);
    let expired = format!("n,,\x01auth=Bearer {expired}\x01\x01");
    let talks = [
        Talk::begin(address, "no login").await.metadata().await,
        Talk::begin(address, "versions twice").await.versions().await.versions().await,
        Talk::begin(address, "no handshake").await.authenticate(ALICE).await,
        Talk::begin(address, "unknown mechanism").await.handshake("NOPE").await.metadata().await,
        Talk::begin(address, "not yet").await.handshake("PLAIN").await.metadata().await,
        Talk::begin(address, "wrong password")
            .await
            .versions()
            .await
            .handshake("PLAIN")
            .await
            .authenticate(b"\0alice\0wrong")
            .await
            .metadata()
            .await,
        Talk::begin(address, "unknown user").await.handshake("PLAIN").await.authenticate(b"\0x\0y").await,
        Talk::begin(address, "no user").await.handshake("PLAIN").await.authenticate(b"\0\0y").await,
        Talk::begin(address, "no password").await.handshake("PLAIN").await.authenticate(b"\0alice\0").await,
        Talk::begin(address, "for another")
            .await
            .handshake("PLAIN")
            .await
            .authenticate(b"bob\0alice\0wonderland-4f1e")
            .await,
        Talk::begin(address, "right")
            .await
            .handshake("PLAIN")
            .await
            .authenticate(ALICE)
            .await
            .metadata()
            .await
            .authenticate(ALICE)
            .await
            .handshake("PLAIN")
            .await
            .authenticate(ALICE)
            .await
            .metadata()
            .await
            .handshake("PLAIN")
            .await
            .metadata()
            .await,
        Talk::begin(address, "again as another")
            .await
            .handshake("PLAIN")
            .await
            .authenticate(ALICE)
            .await
            .handshake("PLAIN")
            .await
            .authenticate(b"\0bob\0builder-99c2")
            .await,
        Talk::begin(address, "again otherwise")
            .await
            .handshake("PLAIN")
            .await
            .authenticate(ALICE)
            .await
            .handshake("SCRAM-SHA-256")
            .await
            .authenticate(b"n,,n=alice,r=abc")
            .await,
        Talk::begin(address, "SCRAM, unknown user")
            .await
            .handshake("SCRAM-SHA-256")
            .await
            .authenticate(b"n,,n=x,r=abc")
            .await,
        Talk::begin(address, "SCRAM, for another")
            .await
            .handshake("SCRAM-SHA-256")
            .await
            .authenticate(b"n,a=bob,n=alice,r=abc")
            .await,
        Talk::begin(address, "SCRAM, wrong proof")
            .await
            .handshake("SCRAM-SHA-512")
            .await
            .authenticate(b"n,,n=alice,r=abc")
            .await
            .authenticate(b"c=biws,r=abc,p=AAAA")
            .await,
        Talk::begin(address, "SCRAM, nonsense")
            .await
            .handshake("SCRAM-SHA-512")
            .await
            .authenticate(b"?")
            .await,
        Talk::begin(address, "expired token")
            .await
            .handshake("OAUTHBEARER")
            .await
            .authenticate(expired.as_bytes())
            .await
            .authenticate(b"\x01")
            .await,
    ];
    talks.into_iter().map(|talk| talk.said.join("\n  ")).collect()
}

async fn fake(sasl: Sasl) -> FakeCluster {
    FakeCluster::builder().topic("t", 1).sasl(sasl).start().await.unwrap()
}

fn two_users_for_ten_seconds() -> Sasl {
    let lifetime = Duration::from_secs(10);
    Sasl::new(&Mechanism::ALL).user("bob", "builder-99c2").session_lifetime(lifetime)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fake_says_to_every_mistake_what_kafka_says() {
    if !JvmCluster::available_or_skip("the_fake_says_to_every_mistake_what_kafka_says") {
        return;
    }
    let _turn = TURN.lock().await;
    let real = JvmCluster::builder()
        .user("bob", "builder-99c2")
        .config("connections.max.reauth.ms", "10000")
        .start()
        .await
        .unwrap();
    real.create_topic("t", 1, &[]).await.unwrap();
    let fake = fake(two_users_for_ten_seconds()).await;
    let of_kafka = transcript(&real.bootstrap_at(Listener::SaslPlaintext)[0]).await;
    let of_fake = transcript(&fake.bootstrap()[0]).await;
    let differ = of_fake.iter().zip(&of_kafka).filter(|(fake, kafka)| fake != kafka);
    let differ: Vec<_> = differ.map(|(fake, kafka)| format!("the fake: {fake}\nKafka: {kafka}")).collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[tokio::test]
async fn rskafka_authenticates_at_the_fake_by_every_mechanism() {
    let cluster = fake(Sasl::new(&Mechanism::ALL)).await;
    for mechanism in Mechanism::ALL {
        let produced = produce(&cluster.bootstrap(), mechanism, USER, PASSWORD, "t").await;
        assert_eq!(produced, Ok(()), "{mechanism:?}");
    }
    assert_eq!(cluster.records("t", 0).len(), Mechanism::ALL.len());
    let counted = cluster.authentications();
    assert_eq!((counted.attempts, counted.failed, counted.repeated), (cluster.connections_accepted(0), 0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_expired_session_is_closed_unless_it_was_renewed() {
    let cluster = fake(two_users_for_ten_seconds()).await;
    let address = &cluster.bootstrap()[0];
    let login = |talk: Talk| async { talk.handshake("PLAIN").await.authenticate(ALICE).await };
    let talk = login(Talk::begin(address, "").await).await;
    tokio::time::advance(Duration::from_secs(9)).await;
    let talk = login(talk).await;
    tokio::time::advance(Duration::from_secs(9)).await;
    let talk = talk.metadata().await;
    assert_eq!(talk.said.last().unwrap(), "metadata: 0");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(talk.metadata().await.said.last().unwrap(), "closed");
    let counted = cluster.authentications();
    assert_eq!((counted.attempts, counted.failed, counted.repeated), (2, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_changed_password_counts_for_the_next_login() {
    let cluster = fake(Sasl::new(&[Mechanism::Plain])).await;
    let address = &cluster.bootstrap()[0];
    let before = Talk::begin(address, "").await.handshake("PLAIN").await.authenticate(ALICE).await;
    let delay = Duration::from_millis(300);
    cluster.set_sasl(Sasl::new(&[Mechanism::Plain]).user(USER, "another").failure_delay(delay));
    assert_eq!(before.metadata().await.said.last().unwrap(), "metadata: 0");
    let started = tokio::time::Instant::now();
    let after = Talk::begin(address, "").await.handshake("PLAIN").await.authenticate(ALICE).await;
    assert!(after.said.last().unwrap().contains("Invalid username or password"), "{:?}", after.said);
    assert!(started.elapsed() >= delay);
    assert_eq!(cluster.authentications().failed, 1);
}

#[tokio::test]
async fn a_listener_without_sasl_says_so() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let talk = Talk::begin(&cluster.bootstrap()[0], "").await.handshake("PLAIN").await.metadata().await;
    assert_eq!(talk.said[1..], ["handshake: 34 []", "metadata: 0"]);
}
