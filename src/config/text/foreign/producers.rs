//! What the producers of Java 4.4 and librdkafka 2.16 have and this one does not.

use super::Verdict::{Ignored, Judged, Only, Refused, Usually};
use super::{Judgement, Refusal, Verdict};
use crate::config::text::security::CONVERT;

const BY_BYTES: &str = "batches and the buffer are limited by bytes: batch.size and buffer.memory";
const CODE: &str = "code cannot be named in text: remove it";
const CALLBACK: &str = "a callback cannot be set in text: remove it";
const LEVELS: &str = "gzip and zstd have a level each: compression.gzip.level, compression.zstd.level";
const ONE_LEVEL: &str = "lz4 has one level here";
const INTERNAL: &str = "it concerns the inner workings of another client";
const JAVA_TLS: &str = "it concerns Java's TLS; this producer uses rustls";
const LOG: &str = "events go through `tracing`, whose subscriber chooses levels";
const METADATA: &str = "metadata is refreshed after metadata.max.age.ms, and whenever a leader changes";
const METRICS: &str = "metrics come from Producer::stats and the feature `metrics`";
const NO_KERBEROS: &str = "Kerberos is not supported";
const NO_OPENSSL: &str =
    "OpenSSL is not used: remove it, and set another rustls provider by TlsConfig::provider";
const NO_TRANSACTIONS: &str = "there are no transactions, and idempotence is on without it: remove it";
const PROVIDER: &str = "use SaslConfig::password or oauth_bearer with a provider";
const RECONNECT: &str = "retry.backoff.ms and retry.backoff.max.ms apply to connections, too";
const RENEWAL: &str = "a login is renewed before its session expires, within timeouts.connect";
const RESULTS: &str = "every send returns its own result";
const RESTRICT: &str = "restrict TLS with TlsConfig::client_config, and remove it";
const SERIALIZERS: &str = "messages are bytes: there are no serializers";
const SOCKETS: &str = "sockets have no delay";
const NO_TOKENS: &str = "tokens come from an identity server (sasl.oauthbearer.token.endpoint.url), or from code \
                         (SaslConfig::oauth_bearer): remove it";
const TEMPLATE: &str =
    "templates are not read: set sasl.oauthbearer.assertion.claim.iss, .sub and .aud, and remove it";
const TOKENS: &str = "tokens are validated by the brokers";
const VERSIONS: &str = "versions are always negotiated with each broker";

