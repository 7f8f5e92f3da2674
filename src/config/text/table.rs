//! The settings, a row each. Effects are sentences of the guide.

use std::time::Duration;

use super::codec::{
    ACKS, ATTEMPTS, BYTES, COMPRESSION, COUNT, DNS_LOOKUP, ENGINE, IDEMPOTENCE, IDLE, LEVEL, LIST, MECHANISM,
    OPTIONAL_TEXT, PART, PARTITIONING, RATE, SMALL_COUNT, SOCKET_BUFFER, SWITCH, TEXT, TIME, VERIFY_HOSTNAME,
    WHEN_OPEN, choice,
};
use super::mechanism::{callback_handler, mechanism};
use super::oidc::{extensions, grant, seconds};
use super::security::{Protocol, pem_file, pem_text};
use super::{Setting, Spelling, jaas};
use crate::config::tls::Identity;
use crate::config::{Pem, ProducerConfig, Proxy, Secret, Source, TlsConfig, TlsRoots};

/// A row that reads into a field of the same name.
macro_rules! field {
    ($field:ident, $($rest:tt)*) => {
        field!(@ stringify!($field), [$field], $($rest)*)
    };
    ($section:ident.$field:ident, $($rest:tt)*) => {
        field!(@ concat!(stringify!($section), ".", stringify!($field)), [$section.$field], $($rest)*)
    };
    (@ $name:expr, [$($path:tt)*], $kafka:expr, $codec:ident, $effect:expr) => {
        Setting {
            name: $name,
            kafka: &$kafka,
            unit: $codec.unit,
            effect: $effect,
            secret: false,
            set: |draft, text, spelling| {
                draft.config.$($path)* = ($codec.read)(text, spelling)?;
                Ok(())
            },
            get: |config| ($codec.print)(&config.$($path)*),
        }
    };
}

/// A row that is kept until TLS, SASL or a proxy is put together.
macro_rules! part {
    ($whole:ident.$field:ident, $name:expr, $kafka:expr, $unit:expr, $read:expr, $get:expr, $effect:expr) => {
        Setting {
            name: $name,
            kafka: &$kafka,
            unit: $unit,
            effect: $effect,
            secret: false,
            set: |draft, text, _| {
                draft.$whole.$field = Some($read(text)?);
                Ok(())
            },
            get: $get,
        }
    };
}

/// A row of the identity server.
macro_rules! oidc {
    ($field:ident, $kafka:expr, $unit:expr, $read:expr, $effect:expr) => {
        Setting {
            name: concat!("sasl.oidc.", stringify!($field)),
            kafka: &$kafka,
            unit: $unit,
            effect: $effect,
            secret: false,
            set: |draft, text, spelling| {
                let read: fn(&str, Spelling) -> _ = $read;
                draft.security.oidc.$field = Some(read(text, spelling)?);
                Ok(())
            },
            get: |config| {
                let sasl = config.sasl.as_ref();
                sasl.map(|sasl| sasl.issuers(concat!("sasl.oidc.", stringify!($field)))).unwrap_or_default()
            },
        }
    };
}

