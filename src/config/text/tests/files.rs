//! Files of other clients, what is refused in them, and what security comes out.

use std::time::Duration;

use super::super::*;
use super::read;
use crate::config::{SaslConfig, TlsConfig, TlsRoots};
use crate::error::ErrorCode;

fn problem<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let error = read(pairs).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfig);
    error.to_string()
}

#[test]
fn a_file_of_javas_is_understood() {
    let config = ProducerConfig::from_properties_text(
        "bootstrap.servers=kafka-1:9093,kafka-2:9093\n\
         key.serializer=org.apache.kafka.common.serialization.StringSerializer\n\
         value.serializer=org.apache.kafka.common.serialization.StringSerializer\n\
         acks=all\nlinger.ms=20\nbatch.size=65536\nbuffer.memory=33554432\nmax.block.ms=1000\n\
         max.request.size=1048576\ncompression.type=lz4\nclient.id=shop\ndelivery.timeout.ms=60000\n\
         request.timeout.ms=10000\nretries=2147483647\nretry.backoff.ms=50\nretry.backoff.max.ms=500\n\
         enable.idempotence=true\nmax.in.flight.requests.per.connection=5\nconnections.max.idle.ms=540000\n\
         metadata.max.age.ms=300000\nallow.auto.create.topics=true\n\
         partitioner.class=org.apache.kafka.clients.producer.RoundRobinPartitioner\n\
         security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\n\
         sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \\\n\
         \x20   username=\"alice\" \\\n\x20   password=\"s3cret\";\n\
         ssl.truststore.type=PEM\nssl.truststore.location=/etc/kafka/ca.pem\n\
         ssl.endpoint.identification.algorithm=https\n",
    )
    .unwrap();
    let value = |name: &str| Setting::ALL.iter().find(|s| s.name == name).unwrap().value(&config);
    for (name, expected) in [
        ("brokers", "kafka-1:9093,kafka-2:9093"),
        ("acks", "all"),
        ("batch.linger", "20ms"),
        ("batch.max_bytes", "64KiB"),
        ("batch.max_request_bytes", "1MiB"),
        ("batch.compression", "lz4"),
        ("buffer.max_bytes", "32MiB"),
        ("buffer.max_wait", "1s"),
        ("client_id", "shop"),
        ("timeouts.delivery", "1m"),
        ("timeouts.request", "10s"),
        ("timeouts.idle", "9m"),
        ("retry.max_attempts", "unlimited"),
        ("retry.backoff", "50ms"),
        ("idempotence", "true"),
        ("allow_auto_create_topics", "true"),
        ("partitioning", "round_robin"),
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.password", "***"),
        ("tls.ca", "/etc/kafka/ca.pem"),
        ("tls.roots", ""),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
}

#[test]
fn a_file_of_librdkafkas_is_understood() {
    let config = read([
        ("metadata.broker.list", "kafka:9092"),
        ("queue.buffering.max.ms", "7"),
        ("compression.codec", "GZIP"),
        ("message.timeout.ms", "5000"),
        ("request.required.acks", "-1"),
        ("message.send.max.retries", "2"),
        ("partitioner", "consistent_random"),
        ("security.protocol", "sasl_ssl"),
        ("sasl.mechanisms", "PLAIN"),
        ("sasl.username", "alice"),
        ("sasl.password", " spaces are kept "),
        ("ssl.ca.location", "/ca.pem"),
        ("ssl.certificate.location", "/client.pem"),
        ("ssl.key.location", "/client.key"),
        ("enable.ssl.certificate.verification", "true"),
    ])
    .unwrap();
    assert_eq!(config.batch.linger, Duration::from_millis(7));
    assert_eq!(config.retry.max_attempts, Some(3));
    assert!(matches!(config.partitioning, crate::partitioner::Partitioning::Crc32));
    assert!(matches!(config.tls.unwrap().roots, TlsRoots::Pem(pems) if pems.len() == 1));
}

#[test]
fn what_cannot_be_is_refused_with_what_to_do() {
    for (key, value, expected) in [
        ("acks", "0", "nobody knows whether"),
        ("acks", "2", "expected one of all"),
        ("linger.ms", "5ms", "linger.ms=\"5ms\": expected a number of milliseconds"),
        ("linger.ms", "-1", "not negative"),
        ("batch.linger", "5", "with its unit"),
        ("batch.size", "32M", "32MiB"),
        ("retries", "2147483648", "at most"),
        ("bulkhead.topic_share", "NaN", "expected a number"),
        ("bootstrap.server", "a:1", "did you mean bootstrap.servers"),
        ("batch.lingre", "a:1", "did you mean batch.linger"),
        ("transactional.id", "t", "there are no transactions"),
        ("partitioner", "murmur2", "murmur2_random"),
        ("partitioner.class", "com.example.Mine", "Partitioning::custom"),
        ("ssl.endpoint.identification.algorithm", "http", "expected one of https, none"),
        ("ssl.truststore.type", "JKS", "keytool"),
        ("ssl.truststore.location", "/etc/kafka/client.truststore.jks", "keytool"),
        ("ssl.keystore.location", "/etc/kafka/client.p12", "openssl pkcs12"),
        ("security.protocol", "TLS", "PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
        ("security.protocol", "SASL_SSL", "sasl.mechanism is missing"),
        ("sasl.mechanism", "GSSAPI", "Kerberos"),
        ("sasl.mechanism", "PLAIN", "sasl.username and sasl.password are missing"),
        ("sasl.mechanism", "OAUTHBEARER", "SaslConfig::oauth_bearer"),
        ("sasl.jaas.config", "nonsense", "sasl.jaas.config=***: the login module"),
        ("ssl.key.location", "/k.pem", "tls.key is set without tls.certificates"),
        ("ssl.ca.pem", "/ca.pem", "-----BEGIN"),
    ] {
        let problem = problem([(key, value)]);
        assert!(problem.contains(expected), "{key}={value}: {problem}");
    }
}

#[test]
fn values_that_other_clients_take_are_taken() {
    for (key, value, name, expected) in [
        ("connections.max.idle.ms", "-1", "timeouts.idle", "unlimited"),
        ("connections.max.idle.ms", "0", "timeouts.idle", "unlimited"),
        ("queue.buffering.max.ms", "0.5", "batch.linger", "500us"),
        ("queue.buffering.max.kbytes", "65536", "buffer.max_bytes", "64MiB"),
        ("bootstrap.servers", "a:1, b:2,", "brokers", "a:1,b:2"),
        ("max.request.size", "1000000", "batch.max_request_bytes", "1000000"),
        ("batch.size", "1046528", "batch.max_bytes", "1022KiB"),
    ] {
        let base = ProducerConfig::new("a:1").buffer(crate::config::BufferConfig::default());
        let config = base.with_properties([(key, value)]).unwrap();
        let setting = Setting::ALL.iter().find(|setting| setting.name == name).unwrap();
        assert_eq!(setting.value(&config), expected, "{key}={value}");
        config.validate().unwrap();
    }
}

#[test]
fn all_problems_are_reported_together() {
    let problem =
        problem([("acks", "0"), ("linger.sm", "5"), ("batch.size", "x"), ("transactional.id", "t")]);
    for expected in ["acks", "linger.sm", "batch.size", "transactional.id"] {
        assert!(problem.contains(expected), "{problem}");
    }
    assert_eq!(problem.matches("; ").count(), 3, "{problem}");
}

#[test]
fn two_names_of_one_setting_have_to_agree() {
    read([("linger.ms", "5"), ("queue.buffering.max.ms", "5")]).unwrap();
    read([("linger.ms", "4"), ("linger.ms", "5")]).unwrap();
    let problem = problem([("linger.ms", "5"), ("queue.buffering.max.ms", "6")]);
    assert!(problem.contains("linger.ms and queue.buffering.max.ms are the same setting"), "{problem}");
}

#[test]
fn security_is_what_was_requested_and_never_less() {
    let login = [("sasl.mechanism", "PLAIN"), ("sasl.username", "a"), ("sasl.password", "b")];
    let with = |more: &[(&'static str, &'static str)]| read(login.into_iter().chain(more.iter().copied()));

    let config = with(&[("security.protocol", "SASL_PLAINTEXT")]).unwrap();
    assert!(config.tls.is_none() && config.sasl.unwrap().allow_plaintext, "it was requested by name");
    let config = with(&[]).unwrap();
    assert!(!config.sasl.unwrap().allow_plaintext, "it was not requested");
    let config = with(&[("ssl.ca.location", "/ca.pem")]).unwrap();
    assert!(config.tls.is_some(), "a setting of TLS means TLS");
    for protocol in ["PLAINTEXT", "SSL"] {
        let problem = with(&[("security.protocol", protocol)]).unwrap_err().to_string();
        assert!(problem.contains("sasl (sasl.*) is set"), "{problem}");
    }
    let error =
        with(&[("security.protocol", "SASL_PLAINTEXT"), ("tls.roots", "webpki")]).unwrap_err().to_string();
    assert!(error.contains("tls (ssl.*) is set"), "{error}");
    let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required username=a password=b;";
    let problem = problem([("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", scram)]);
    assert!(problem.contains("not one for PLAIN"), "{problem}");
}

#[test]
fn a_host_name_is_checked_unless_an_empty_algorithm_says_otherwise() {
    let any = |pairs: &[(&'static str, &'static str)]| {
        let config = read(pairs.iter().copied()).unwrap();
        config.tls.map(|tls| tls.any_hostname)
    };
    const NAME: &str = "ssl.endpoint.identification.algorithm";
    for (algorithm, unchecked) in [("", true), ("none", true), ("https", false), ("HTTPS", false)] {
        assert_eq!(any(&[("security.protocol", "SSL"), (NAME, algorithm)]), Some(unchecked), "{algorithm:?}");
    }
    assert_eq!(any(&[("security.protocol", "PLAINTEXT"), (NAME, "")]), None, "without TLS there is none");
    assert_eq!(any(&[(NAME, "")]), None);
    // In the environment an empty variable is not set.
    let vars = [("KAFKA_SECURITY_PROTOCOL", "SSL"), ("KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM", "")];
    let (config, _) = ProducerConfig::default().with_vars("KAFKA_", vars).unwrap();
    assert!(!config.tls.unwrap().any_hostname);
}

#[test]
fn what_code_set_stays_where_text_says_nothing() {
    let tokens = || async { Ok(crate::config::Token::new("t")) };
    let coded = ProducerConfig::new(["a:1"])
        .tls(TlsConfig::default().server_name("kafka"))
        .sasl(SaslConfig::oauth_bearer(tokens))
        .topic("events");
    let config =
        coded.with_properties([("security.protocol", "SASL_SSL"), ("ssl.ca.location", "/ca.pem")]).unwrap();
    assert_eq!(config.brokers, ["a:1"]);
    assert_eq!(config.topic.as_deref(), Some("events"));
    assert_eq!(config.tls.unwrap().server_name.as_deref(), Some("kafka"));
    assert_eq!(config.sasl.unwrap().mechanism, crate::config::SaslMechanism::OauthBearer);
}

#[test]
fn pem_text_on_one_line_gets_its_lines_back() {
    let expected = "-----BEGIN CERTIFICATE-----\nMIIB\nAA==\n-----END CERTIFICATE-----\n";
    for text in [
        expected,
        "-----BEGIN CERTIFICATE----- MIIB AA== -----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\\nMIIB\\nAA==\\n-----END CERTIFICATE-----\\n",
    ] {
        assert_eq!(security::pem_text(text).unwrap(), crate::config::Pem::text(expected), "{text}");
    }
}
