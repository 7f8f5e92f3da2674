//! Every setting of other producers has an answer, and the files of vendors are accepted as they document them.

use super::super::*;
use crate::config::{SaslConfig, SaslMechanism, TlsRoots};

const JAVA: &str = include_str!("names/java-4.4-producer.txt");
const LIBRDKAFKA: &str = include_str!("names/librdkafka-2.16-producer.txt");
const CONSUMERS: &str = include_str!("names/consumer-and-admin.txt");

/// Made by `ProducerConfig.configDef()` of `kafka-clients`, and by `rd_kafka_conf_properties_show`.
#[test]
fn every_setting_of_java_and_librdkafka_is_known() {
    assert_eq!((JAVA.lines().count(), LIBRDKAFKA.lines().count()), (120, 157));
    let names = JAVA.lines().chain(LIBRDKAFKA.lines()).chain(CONSUMERS.lines());
    let known = |name: &str| match foreign::meaning(name, "") {
        foreign::Meaning::Setting(name, _) => lookup(&name).is_some(),
        _ => true,
    };
    let unknown: Vec<_> = names.filter(|name| !known(name)).collect();
    assert_eq!(unknown, [""; 0], "accept them in table.rs, or say in foreign/ what becomes of them");
}

#[test]
fn what_has_no_effect_is_kept_for_an_event_with_the_reason() {
    let config = ProducerConfig::from_properties([
        ("key.serializer", "a"),
        ("value.serializer", "b"),
        ("schema.registry.url", "http://localhost"),
        ("metadata.recovery.strategy", "rebootstrap"),
        ("spring.kafka.consumer.group-id", "g"),
        ("queue.buffering.max.messages", "1000"),
        ("interceptor.classes", ""),
    ])
    .unwrap();
    let ignored: Vec<_> = config.unused.settings.values().flatten().map(String::as_str).collect();
    let expected = [
        "key.serializer",
        "queue.buffering.max.messages",
        "schema.registry.url",
        "spring.kafka.consumer.group-id",
        "value.serializer",
    ];
    assert_eq!(std::collections::BTreeSet::from_iter(ignored), expected.into());
    let serializers = config.unused.settings.values().find(|settings| settings.len() == 2).unwrap();
    assert_eq!(serializers, &["key.serializer", "value.serializer"]);
}

/// The files of the vendors' documentation, and what has to come out.
#[test]
fn files_of_vendors_are_accepted() {
    use SaslMechanism::{Plain, ScramSha256, ScramSha512};
    for (name, file, mechanism, own_authority) in [
        (
            "Confluent Cloud, Java",
            include_str!("vendors/confluent-cloud-java.properties"),
            Some(Plain),
            false,
        ),
        (
            "Confluent Cloud, librdkafka",
            include_str!("vendors/confluent-cloud-librdkafka.properties"),
            Some(Plain),
            false,
        ),
        ("MSK", include_str!("vendors/msk-scram.properties"), Some(ScramSha512), false),
        ("Event Hubs, Java", include_str!("vendors/azure-event-hubs-java.properties"), Some(Plain), false),
        (
            "Event Hubs, librdkafka",
            include_str!("vendors/azure-event-hubs-librdkafka.properties"),
            Some(Plain),
            false,
        ),
        ("Redpanda Cloud", include_str!("vendors/redpanda-cloud.properties"), Some(ScramSha256), false),
        ("Aiven", include_str!("vendors/aiven-pem.properties"), None, true),
        ("Aiven, SASL", include_str!("vendors/aiven-sasl.properties"), Some(ScramSha256), true),
        ("Strimzi, mTLS", include_str!("vendors/strimzi-mtls.properties"), None, true),
        ("Strimzi, SCRAM", include_str!("vendors/strimzi-scram.properties"), Some(ScramSha512), true),
        ("Spring", include_str!("vendors/spring.properties"), Some(ScramSha512), true),
    ] {
        let config =
            ProducerConfig::from_properties_text(file).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!config.brokers.is_empty(), "{name}");
        assert_eq!(config.sasl.as_ref().map(SaslConfig::mechanism), mechanism, "{name}");
        let roots = &config.tls.as_ref().unwrap().roots;
        assert_eq!(matches!(roots, TlsRoots::Pem(_)), own_authority, "{name}");
        // Without a feature for TLS or for its roots only that is missing.
        if let Err(error) = config.validate() {
            let text = error.to_string();
            assert!(text.split("; ").all(|problem| problem.starts_with("tls")), "{name}: {text}");
        }
        // Azure's file for librdkafka asks for partitions as librdkafka chooses them.
        let crc32 = matches!(config.partitioning, crate::partitioner::Partitioning::Crc32);
        assert_eq!(crc32, name == "Event Hubs, librdkafka");
    }
}

#[test]
fn springs_values_have_springs_units() {
    let config = ProducerConfig::from_properties_text(include_str!("vendors/spring.properties")).unwrap();
    assert_eq!((config.batch.max_bytes, config.buffer.max_bytes), (64 << 10, 64 << 20));
    assert_eq!(config.batch.linger.as_millis(), 20);
    assert_eq!(config.retry.max_attempts, Some(11));
    assert_eq!(config.topic.as_deref(), Some("orders"));
}

#[test]
fn an_unknown_or_misspelt_name_is_an_error_as_before() {
    for name in ["metadata.recovery.stategy", "ssl.trustmanger.algorithm", "spring.kafka.producer.batch-siez"]
    {
        let error = ProducerConfig::from_properties([(name, "x")]).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("is not a setting"), "{error}");
    }
}