#[rustfmt::skip]
pub(super) const SETTINGS: &[Setting] = &[
    field!(brokers, ["bootstrap.servers", "metadata.broker.list"], LIST,
        "Brokers to start from, each `host:port`; required."),
    field!(topic, [], OPTIONAL_TEXT, "Default topic, for messages without one."),
    field!(client_id, ["client.id"], TEXT, "Name of this client in the logs and quotas of the brokers."),
    field!(client_software_name, ["client.software.name"], TEXT,
        "Name of the software in the metrics and logs of the brokers."),
    field!(client_software_version, ["client.software.version"], TEXT, "Its version."),
    field!(client_rack, ["client.rack"], OPTIONAL_TEXT,
        "The rack or availability zone of this process, as the brokers call theirs."),
    field!(partitioner_rack_aware, ["partitioner.rack.aware"], SWITCH,
        "Whether a message without a key goes to a partition whose leader is in `client.rack`, where there is one."),
    field!(engine, [], ENGINE, "The implementation of the connection to the brokers."),
    field!(acks, ["acks", "request.required.acks"], ACKS, "Which replicas must have a message."),
    field!(idempotence, ["enable.idempotence"], IDEMPOTENCE, "Whether retries can neither duplicate nor reorder."),
    field!(allow_auto_create_topics, ["allow.auto.create.topics"], SWITCH,
        "Whether a message may create its topic, where the cluster allows that."),
    field!(partitioning, ["partitioner.class", "partitioner"], PARTITIONING,
        "How a message without a partition gets one."),
    field!(batch.max_bytes, ["batch.size"], BYTES,
        "Bytes at which a batch is full, before compression; at most what fits into a request. A larger message gets its \
         own batch. While it waits for a free request, a batch that shrinks takes up to 8 times as many, and at most this \
         many compressed."),
    field!(batch.linger, ["linger.ms", "queue.buffering.max.ms"], TIME,
        "Longest time that a batch waits for more messages while requests are in flight."),
    field!(batch.max_request_bytes, ["max.request.size", "message.max.bytes"], BYTES,
        "Largest produce request, and so, less 1024 bytes, the **largest message**."),
    field!(batch.compression, ["compression.type", "compression.codec"], COMPRESSION,
        "Compression of each batch; needs the feature of its name."),
    field!(batch.gzip_level, ["compression.gzip.level"], LEVEL,
        "How hard gzip tries, from 1 (fast) to 9 (small)."),
    field!(batch.zstd_level, ["compression.zstd.level"], LEVEL,
        "How hard zstd tries, from 1 (fast) to 22 (small)."),
    field!(buffer.max_bytes, ["buffer.memory"], BYTES,
        "Bytes of accepted messages that are neither stored nor failed, plus 64 bytes for each."),
    field!(buffer.max_wait, ["max.block.ms"], TIME,
        "Longest wait of `send` and `enqueue` for buffer space, or for the metadata of a new topic."),
    field!(timeouts.connect, ["socket.connection.setup.timeout.ms"], TIME,
        "One connection: TCP, TLS and SASL together."),
    field!(timeouts.request, ["request.timeout.ms"], TIME, "One request, from its first byte to its answer."),
    field!(timeouts.delivery, ["delivery.timeout.ms", "message.timeout.ms"], TIME,
        "From the acceptance of a message to its acknowledgement, all retries included."),
    field!(timeouts.idle, ["connections.max.idle.ms"], IDLE,
        "A connection that was idle for this long is replaced before its next use."),
    field!(timeouts.metadata_age, ["metadata.max.age.ms"], TIME,
        "Metadata older than this is refreshed when it is next needed."),
    field!(timeouts.metadata_idle, ["metadata.max.idle.ms"], TIME,
        "A topic that was not used for this long is forgotten until a message needs it again."),
    field!(timeouts.rebootstrap, ["metadata.recovery.rebootstrap.trigger.ms"], TIME,
        "When no broker has answered a request for metadata for this long, only the configured brokers are asked."),
    field!(retry.backoff, ["retry.backoff.ms"], TIME,
        "Delay before the first retry; it grows exponentially, and half of it is random."),
    field!(retry.max_backoff, ["retry.backoff.max.ms"], TIME, "Largest delay before a retry."),
    field!(retry.max_attempts, ["retries", "message.send.max.retries"], ATTEMPTS,
        "Most attempts per batch, within `timeouts.delivery`."),
    field!(circuit_breaker.enabled, [], SWITCH, "Whether requests to a failing broker are suspended."),
    field!(circuit_breaker.consecutive_failures, [], SMALL_COUNT, "Failures in a row that open the breaker."),
    field!(circuit_breaker.failure_rate, [], PART,
        "Fraction of failed requests within ten seconds above which it opens."),
    field!(circuit_breaker.min_requests, [], SMALL_COUNT,
        "Minimum number of requests for `circuit_breaker.failure_rate`."),
    field!(circuit_breaker.open_for, [], TIME, "How long it stays open at first; twice as long each further time."),
    field!(circuit_breaker.max_open_for, [], TIME, "Longest time that it stays open."),
    field!(circuit_breaker.probes, [], SMALL_COUNT, "Good probes in a row that close it."),
    field!(circuit_breaker.when_open, [], WHEN_OPEN, "Whether messages wait while it is open, or fail at once."),
    field!(rate_limit.records_per_second, [], RATE, "Records that may leave, retries too."),
    field!(rate_limit.bytes_per_second, [], RATE, "Uncompressed bytes that may leave, retries too."),
    field!(rate_limit.adaptive, [], SWITCH, "Whether to slow down when a broker throttles; needs one of the rates."),
    field!(bulkhead.max_in_flight, ["max.in.flight.requests.per.connection", "max.in.flight"], COUNT,
        "Requests in flight to one broker; at most 5 with idempotence."),
    field!(bulkhead.topic_share, [], PART, "Part of the buffer that one topic may fill."),
    field!(bulkhead.max_connecting, [], COUNT, "Connections under construction at the same time."),
    field!(socket.keepalive, ["socket.keepalive.enable"], SWITCH,
        "Whether the system asks a peer that has been silent for a minute if it is still there."),
    field!(socket.send_buffer, ["send.buffer.bytes", "socket.send.buffer.bytes"], SOCKET_BUFFER,
        "The system's buffer for what is sent (`SO_SNDBUF`)."),
    field!(socket.receive_buffer, ["receive.buffer.bytes", "socket.receive.buffer.bytes"], SOCKET_BUFFER,
        "The system's buffer for what is received (`SO_RCVBUF`)."),
    field!(dns_lookup, ["client.dns.lookup"], DNS_LOOKUP,
        "How the hosts of the bootstrap list are looked up: by all their addresses, or by the canonical name of each."),
    part!(proxy.url, "proxy.url", [], "URL, as `socks5://proxy:1080` or `http://proxy:3128`", Proxy::parse,
        |config| config.proxy.as_ref().map(Proxy::url).unwrap_or_default(),
        "A proxy through which the brokers are reached, and which resolves their names: SOCKS5, or HTTP's `CONNECT`."),
    part!(proxy.username, "proxy.username", [], "text", some_text,
        |config| proxy_login(config, |(username, _)| username.clone()), "User name for the proxy."),
    Setting { secret: true, ..part!(proxy.password, "proxy.password", [], "text",
        |text: &str| Ok::<_, String>(Secret::from(text)), |config| proxy_login(config, |_| "***".into()),
        "Password for the proxy. It travels unencrypted.") },
    field!(telemetry.topic_labels, [], SWITCH,
        "Labels metrics with the topic, where the feature `metrics` is on: as many series as there are topics."),
    part!(security.protocol, "security.protocol", ["security.protocol"],
        "`PLAINTEXT`, `SSL`, `SASL_PLAINTEXT`, `SASL_SSL`", Protocol::parse,
        |config| Protocol::of(config).as_str().to_owned(),
        "Whether TLS and SASL are used. Without it they are as soon as a setting of theirs is there. `SASL_PLAINTEXT` \
         asks for `sasl.allow_plaintext`."),
    part!(security.roots, "tls.roots", [], "`default`, `platform`, `webpki`", |text| choice(text, &ROOTS),
        |config| tls(config, shown_roots), "Trusted root certificates, if no CA is set."),
    part!(security.ca, "tls.ca", ["ssl.truststore.location", "ssl.ca.location"], "file (PEM)", pem_file,
        |config| tls(config, shown_authorities), "The authorities that are trusted; read again for each connection."),
    part!(security.ca_pem, "tls.ca_pem", ["ssl.truststore.certificates", "ssl.ca.pem"], "text (PEM)", pem_text,
        |_| String::new(), "The same as text."),
    part!(security.identity, "tls.identity", ["ssl.keystore.location"], "file (PEM)", pem_file,
        |config| identity(config, 1, |identity| &identity.key),
        "Client certificates and their key in one file (mTLS)."),
    part!(security.certificates, "tls.certificates", ["ssl.certificate.location"], "file (PEM)", pem_file,
        |config| identity(config, 2, |identity| &identity.certificates), "Client certificates alone."),
    part!(security.certificates_pem, "tls.certificates_pem", ["ssl.keystore.certificate.chain", "ssl.certificate.pem"],
        "text (PEM)", pem_text, |_| String::new(), "The same as text."),
    part!(security.key, "tls.key", ["ssl.key.location"], "file (PEM)", pem_file,
        |config| identity(config, 2, |identity| &identity.key), "The key that belongs to them."),
    Setting { secret: true, ..part!(security.key_pem, "tls.key_pem", ["ssl.keystore.key", "ssl.key.pem"], "text (PEM)",
        pem_text, |_| String::new(), "The same as text.") },
    Setting { secret: true, ..part!(security.key_password, "tls.key_password", ["ssl.key.password"], "text",
        |text: &str| Ok::<_, String>(Secret::from(text)),
        |config| tls(config, |tls| tls.key_password.as_ref().map_or("", |_| "***").to_owned()),
        "Password of an encrypted key (PKCS#8); needs the feature `tls-encrypted-keys`.") },
    part!(security.crl, "tls.crl", ["ssl.crl.location"], "file (PEM)", pem_file,
        |config| tls(config, |tls| tls.revocations.iter().map(show).collect::<Vec<_>>().join(",")),
        "Revocation list of the authority that issued the brokers' certificates."),
    Setting {
        name: "tls.verify_hostname",
        kafka: &["ssl.endpoint.identification.algorithm"],
        unit: "`true`, `false` (Kafka: `https`, empty)",
        effect: "Whether a broker's certificate has to be for its host. `false` is dangerous, and logged as a warning.",
        secret: false,
        set: |draft, text, spelling| {
            draft.security.verify_hostname = Some((VERIFY_HOSTNAME.read)(text, spelling)?);
            draft.security.verifies_by_our_name |= spelling == Spelling::Ours;
            Ok(())
        },
        get: |config| tls(config, |tls| (!tls.any_hostname).to_string()),
    },
    part!(security.server_name, "tls.server_name", [], "text", some_text,
        |config| tls(config, |tls| tls.server_name.clone().unwrap_or_default()),
        "Name that every broker's certificate has to have, instead of its host."),
    part!(security.mechanism, "sasl.mechanism", ["sasl.mechanism", "sasl.mechanisms"], MECHANISM.unit,
        mechanism,
        |config| config.sasl.as_ref().map(|sasl| sasl.name().to_owned()).unwrap_or_default(),
        "How to log in. `OAUTHBEARER` takes tokens from an identity server (`sasl.oidc`), or from code: \
         `SaslConfig::oauth_bearer`. `AWS_MSK_IAM` needs the \
         feature `aws-msk-iam`."),
    part!(security.callback_handler, "sasl.callback_handler",
        ["sasl.client.callback.handler.class", "sasl.login.callback.handler.class"], "class of Java", callback_handler,
        |_| String::new(),
        "Where tokens come from: `IAMClientCallbackHandler` and `IAMOAuthBearerLoginCallbackHandler` of \
         `software.amazon.msk.auth.iam` are known, as `AWS_MSK_IAM`, and Kafka's `OAuthBearerLoginCallbackHandler`."),
    part!(security.username, "sasl.username", ["sasl.username"], "text", some_text, login, "User name."),
    Setting { secret: true, ..part!(security.password, "sasl.password", ["sasl.password"], "text",
        |text: &str| Ok::<_, String>(Secret::from(text)), login, "Password.") },
    Setting { secret: true, ..part!(security.jaas, "sasl.jaas.config", ["sasl.jaas.config"], "text (JAAS)", jaas::parse,
        |_| String::new(), "Both, as Java's `PlainLoginModule` and `ScramLoginModule` take them; profile and role, as `IAMLoginModule` of \
         MSK does.") },
    part!(security.allow_plaintext, "sasl.allow_plaintext", [], SWITCH.unit, |text| SWITCH.read(text),
        |config| config.sasl.as_ref().map(|sasl| sasl.allow_plaintext.to_string()).unwrap_or_default(),
        "Allows `PLAIN` and `OAUTHBEARER` without TLS, where anyone on the network can read the secret."),
    oidc!(token_endpoint, ["sasl.oauthbearer.token.endpoint.url"], "URL", |text, _| some_text(text),
        "Where an identity server issues tokens, for `OAUTHBEARER`; needs the feature `oidc`."),
    oidc!(client_id, ["sasl.oauthbearer.client.credentials.client.id", "sasl.oauthbearer.client.id"], "text",
        |text, _| some_text(text), "The client's id at the identity server."),
    Setting { secret: true, ..oidc!(client_secret,
        ["sasl.oauthbearer.client.credentials.client.secret", "sasl.oauthbearer.client.secret"], "text",
        |text, _| Ok::<_, String>(Secret::from(text)), "The client's secret.") },
    oidc!(scope, ["sasl.oauthbearer.scope"], "text", |text, _| Ok::<_, String>(text.to_owned()),
        "What is requested of the identity server; several by spaces."),
    oidc!(extensions, ["sasl.oauthbearer.extensions"], "name=value, by commas", |text, _| extensions(text),
        "SASL extensions for the brokers, such as Confluent Cloud's `logicalCluster`."),
    oidc!(urlencode_header, ["sasl.oauthbearer.header.urlencode"], SWITCH.unit, SWITCH.read,
        "Whether id and secret are URL-encoded in the header `Authorization`."),
    oidc!(grant_type, ["sasl.oauthbearer.grant.type", "sasl.oauthbearer.jwt.retriever.class"],
        "`client_credentials`, `urn:ietf:params:oauth:grant-type:jwt-bearer` (Kafka: class)", |text, _| grant(text),
        "How the client asks: with its credentials, or with an assertion as the grant."),
    oidc!(assertion_file, ["sasl.oauthbearer.assertion.file"], "file", |text, _| some_text(text),
        "A ready-made assertion in place of the secret (RFC 7523); read again for each request."),
    oidc!(assertion_key, ["sasl.oauthbearer.assertion.private.key.file"], "file (PEM)", |text, _| pem_file(text),
        "The key that signs assertions: RSA for RS256, P-256 for ES256."),
    Setting { secret: true, ..oidc!(assertion_key_pem, ["sasl.oauthbearer.assertion.private.key.pem"], "text (PEM)",
        |text, _| pem_text(text), "The same as text.") },
    Setting { secret: true, ..oidc!(assertion_key_password, ["sasl.oauthbearer.assertion.private.key.passphrase"], "text",
        |text, _| Ok::<_, String>(Secret::from(text)), "Its password; needs the feature `tls-encrypted-keys`.") },
    oidc!(assertion_key_id, [], "text", |text, _| some_text(text), "The key's name, `kid`."),
    oidc!(assertion_issuer, ["sasl.oauthbearer.assertion.claim.iss"], "text", |text, _| some_text(text),
        "Who signs an assertion, `iss`."),
    oidc!(assertion_subject, ["sasl.oauthbearer.assertion.claim.sub"], "text", |text, _| some_text(text),
        "In whose name, `sub`."),
    oidc!(assertion_audience, ["sasl.oauthbearer.assertion.claim.aud"], "text", |text, _| some_text(text),
        "For which server, `aud`."),
    oidc!(assertion_expires_after, ["sasl.oauthbearer.assertion.claim.exp.seconds"], "time (Kafka: seconds)", lifetime,
        "How long an assertion is valid, `exp`."),
    oidc!(assertion_valid_before, ["sasl.oauthbearer.assertion.claim.nbf.seconds"], "time (Kafka: seconds)", lifetime,
        "How far back its validity begins, `nbf`, for a server whose clock is behind."),
    oidc!(assertion_unique_id, ["sasl.oauthbearer.assertion.claim.jti.include"], SWITCH.unit, SWITCH.read,
        "Whether each assertion has an id, `jti`."),
    oidc!(ca, ["https.ca.location"], "file (PEM)", |text, _| pem_file(text),
        "The only authority that is trusted with the identity server."),
    oidc!(ca_pem, ["https.ca.pem"], "text (PEM)", |text, _| pem_text(text), "The same as text."),
];

