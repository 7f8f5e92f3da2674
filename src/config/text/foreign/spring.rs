//! Spring's names for Kafka's settings: `spring.kafka.producer.batch-size` is `batch.size`.

use std::borrow::Cow;

/// What a setting under one name means under Kafka's.
pub(crate) enum Meaning<'a> {
    /// This setting.
    Setting(Cow<'a, str>, Cow<'a, str>),
    /// Nothing to a producer, for the reason.
    Ignored(&'static str),
    /// Nothing that this producer can do, for the reason.
    Refused(&'static str),
}

const PREFIX: &str = "spring.kafka.";

/// Spring's name without its prefix, and Kafka's.
const NAMES: [(&str, &str); 26] = [
    ("acks", "acks"),
    ("batch-size", "batch.size"),
    ("bootstrap-servers", "bootstrap.servers"),
    ("buffer-memory", "buffer.memory"),
    ("client-id", "client.id"),
    ("compression-type", "compression.type"),
    ("key-serializer", "key.serializer"),
    ("retries", "retries"),
    ("security.protocol", "security.protocol"),
    ("ssl.enabled-protocols", "ssl.enabled.protocols"),
    ("ssl.endpoint-identification-algorithm", "ssl.endpoint.identification.algorithm"),
    ("ssl.key-password", "ssl.key.password"),
    ("ssl.key-store-certificate-chain", "ssl.keystore.certificate.chain"),
    ("ssl.key-store-key", "ssl.keystore.key"),
    ("ssl.key-store-location", "ssl.keystore.location"),
    ("ssl.key-store-password", "ssl.keystore.password"),
    ("ssl.key-store-type", "ssl.keystore.type"),
    ("ssl.protocol", "ssl.protocol"),
    ("ssl.trust-store-certificates", "ssl.truststore.certificates"),
    ("ssl.trust-store-location", "ssl.truststore.location"),
    ("ssl.trust-store-password", "ssl.truststore.password"),
    ("ssl.trust-store-type", "ssl.truststore.type"),
    ("template.default-topic", "topic"),
    ("template.transaction-id-prefix", "transactional.id"),
    ("transaction-id-prefix", "transactional.id"),
    ("value-serializer", "value.serializer"),
];

/// Spring's other sections.
const OTHERS: [&str; 7] =
    ["admin.", "consumer.", "jaas.enabled", "listener.", "retry.", "streams.", "template."];

pub(crate) fn meaning<'a>(name: &'a str, value: &'a str) -> Meaning<'a> {
    let Some(name) = name.strip_prefix(PREFIX) else {
        return kilobytes(name, value);
    };
    let own = name.strip_prefix("producer.").unwrap_or(name);
    if let Some(kafka) = own.strip_prefix("properties.").or_else(|| bracketed(own)) {
        return Meaning::Setting(kafka.into(), value.into());
    }
    // Spring takes `batchSize` for `batch-size`.
    let plain = |name: &str| name.replace(['-', '_'], "").to_ascii_lowercase();
    let found = NAMES.iter().find(|(spring, _)| plain(spring) == plain(own));
    if let Some((spring, kafka)) = found {
        return match *spring {
            "batch-size" | "buffer-memory" => Meaning::Setting((*kafka).into(), data_size(value)),
            "ssl.trust-store-location" | "ssl.key-store-location" => location(kafka, value),
            _ => Meaning::Setting((*kafka).into(), value.into()),
        };
    }
    if OTHERS.iter().any(|other| name.starts_with(other)) {
        return Meaning::Ignored("it concerns other parts of a Spring application");
    }
    if own.starts_with("jaas.") {
        return Meaning::Refused("set spring.kafka.properties.sasl.jaas.config instead");
    }
    if own.starts_with("ssl.bundle") {
        return Meaning::Refused("bundles are defined elsewhere: name PEM files by ssl.trust-store-location");
    }
    Meaning::Setting(name.into(), value.into())
}

/// `properties[sasl.mechanism]`.
fn bracketed(name: &str) -> Option<&str> {
    name.strip_prefix("properties[")?.strip_suffix(']')
}

/// Spring's kilobytes have 1024 bytes.
fn data_size(value: &str) -> Cow<'_, str> {
    let value = value.trim();
    for (spring, ours) in [("KB", "KiB"), ("MB", "MiB"), ("GB", "GiB"), ("B", "")] {
        if let Some(digits) = value.strip_suffix(spring) {
            return format!("{}{ours}", digits.trim_end()).into();
        }
    }
    value.into()
}

