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

/// As <https://github.com/aws/aws-msk-iam-auth> documents them.
const MSK_IAM: [&str; 3] = [
    include_str!("vendors/msk-iam.properties"),
    include_str!("vendors/msk-iam-role.properties"),
    include_str!("vendors/msk-iam-oauthbearer.properties"),
];

#[cfg(feature = "aws-msk-iam")]
#[test]
fn files_of_msk_with_iam_are_accepted() {
    for (file, expected) in MSK_IAM.into_iter().zip([
        "MskIam { region: None, role: None, role_session_name: None, sts_region: None, .. }",
        "MskIam { region: None, role: Some(\"arn:aws:iam::123456789012:role/msk_client_role\"), role_session_name: \
         Some(\"producer\"), sts_region: Some(\"us-west-2\"), .. }",
        "MskIam { region: None, role: None, role_session_name: None, sts_region: None, .. }",
    ]) {
        let config = ProducerConfig::from_properties_text(file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let sasl = config.sasl.as_ref().unwrap();
        assert_eq!((sasl.mechanism(), sasl.name()), (SaslMechanism::OauthBearer, "AWS_MSK_IAM"));
        assert_eq!(sasl.issuer().unwrap(), expected);
        assert!(config.unused.settings.is_empty());
        // Without a feature for TLS or for its roots only that is missing.
        if let Err(error) = config.validate() {
            let text = error.to_string();
            assert!(text.split("; ").all(|problem| problem.starts_with("tls")), "{text}");
        }
    }
}

#[cfg(feature = "aws-msk-iam")]
#[test]
fn what_cannot_be_meant_at_msk_is_said() {
    const IAM: &str = "software.amazon.msk.auth.iam.IAMLoginModule required";
    let read = |more: &[(&str, &str)]| {
        let fixed = [("bootstrap.servers", "b:9098"), ("security.protocol", "SASL_SSL")];
        ProducerConfig::from_properties(fixed.iter().chain(more).copied())
    };
    let msk = ("sasl.mechanism", "AWS_MSK_IAM");
    let handler = (
        "sasl.login.callback.handler.class",
        "software.amazon.msk.auth.iam.IAMOAuthBearerLoginCallbackHandler",
    );
    for (more, expected) in [
        (
            vec![msk, ("sasl.jaas.config", &*format!("{IAM} hunter2=hunter2;"))],
            "an option other than awsProfileName",
        ),
        (vec![msk, ("sasl.jaas.config", &format!("{IAM} awsRoleAccessKeyId=hunter2;"))], "one is missing"),
        (vec![msk, ("sasl.username", "a")], "sasl.username or sasl.password is set"),
        (vec![handler, ("sasl.mechanism", "PLAIN")], "sasl.mechanism has to be AWS_MSK_IAM or OAUTHBEARER"),
        (vec![("sasl.mechanism", "OAUTHBEARER")], "OAUTHBEARER"),
        (
            vec![msk, ("sasl.client.callback.handler.class", "com.example.Hunter2")],
            "code cannot be named in text",
        ),
    ] {
        let error = read(&more).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{more:?}: {error}");
    }
    let keys = format!(
        "{IAM} awsRoleAccessKeyId=A awsRoleSecretAccessKey=hunter2 awsRoleSessionToken=b awsMaxRetries=7;"
    );
    let config = read(&[msk, ("sasl.jaas.config", &keys)]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    // What code has set stays.
    let code = ProducerConfig::default().sasl(SaslConfig::msk_iam(crate::MskIam::new().region("eu-west-1")));
    let both = code.with_properties([msk, ("security.protocol", "SASL_SSL")]).unwrap();
    assert!(both.sasl.unwrap().issuer().unwrap().contains("eu-west-1"));
}

#[cfg(not(feature = "aws-msk-iam"))]
#[test]
fn files_of_msk_with_iam_name_the_feature_that_is_missing() {
    for file in MSK_IAM {
        let error = ProducerConfig::from_properties_text(file).unwrap_err().to_string();
        assert!(error.contains("need the feature aws-msk-iam of rskafka-producer"), "{error}");
    }
}
