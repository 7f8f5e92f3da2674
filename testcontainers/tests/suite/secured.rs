//! A secured real Kafka, as clients that share no code with this crate see it.

use std::collections::HashSet;
use std::process::{Output, Stdio};

use kafka_testbed::{JvmCluster, Listener, Mechanism, PASSWORD, USER};
use tokio::io::AsyncWriteExt;

use crate::{TURN, sasl};

/// How librdkafka has to be configured to connect.
fn librdkafka(cluster: &JvmCluster, listener: Listener, mechanism: Option<Mechanism>) -> Vec<String> {
    let file = |name| cluster.certificates_dir().join(name).display().to_string();
    let mut settings = vec![format!("security.protocol={}", listener.protocol())];
    if listener.has_tls() {
        settings.push(format!("ssl.ca.location={}", file("ca.pem")));
    }
    if listener.wants_certificate() {
        settings.push(format!("ssl.certificate.location={}", file("client.pem")));
        settings.push(format!("ssl.key.location={}", file("client.key")));
    }
    if let Some(mechanism) = mechanism {
        settings.push(format!("sasl.mechanisms={}", mechanism.name()));
        if mechanism == Mechanism::OAuthBearer {
            settings.push("enable.sasl.oauthbearer.unsecure.jwt=true".into());
            settings.push(format!("sasl.oauthbearer.config=principal={USER}"));
        } else {
            settings.push(format!("sasl.username={USER}"));
            settings.push(format!("sasl.password={PASSWORD}"));
        }
    }
    settings
}

/// Sends one value to a topic's first partition by kcat.
async fn send(bootstrap: &str, topic: &str, settings: &[String], value: &str) -> Output {
    send_to(0, bootstrap, topic, settings, value).await
}

async fn send_to(partition: i32, bootstrap: &str, topic: &str, settings: &[String], value: &str) -> Output {
    let mut kcat = tokio::process::Command::new("kcat");
    kcat.args(["-P", "-b", bootstrap, "-t", topic, "-p", &partition.to_string()]);
    kcat.args(["-X", "message.timeout.ms=5000"]);
    kcat.args(settings.iter().flat_map(|setting| ["-X", setting]));
    kcat.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut kcat = kcat.spawn().unwrap();
    kcat.stdin.take().unwrap().write_all(value.as_bytes()).await.unwrap();
    kcat.wait_with_output().await.unwrap()
}

async fn values(cluster: &JvmCluster, topic: &str) -> Vec<String> {
    let stored = cluster.read_fast(topic).await.unwrap();
    stored.iter().map(|r| String::from_utf8_lossy(r.value.as_ref().unwrap()).into_owned()).collect()
}

/// librdkafka before 2.6.1 repeats its nonce in SCRAM, which Kafka refuses since 3.7.2; Debian's is such a one.
const KCAT: &[(Listener, Option<Mechanism>)] = &[
    (Listener::Plaintext, None),
    (Listener::Ssl, None),
    (Listener::MutualTls, None),
    (Listener::RsaCertificate, None),
    (Listener::SaslPlaintext, Some(Mechanism::Plain)),
    (Listener::SaslPlaintext, Some(Mechanism::OAuthBearer)),
    (Listener::SaslSsl, Some(Mechanism::Plain)),
    (Listener::SaslSsl, Some(Mechanism::OAuthBearer)),
    (Listener::SaslMutualTls, Some(Mechanism::Plain)),
    (Listener::SaslMutualTls, Some(Mechanism::OAuthBearer)),
];