fn location<'a>(kafka: &'static str, value: &'a str) -> Meaning<'a> {
    let value = value.trim();
    if value.starts_with("classpath:") {
        return Meaning::Refused("there is no class path: name a file in PEM format");
    }
    let path = value.strip_prefix("file:").unwrap_or(value);
    Meaning::Setting(kafka.into(), path.strip_prefix("//").unwrap_or(path).into())
}

/// librdkafka's limit of the buffer counts units of 1024 bytes.
fn kilobytes<'a>(name: &'a str, value: &'a str) -> Meaning<'a> {
    match name {
        "queue.buffering.max.kbytes" => {
            Meaning::Setting("buffer.memory".into(), format!("{}KiB", value.trim()).into())
        }
        _ => Meaning::Setting(name.into(), value.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn means(name: &str, value: &str) -> (String, String) {
        match meaning(name, value) {
            Meaning::Setting(name, value) => (name.into_owned(), value.into_owned()),
            Meaning::Ignored(why) => ("ignored".into(), why.into()),
            Meaning::Refused(why) => ("refused".into(), why.into()),
        }
    }

    #[test]
    fn springs_names_are_kafkas() {
        for (name, value, kafka, meant) in [
            ("spring.kafka.bootstrap-servers", "a:1", "bootstrap.servers", "a:1"),
            ("spring.kafka.bootstrapServers", "a:1", "bootstrap.servers", "a:1"),
            ("spring.kafka.producer.bootstrap-servers", "a:1", "bootstrap.servers", "a:1"),
            ("spring.kafka.producer.batch-size", "16KB", "batch.size", "16KiB"),
            ("spring.kafka.producer.buffer-memory", "33554432", "buffer.memory", "33554432"),
            ("spring.kafka.properties.sasl.mechanism", "PLAIN", "sasl.mechanism", "PLAIN"),
            ("spring.kafka.properties[sasl.mechanism]", "PLAIN", "sasl.mechanism", "PLAIN"),
            ("spring.kafka.producer.properties.linger.ms", "5", "linger.ms", "5"),
            ("spring.kafka.ssl.trust-store-location", "file:///ca.pem", "ssl.truststore.location", "/ca.pem"),
            ("spring.kafka.ssl.trust-store-location", "file:/ca.pem", "ssl.truststore.location", "/ca.pem"),
            ("spring.kafka.template.default-topic", "t", "topic", "t"),
            ("linger.ms", "5", "linger.ms", "5"),
            ("queue.buffering.max.kbytes", "64", "buffer.memory", "64KiB"),
        ] {
            assert_eq!(means(name, value), (kafka.to_owned(), meant.to_owned()), "{name}");
        }
        for name in ["spring.kafka.consumer.group-id", "spring.kafka.listener.ack-mode"] {
            assert_eq!(means(name, "x").0, "ignored", "{name}");
        }
        for (name, value) in [
            ("spring.kafka.ssl.trust-store-location", "classpath:ca.pem"),
            ("spring.kafka.jaas.login-module", "x"),
            ("spring.kafka.ssl.bundle", "x"),
        ] {
            assert_eq!(means(name, value).0, "refused", "{name}");
        }
        assert_eq!(means("spring.kafka.producer.batch-siez", "1").0, "producer.batch-siez");
    }
}