const ROOTS: [(&str, TlsRoots); 3] =
    [("default", TlsRoots::Default), ("platform", TlsRoots::Platform), ("webpki", TlsRoots::Webpki)];

fn shown_roots(tls: &TlsConfig) -> String {
    ROOTS.iter().find(|(_, roots)| *roots == tls.roots).map_or("", |(name, _)| name).to_owned()
}

fn shown_authorities(tls: &TlsConfig) -> String {
    match &tls.roots {
        TlsRoots::Pem(pems) => pems.iter().map(show).collect::<Vec<_>>().join(","),
        _ => String::new(),
    }
}

/// Kafka's names of these count seconds.
fn lifetime(text: &str, spelling: Spelling) -> Result<Duration, String> {
    match spelling {
        Spelling::Ours => (TIME.read)(text, spelling),
        Spelling::Kafka => seconds(text),
    }
}

fn some_text(text: &str) -> Result<String, String> {
    match text.is_empty() {
        true => Err("is empty".into()),
        false => Ok(text.to_owned()),
    }
}

fn tls(config: &ProducerConfig, print: impl Fn(&TlsConfig) -> String) -> String {
    config.tls.as_ref().map(print).unwrap_or_default()
}

fn proxy_login(config: &ProducerConfig, print: impl Fn(&(String, Secret)) -> String) -> String {
    config.proxy.as_ref().and_then(|proxy| proxy.credentials.as_ref()).map(print).unwrap_or_default()
}

/// A part of the identity, where it is in one file or in two.
fn identity(config: &ProducerConfig, files: usize, part: impl Fn(&Identity) -> &Pem) -> String {
    tls(config, |tls| {
        let identity = tls.identity.as_ref();
        let found = identity.filter(|identity| (identity.certificates == identity.key) == (files == 1));
        found.map(|identity| show(part(identity))).unwrap_or_default()
    })
}

/// The path of a file; text is not shown.
fn show(pem: &Pem) -> String {
    match pem {
        Pem::File(path) => path.display().to_string(),
        Pem::Text(_) => "***".into(),
    }
}

/// Name and password come from a provider, which is asked at each login and not before.
fn login(config: &ProducerConfig) -> String {
    match &config.sasl {
        Some(sasl) if matches!(sasl.source, Source::Password(_)) => "***".into(),
        _ => String::new(),
    }
}
