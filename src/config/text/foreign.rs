//! Settings of other clients that files carry: without effect on a producer, possible in one way only, or refused.

use super::security::CONVERT;

/// What is said to a setting that is not one of ours.
pub(super) enum Verdict {
    /// Taken, as there is nothing that it could change.
    WithoutEffect,
    /// Taken with this value, which is how it is; refused with others, for the reason.
    Only(&'static str, &'static str),
    /// Refused, for the reason.
    Refused(&'static str),
}
use Verdict::{Only, Refused, WithoutEffect};

const BY_BYTES: &str = "batches and buffer are bounded by bytes: use batch.size and buffer.memory";
const ONE_RULE: &str = "there is no level to choose: remove it";
const VERSIONS: &str =
    "TLS 1.3 and 1.2 are offered: remove it, or restrict them with TlsConfig::client_config";
const NO_PASSWORD: &str = "keys are read from PEM files that are not encrypted: convert by `openssl pkcs8 -in IN -out \
                           client.key` and remove it";
const NO_KERBEROS: &str = "Kerberos is not supported: remove it";
const CODE: &str = "code cannot be named in text: remove it";
const METRICS: &str = "classes of Java's cannot be loaded: remove it, and read Producer::stats";

static FOREIGN: &[(&str, Verdict)] = &[
    ("key.serializer", WithoutEffect),
    ("value.serializer", WithoutEffect),
    ("key.deserializer", WithoutEffect),
    ("value.deserializer", WithoutEffect),
    ("group.id", WithoutEffect),
    ("auto.offset.reset", WithoutEffect),
    ("enable.auto.commit", WithoutEffect),
    ("auto.commit.interval.ms", WithoutEffect),
    ("max.poll.records", WithoutEffect),
    ("max.poll.interval.ms", WithoutEffect),
    ("session.timeout.ms", WithoutEffect),
    ("isolation.level", WithoutEffect),
    ("auto.include.jmx.reporter", WithoutEffect),
    ("metrics.num.samples", WithoutEffect),
    ("metrics.recording.level", WithoutEffect),
    ("metrics.sample.window.ms", WithoutEffect),
    ("enable.metrics.push", WithoutEffect),
    ("client.dns.lookup", Only("use_all_dns_ips", "every address of a host is tried: remove it")),
    (
        "partitioner.ignore.keys",
        Only("false", "a rule that ignores keys is written in code, as Partitioning::custom"),
    ),
    (
        "partitioner.adaptive.partitioning.enable",
        Only("true", "busy partitions always get fewer messages without a key: remove it"),
    ),
    (
        "ssl.endpoint.identification.algorithm",
        Only(
            "https",
            "a broker's name is always checked: remove it, and where certificates have another name than the host, set \
             tls.server_name to theirs",
        ),
    ),
    (
        "enable.ssl.certificate.verification",
        Only("true", "certificates are always checked: trust the authority of yours by ssl.ca.location"),
    ),
    ("ssl.truststore.type", Only("PEM", CONVERT)),
    ("ssl.keystore.type", Only("PEM", CONVERT)),
    ("transactional.id", Refused("there are no transactions, and idempotence is on without it")),
    ("transaction.timeout.ms", Refused("there are no transactions: remove it")),
    ("metric.reporters", Refused(METRICS)),
    ("interceptor.classes", Refused(CODE)),
    ("security.providers", Refused(CODE)),
    (
        "sasl.login.callback.handler.class",
        Refused("use SaslConfig::password or oauth_bearer with a provider"),
    ),
    (
        "sasl.client.callback.handler.class",
        Refused("use SaslConfig::password or oauth_bearer with a provider"),
    ),
    ("sasl.login.class", Refused("use SaslConfig::password or oauth_bearer with a provider")),
    ("sasl.oauthbearer.token.endpoint.url", Refused(super::security::NO_TOKENS)),
    ("sasl.oauthbearer.config", Refused(super::security::NO_TOKENS)),
    ("sasl.oauthbearer.method", Refused(super::security::NO_TOKENS)),
    ("sasl.oauthbearer.client.id", Refused(super::security::NO_TOKENS)),
    ("sasl.oauthbearer.client.secret", Refused(super::security::NO_TOKENS)),
    ("sasl.kerberos.service.name", Refused(NO_KERBEROS)),
    ("sasl.kerberos.keytab", Refused(NO_KERBEROS)),
    ("sasl.kerberos.principal", Refused(NO_KERBEROS)),
    ("ssl.truststore.password", Refused("a truststore in PEM format has no password: remove it")),
    ("ssl.keystore.password", Refused(NO_PASSWORD)),
    ("ssl.key.password", Refused(NO_PASSWORD)),
    ("ssl.protocol", Refused(VERSIONS)),
    ("ssl.enabled.protocols", Refused(VERSIONS)),
    ("ssl.cipher.suites", Refused("restrict the suites with TlsConfig::client_config, and remove it")),
    ("compression.level", Refused(ONE_RULE)),
    ("compression.gzip.level", Refused(ONE_RULE)),
    ("compression.lz4.level", Refused(ONE_RULE)),
    ("compression.zstd.level", Refused(ONE_RULE)),
    ("batch.num.messages", Refused(BY_BYTES)),
    ("queue.buffering.max.messages", Refused(BY_BYTES)),
    ("queue.buffering.max.kbytes", Refused("use buffer.memory, which counts bytes")),
    ("socket.timeout.ms", Refused("use request.timeout.ms")),
    ("topic.metadata.refresh.interval.ms", Refused("use metadata.max.age.ms")),
    ("reconnect.backoff.ms", Refused("use retry.backoff.ms, which counts for connections too")),
    ("reconnect.backoff.max.ms", Refused("use retry.backoff.max.ms, which counts for connections too")),
    (
        "socket.connection.setup.timeout.max.ms",
        Refused("the time for a connection does not grow: use socket.connection.setup.timeout.ms"),
    ),
];

pub(super) fn verdict(name: &str) -> Option<&'static Verdict> {
    FOREIGN.iter().find(|(foreign, _)| *foreign == name).map(|(_, verdict)| verdict)
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FOREIGN.iter().map(|(name, _)| *name)
}