#[rustfmt::skip]
pub(super) static TABLE: &[(&str, Verdict)] = &[
    ("key.serializer", Ignored(SERIALIZERS)),
    ("value.serializer", Ignored(SERIALIZERS)),
    ("key.deserializer", Ignored(SERIALIZERS)),
    ("value.deserializer", Ignored(SERIALIZERS)),
    // Metrics and logs.
    ("auto.include.jmx.reporter", Ignored(METRICS)),
    ("metric.reporters", Ignored(METRICS)),
    ("metrics.num.samples", Ignored(METRICS)),
    ("metrics.recording.level", Ignored(METRICS)),
    ("metrics.sample.window.ms", Ignored(METRICS)),
    ("statistics.interval.ms", Ignored(METRICS)),
    ("enable.metrics.push", Ignored("metrics are not pushed to the brokers")),
    ("debug", Ignored(LOG)),
    ("log_level", Ignored(LOG)),
    ("log.connection.close", Ignored(LOG)),
    ("log.queue", Ignored(LOG)),
    ("log.thread.name", Ignored(LOG)),
    // Connections.
    ("bootstrap.resolve.timeout.ms", Ignored("names are resolved within timeouts.connect")),
    ("broker.address.family", Usually("any", "IPv6 and IPv4 are tried, and the first to connect is used")),
    ("broker.address.ttl", Ignored("names are resolved again for each connection")),
    ("socket.blocking.max.ms", Ignored(INTERNAL)),
    ("socket.max.fails", Ignored("a connection is closed when a request times out")),
    ("socket.nagle.disable", Usually("true", SOCKETS)),
    ("socket.timeout.ms", Ignored("the limit of a request is request.timeout.ms")),
    ("reconnect.backoff.jitter.ms", Ignored(RECONNECT)),
    ("reconnect.backoff.max.ms", Ignored(RECONNECT)),
    ("reconnect.backoff.ms", Ignored(RECONNECT)),
    ("socket.connection.setup.timeout.max.ms",
        Ignored("the limit of a connection does not grow: it is socket.connection.setup.timeout.ms")),
    // Metadata and versions.
    ("metadata.cluster.check.enable", Usually("true", "another cluster at the same addresses is always noticed")),
    ("metadata.recovery.strategy", Usually("rebootstrap", "the configured brokers are always tried, too")),
    ("topic.blacklist", Ignored("only the topics of messages are requested")),
    ("topic.metadata.propagation.max.ms",
        Usually("30000", "a topic counts as missing after half a minute of denials")),
    ("topic.metadata.refresh.fast.cnt", Ignored(METADATA)),
    ("topic.metadata.refresh.fast.interval.ms", Ignored(METADATA)),
    ("topic.metadata.refresh.interval.ms", Ignored(METADATA)),
    ("topic.metadata.refresh.sparse", Usually("true", "only the topics of messages are requested")),
    ("api.version.fallback.ms", Ignored(VERSIONS)),
    ("api.version.request", Usually("true", VERSIONS)),
    ("api.version.request.timeout.ms", Ignored(VERSIONS)),
    ("broker.version.fallback", Ignored(VERSIONS)),
    // Batches and partitions.
    ("batch.num.messages", Ignored(BY_BYTES)),
    ("queue.buffering.max.messages", Ignored(BY_BYTES)),
    ("queue.buffering.backpressure.threshold", Ignored("requests are sent as soon as a broker can take them")),
    ("buffer.memory.allocation.strategy", Ignored("memory follows the messages that wait")),
    ("message.copy.max.bytes", Ignored("messages are not copied before they are encoded")),
    ("receive.message.max.bytes", Ignored("responses to a producer are small")),
    ("compression.level", Ignored(LEVELS)),
    ("compression.lz4.level", Ignored(ONE_LEVEL)),
    ("partitioner.adaptive.partitioning.enable",
        Usually("true", "busy partitions always get fewer messages without a key")),
    ("partitioner.availability.timeout.ms",
        Usually("0", "messages without a key avoid partitions whose messages wait")),
    ("partitioner.ignore.keys",
        Only("false", "a rule that ignores keys is written in code, as Partitioning::custom")),
    ("sticky.partitioning.linger.ms",
        Ignored("messages without a key change their partition after 16 KiB, or when a batch is sent")),
    ("queuing.strategy", Only("fifo", "messages of a partition keep their order: remove it")),
    ("delivery.report.only.error", Ignored(RESULTS)),
    ("produce.offset.report", Ignored(RESULTS)),
    ("enable.gapless.guarantee",
        Only("false", "a message that failed does not stop those behind it: remove it, and await each send")),
    // Transactions.
    ("transactional.id", Refused(NO_TRANSACTIONS)),
    ("transaction.timeout.ms", Ignored("there are no transactions")),
    ("transaction.two.phase.commit.enable", Only("false", NO_TRANSACTIONS)),
    // Code.
    ("config.providers", Refused("values are used as they are written: replace their placeholders, and remove it")),
    ("interceptor.classes", Refused(CODE)),
    ("interceptors", Refused(CODE)),
    ("plugin.library.paths", Refused(CODE)),
    ("security.providers", Refused(CODE)),
    ("background_event_cb", Refused(CALLBACK)),
    ("closesocket_cb", Refused(CALLBACK)),
    ("connect_cb", Refused(CALLBACK)),
    ("default_topic_conf", Refused(CALLBACK)),
    ("dr_cb", Refused(CALLBACK)),
    ("dr_msg_cb", Refused(CALLBACK)),
    ("error_cb", Refused(CALLBACK)),
    ("log_cb", Refused(CALLBACK)),
    ("msg_order_cmp", Refused(CALLBACK)),
    ("oauthbearer_token_refresh_cb", Refused(PROVIDER)),
    ("opaque", Refused(CALLBACK)),
    ("open_cb", Refused(CALLBACK)),
    ("partitioner_cb", Refused("a rule of your own is written in code, as Partitioning::custom")),
    ("resolve_cb", Refused(CALLBACK)),
    ("socket_cb", Refused(CALLBACK)),
    ("ssl.certificate.verify_cb", Refused(RESTRICT)),
    ("ssl_engine_callback_data", Refused(NO_OPENSSL)),
    ("stats_cb", Refused(CALLBACK)),
    ("throttle_cb", Refused(CALLBACK)),
    ("builtin.features", Ignored(INTERNAL)),
    ("enable.random.seed", Ignored(INTERNAL)),
    ("enabled_events", Ignored(INTERNAL)),
    ("internal.termination.signal", Ignored(INTERNAL)),
    // Logins.
    ("sasl.login.class", Refused(PROVIDER)),
    ("sasl.login.connect.timeout.ms", Ignored(RENEWAL)),
    ("sasl.login.read.timeout.ms", Ignored(RENEWAL)),
    ("sasl.login.refresh.buffer.seconds", Ignored(RENEWAL)),
    ("sasl.login.refresh.min.period.seconds", Ignored(RENEWAL)),
    ("sasl.login.refresh.window.factor", Ignored(RENEWAL)),
    ("sasl.login.refresh.window.jitter", Ignored(RENEWAL)),
    ("sasl.login.retry.backoff.max.ms", Ignored(RENEWAL)),
    ("sasl.login.retry.backoff.ms", Ignored(RENEWAL)),
    ("sasl.kerberos.keytab", Ignored(NO_KERBEROS)),
    ("sasl.kerberos.kinit.cmd", Ignored(NO_KERBEROS)),
    ("sasl.kerberos.min.time.before.relogin", Ignored(NO_KERBEROS)),
    ("sasl.kerberos.principal", Ignored(NO_KERBEROS)),
    ("sasl.kerberos.service.name", Ignored(NO_KERBEROS)),
    ("sasl.kerberos.ticket.renew.jitter", Ignored(NO_KERBEROS)),
    ("sasl.kerberos.ticket.renew.window.factor", Ignored(NO_KERBEROS)),
    // Tokens.
    ("sasl.oauthbearer.assertion.jwt.template.file", Refused(TEMPLATE)),
    ("sasl.oauthbearer.assertion.template.file", Refused(TEMPLATE)),
    ("sasl.oauthbearer.config", Refused(NO_TOKENS)),
    ("sasl.oauthbearer.metadata.authentication.type", Only("none", NO_TOKENS)),
    ("sasl.oauthbearer.method", Judged(method)),
    ("enable.sasl.oauthbearer.unsecure.jwt", Only("false", NO_TOKENS)),
    ("sasl.oauthbearer.allow.unverified.audience", Ignored(TOKENS)),
    ("sasl.oauthbearer.allow.unverified.issuer", Ignored(TOKENS)),
    ("sasl.oauthbearer.assertion.algorithm", Judged(algorithm)),
    ("sasl.oauthbearer.clock.skew.seconds", Ignored(TOKENS)),
    ("sasl.oauthbearer.expected.audience", Ignored(TOKENS)),
    ("sasl.oauthbearer.expected.issuer", Ignored(TOKENS)),
    ("sasl.oauthbearer.jwks.endpoint.refresh.ms", Ignored(TOKENS)),
    ("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", Ignored(TOKENS)),
    ("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", Ignored(TOKENS)),
    ("sasl.oauthbearer.jwks.endpoint.url", Ignored(TOKENS)),
    ("sasl.oauthbearer.jwt.validator.class", Ignored(TOKENS)),
    ("sasl.oauthbearer.scope.claim.name", Ignored(TOKENS)),
    ("sasl.oauthbearer.sub.claim.name", Ignored(TOKENS)),
    // TLS.
    ("enable.ssl.certificate.verification",
        Only("true", "certificates are always checked: trust the authority of yours by ssl.ca.location")),
    ("ssl.ca.certificate.stores", Ignored("the platform's roots are trusted, or those of ssl.ca.location")),
    ("ssl.cipher.suites", Refused(RESTRICT)),
    ("ssl.curves.list", Refused(RESTRICT)),
    ("ssl.enabled.protocols", Judged(tls_versions)),
    ("ssl.engine.factory.class", Refused(CODE)),
    ("ssl.engine.id", Ignored(NO_OPENSSL)),
    ("ssl.engine.location", Refused(NO_OPENSSL)),
    ("ssl.keymanager.algorithm", Ignored(JAVA_TLS)),
    ("ssl.keystore.password",
        Refused("a keystore in PEM format has no password: remove it, or name its key's by ssl.key.password")),
    ("ssl.keystore.type", Only("PEM", CONVERT)),
    ("ssl.protocol", Judged(tls_context)),
    ("ssl.provider", Ignored(JAVA_TLS)),
    ("ssl.providers", Refused(NO_OPENSSL)),
    ("ssl.secure.random.implementation", Ignored(JAVA_TLS)),
    ("ssl.sigalgs.list", Refused(RESTRICT)),
    ("ssl.trustmanager.algorithm", Ignored(JAVA_TLS)),
    ("ssl.truststore.password", Refused("a truststore in PEM format has no password: remove it")),
    ("ssl.truststore.type", Only("PEM", CONVERT)),
    ("ssl_ca", Refused("name a file in PEM format by ssl.ca.location")),
    ("ssl_certificate", Refused("name a file in PEM format by ssl.certificate.location")),
    ("ssl_key", Refused("name a file in PEM format by ssl.key.location")),
];

