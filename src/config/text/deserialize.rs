//! `Deserialize`, by way of the table of settings: a document is flattened into names and texts.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{
    ACKS, COMPRESSION, Codec, DNS_LOOKUP, ENGINE, IDEMPOTENCE, MECHANISM, PARTITIONING, Reader, WHEN_OPEN,
};
use crate::compression::Compression;
use crate::config::{
    Acks, BatchConfig, BufferConfig, BulkheadConfig, DnsLookup, EngineKind, Idempotence, OpenCircuit,
    ProducerConfig, RetryConfig, SaslConfig, SaslMechanism, Secret, TimeoutConfig, TlsConfig,
};
use crate::partitioner::Partitioning;
use crate::resilience::{CircuitBreakerConfig, RateLimitConfig};

/// By the names of [`docs::configuration`](crate::docs::configuration), nested (`batch: {linger: 5ms}`) or dotted
/// (`batch.linger: 5ms`, `linger.ms: 5`), under the rules of [`ProducerConfig::from_properties`]; `null` leaves the
/// default. There is no `Serialize`: a written configuration would hold its secrets or be useless without them.
/// [`Setting::value`](crate::Setting::value) shows one.
impl<'de> Deserialize<'de> for ProducerConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read("", deserializer)
    }
}

fn read<'de, D: Deserializer<'de>>(section: &str, deserializer: D) -> Result<ProducerConfig, D::Error> {
    let mut reader = Reader::new(ProducerConfig::default());
    match Node::deserialize(deserializer)? {
        Node::Map(entries) => flatten(section, &entries, &mut reader),
        _ => return Err(D::Error::custom("expected a map of settings")),
    }
    reader.finish().map_err(D::Error::custom)
}

fn flatten(path: &str, entries: &[(String, Node)], reader: &mut Reader) {
    for (key, node) in entries {
        let name = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match node {
            Node::Null => {}
            Node::Map(entries) => flatten(&name, entries, reader),
            Node::Text(text) => reader.set(&name, &name, text.expose()),
            Node::List(texts) => {
                let texts: Vec<_> = texts.iter().map(Secret::expose).collect();
                reader.set(&name, &name, &texts.join(","));
            }
        }
    }
}

/// A document, with its values as text.
enum Node {
    Null,
    Text(Secret),
    List(Vec<Secret>),
    Map(Vec<(String, Self)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

macro_rules! texts {
    ($($visit:ident: $type:ty),*) => {$(
        fn $visit<E>(self, value: $type) -> Result<Node, E> {
            Ok(Node::Text(Secret::from(value.to_string())))
        }
    )*};
}

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true or false, a list of these, or a map of settings")
    }

    texts! { visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut texts = Vec::new();
        while let Some(item) = items.next_element()? {
            match item {
                Node::Text(text) => texts.push(text),
                _ => return Err(A::Error::custom("expected a list of texts")),
            }
        }
        Ok(Node::List(texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Node::Map(map))
    }
}

/// A section alone takes the names that it has in the whole, without its own before them.
macro_rules! sections {
    ($($type:ty: $section:ident),* $(,)?) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(read(stringify!($section), deserializer)?.$section)
            }
        }
    )*};
}

sections! {
    BatchConfig: batch,
    BufferConfig: buffer,
    TimeoutConfig: timeouts,
    RetryConfig: retry,
    CircuitBreakerConfig: circuit_breaker,
    RateLimitConfig: rate_limit,
    BulkheadConfig: bulkhead,
}

impl<'de> Deserialize<'de> for TlsConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(read("tls", deserializer)?.tls.unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for SaslConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read("sasl", deserializer)?.sasl.ok_or_else(|| D::Error::custom("sasl.mechanism is missing"))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Node::deserialize(deserializer)? {
            Node::Text(text) => Ok(text),
            _ => Err(D::Error::custom("expected a text")),
        }
    }
}

/// Choices, spelt as in the table of settings.
macro_rules! choices {
    ($($type:ty: $codec:ident),* $(,)?) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                read_choice(&$codec, deserializer)
            }
        }
    )*};
}

choices! {
    Acks: ACKS,
    Compression: COMPRESSION,
    EngineKind: ENGINE,
    DnsLookup: DNS_LOOKUP,
    Idempotence: IDEMPOTENCE,
    OpenCircuit: WHEN_OPEN,
    Partitioning: PARTITIONING,
    SaslMechanism: MECHANISM,
}