const JAVA: &[(Listener, Option<Mechanism>)] = &[
    (Listener::MutualTls, None),
    (Listener::SaslPlaintext, Some(Mechanism::ScramSha256)),
    (Listener::SaslSsl, Some(Mechanism::OAuthBearer)),
    (Listener::SaslSsl, Some(Mechanism::ScramSha512)),
    (Listener::SaslMutualTls, Some(Mechanism::ScramSha256)),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn librdkafka_and_java_come_in_by_every_listener() {
    if !JvmCluster::available_or_skip("librdkafka_and_java_come_in_by_every_listener") {
        return;
    }
    let _turn = TURN.lock().await;
    let cluster = JvmCluster::builder().secured().start().await.unwrap();
    cluster.create_topic("by-kcat", 1, &[]).await.unwrap();
    let mut sent = Vec::new();
    for (listener, mechanism) in KCAT {
        let value = format!("{listener:?} {mechanism:?}");
        let settings = librdkafka(&cluster, *listener, *mechanism);
        let output = send(&cluster.bootstrap_at(*listener)[0], "by-kcat", &settings, &value).await;
        assert!(output.status.success(), "{value}: {}", String::from_utf8_lossy(&output.stderr));
        sent.push(value);
    }
    assert_eq!(values(&cluster, "by-kcat").await, sent);

    cluster.create_topic("by-java", 1, &[]).await.unwrap();
    for (listener, mechanism) in JAVA {
        let properties = cluster.client_properties(*listener, *mechanism);
        let properties: String = properties.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        let file = cluster.certificates_dir().join("client.properties");
        std::fs::write(&file, properties).unwrap();
        let mut arguments = vec!["--topic", "by-java", "--num-records", "1", "--record-size", "10"];
        let file = file.display().to_string();
        arguments.extend(["--throughput", "-1", "--producer.config", &file]);
        cluster.tool("org.apache.kafka.tools.ProducerPerformance", &arguments).await.unwrap();
    }
    assert_eq!(values(&cluster, "by-java").await.len(), JAVA.len());

    // Servers that no client should trust.
    for listener in [Listener::ExpiredCertificate, Listener::WrongHostCertificate] {
        let settings = librdkafka(&cluster, listener, None);
        let output = send(&cluster.bootstrap_at(listener)[0], "by-kcat", &settings, "never").await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("certificate verify failed"), "{listener:?}: {error}");
    }
    // A certificate that the servers should not trust.
    let mut settings = librdkafka(&cluster, Listener::MutualTls, None);
    for setting in &mut settings {
        *setting = setting.replace("client.", "foreign-client.");
    }
    let output = send(&cluster.bootstrap_at(Listener::MutualTls)[0], "by-kcat", &settings, "never").await;
    assert!(!output.status.success());
    assert_eq!(values(&cluster, "by-kcat").await, sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rskafka_authenticates_by_every_mechanism_as_the_user_it_says() {
    if !JvmCluster::available_or_skip("rskafka_authenticates_by_every_mechanism_as_the_user_it_says") {
        return;
    }
    let _turn = TURN.lock().await;
    let cluster = JvmCluster::builder().authorized().user("bob", "builder-99c2").start().await.unwrap();
    cluster.create_topic("not-for-alice", 1, &[]).await.unwrap();
    cluster.deny_write("not-for-alice", USER).await.unwrap();
    let bootstrap = cluster.bootstrap_at(Listener::SaslPlaintext);
    for mechanism in Mechanism::ALL {
        let produced = sasl::produce(&bootstrap, mechanism, USER, PASSWORD, "not-for-alice").await;
        let error = produced.unwrap_err();
        assert!(error.contains("TopicAuthorizationFailed"), "{mechanism:?}: {error}");
        let produced = sasl::produce(&bootstrap, mechanism, "bob", "builder-99c2", "not-for-alice").await;
        assert_eq!(produced, Ok(()), "{mechanism:?}");
    }
    assert_eq!(values(&cluster, "not-for-alice").await.len(), Mechanism::ALL.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_secured_nodes_are_reached_through_proxies_that_count() {
    if !JvmCluster::available_or_skip("three_secured_nodes_are_reached_through_proxies_that_count") {
        return;
    }
    let _turn = TURN.lock().await;
    let cluster = JvmCluster::builder()
        .nodes(3)
        .proxied()
        .mechanisms(Listener::SaslSsl, &[Mechanism::Plain])
        .start()
        .await
        .unwrap();
    cluster.create_topic("t", 3, &[]).await.unwrap();
    let listener = Listener::SaslSsl;
    assert_eq!(cluster.bootstrap_at(listener).len(), 3);
    let settings = librdkafka(&cluster, listener, Some(Mechanism::Plain));
    let bootstrap = cluster.bootstrap_at(listener).join(",");
    let leaders: HashSet<_> = cluster.leaders("t").await.unwrap().into_iter().flatten().collect();
    assert_eq!(leaders.len(), 3, "each node leads one partition: {leaders:?}");
    for partition in 0..3 {
        let output = send_to(partition, &bootstrap, "t", &settings, "value").await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(values(&cluster, "t").await.len(), 3);
    // To its leader a message takes the connection, TLS, API versions, mechanism, password and itself, at least.
    for id in cluster.node_ids() {
        let traffic = cluster.proxy_at(listener, id).traffic();
        assert!(traffic.accepted >= 1 && traffic.round_trips >= 6, "node {id}: {traffic:?}");
    }

    let settings = librdkafka(&cluster, listener, Some(Mechanism::OAuthBearer));
    let output = send(&bootstrap, "t", &settings, "never").await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("PLAIN") && !error.contains("SCRAM"), "{error}");
}