/// librdkafka's choice between its unsecured tokens and those of an identity server, which the other settings make.
fn method(text: &str) -> Judgement {
    match ["", "default", "oidc"].iter().any(|known| known.eq_ignore_ascii_case(text)) {
        true => Ok(None),
        false => Err(Refusal::Only("oidc", NO_TOKENS)),
    }
}

fn algorithm(text: &str) -> Judgement {
    match ["", "RS256", "ES256"].iter().any(|known| known.eq_ignore_ascii_case(text)) {
        true => Ok(Some("the key of an assertion determines its algorithm")),
        false => Err(Refusal::Only("RS256 or ES256", "an assertion is signed with RS256 or ES256")),
    }
}

const OFFERED: &str = "TLS 1.3 and 1.2 are offered";
const NOT_OFFERED: &str =
    "TLS 1.3 and 1.2 are offered: remove it, or restrict them with TlsConfig::client_config";

/// Java's name for TLS as such, whose versions are `ssl.enabled.protocols`.
fn tls_context(text: &str) -> Judgement {
    match ["", "TLS", "TLSv1.2", "TLSv1.3"].iter().any(|known| known.eq_ignore_ascii_case(text)) {
        true => Ok(Some(OFFERED)),
        false => Err(Refusal::Always(NOT_OFFERED)),
    }
}

/// TLS 1.2 beside 1.3 is how it is. A list without 1.2 requests more than that.
fn tls_versions(text: &str) -> Judgement {
    let offered = text.split(',').any(|version| version.trim().eq_ignore_ascii_case("TLSv1.2"));
    match offered || text.is_empty() {
        true => Ok(Some(OFFERED)),
        false => Err(Refusal::Always(NOT_OFFERED)),
    }
}