fn read_choice<'de, T, D: Deserializer<'de>>(codec: &Codec<T>, deserializer: D) -> Result<T, D::Error> {
    match Node::deserialize(deserializer)? {
        Node::Text(text) => codec.read(text.expose()).map_err(D::Error::custom),
        _ => Err(D::Error::custom("expected a text")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    fn json(text: &str) -> Result<ProducerConfig, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn nested_and_dotted_names_ours_and_kafkas_are_one_in_toml_and_json() {
        let toml = r#"
            brokers = ["kafka-1:9092", "kafka-2:9092"]
            topic = "events"
            acks = "all"
            compression.type = "lz4"
            max.block.ms = 1000
            retry.max_attempts = 3
            idempotence = true

            [batch]
            linger = "20ms"
            max_bytes = "512KiB"

            [bulkhead]
            topic_share = 0.5

            [sasl]
            mechanism = "SCRAM-SHA-256"
            username = "alice"
            password = "hunter2"
        "#;
        let from_toml: ProducerConfig = toml::from_str(toml).unwrap();
        let from_json = json(
            r#"{
                "bootstrap.servers": "kafka-1:9092,kafka-2:9092",
                "topic": "events", "acks": -1, "compression.type": "lz4", "max": {"block.ms": 1000},
                "retries": 2, "enable.idempotence": "true", "buffer": null,
                "batch.size": 524288, "batch": {"linger": "20ms"}, "bulkhead.topic_share": 0.5,
                "sasl": {"mechanism": "SCRAM-SHA-256", "username": "alice", "password": "hunter2"}
            }"#,
        )
        .unwrap();
        assert_eq!(format!("{from_toml:?}"), format!("{from_json:?}"));
        assert_eq!(from_json.batch.linger, Duration::from_millis(20));
        assert_eq!(from_json.batch.max_bytes, 512 << 10);
        assert_eq!(from_json.retry.max_attempts, Some(3));
        assert_eq!(from_json.buffer.max_wait, Duration::from_secs(1));
        assert!(!format!("{from_json:?}").contains("hunter2"));
    }

    #[test]
    fn unknown_fields_and_impossible_values_are_refused_all_at_once() {
        let problem = json(
            r#"{"batch": {"lingre": "5ms"}, "acks": 0, "batch.linger": 5, "sasl": {"pasword": "hunter2"}}"#,
        );
        let problem = problem.unwrap_err().to_string();
        for expected in ["did you mean batch.linger", "acks", "with its unit", "sasl.password"] {
            assert!(problem.contains(expected), "{expected}: {problem}");
        }
        assert!(!problem.contains("hunter2"), "{problem}");
        for text in ["[]", "3", r#"{"brokers": [["a:1"]]}"#, r#"{"brokers": [{}]}"#] {
            assert!(json(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sections_choices_and_secrets_can_be_read_alone() {
        let batch: BatchConfig = serde_json::from_str(r#"{"linger": "5s", "compression": "gzip"}"#).unwrap();
        assert_eq!((batch.linger, batch.compression), (Duration::from_secs(5), Compression::Gzip));
        let breaker: CircuitBreakerConfig = serde_json::from_str(r#"{"when_open": "fail_fast"}"#).unwrap();
        assert_eq!(breaker.when_open, OpenCircuit::FailFast);
        let tls: TlsConfig = serde_json::from_str(r#"{"ca": "/ca.pem"}"#).unwrap();
        assert!(format!("{tls:?}").contains("/ca.pem"));
        let sasl: SaslConfig =
            serde_json::from_str(r#"{"mechanism": "PLAIN", "username": "a", "password": "b"}"#).unwrap();
        assert_eq!(sasl.mechanism(), SaslMechanism::Plain);
        let acks: BTreeMap<String, Acks> = toml::from_str("a = \"all\"\nb = 1").unwrap();
        assert_eq!(acks["b"], Acks::Leader);
        let secret: Secret = serde_json::from_str(r#""hunter2""#).unwrap();
        assert_eq!(secret.expose(), "hunter2");

        let problem = serde_json::from_str::<BatchConfig>(r#"{"linger_ms": 5}"#).unwrap_err().to_string();
        assert!(problem.contains("batch.linger"), "{problem}");
        assert!(serde_json::from_str::<SaslConfig>("{}").is_err());
        assert!(serde_json::from_str::<Compression>(r#""brotli""#).is_err());
    }

    #[test]
    fn a_configuration_can_be_a_part_of_a_larger_document() {
        let apps: BTreeMap<String, Option<ProducerConfig>> =
            toml::from_str("[shop]\nbrokers = [\"a:1\"]\n[audit]\nbootstrap.servers = \"b:2\"").unwrap();
        assert_eq!(apps["audit"].as_ref().unwrap().brokers, ["b:2"]);
    }
}
