//! The listeners of a secured cluster, and how Kafka is configured for each.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{Mechanism, PASSWORD, USER};

/// A way into a [`JvmCluster`](crate::JvmCluster), each on a separate port. All but the first need
/// [`secured`](crate::JvmClusterBuilder::secured).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Listener {
    /// `PLAINTEXT`: neither encrypted nor authenticated. Brokers talk to one another through it.
    Plaintext,
    /// `SSL`, with [`Certificates::server`](crate::Certificates::server).
    Ssl,
    /// `SSL` that demands a certificate of the client.
    MutualTls,
    /// `SASL_PLAINTEXT`.
    SaslPlaintext,
    /// `SASL_SSL`.
    SaslSsl,
    /// `SASL_SSL` that demands a certificate of the client besides.
    SaslMutualTls,
    /// `SSL`, with [`Certificates::rsa_server`](crate::Certificates::rsa_server).
    RsaCertificate,
    /// `SSL`, with [`Certificates::expired_server`](crate::Certificates::expired_server).
    ExpiredCertificate,
    /// `SSL`, with [`Certificates::wrong_host_server`](crate::Certificates::wrong_host_server).
    WrongHostCertificate,
}

impl Listener {
    /// All that a secured cluster has.
    pub const ALL: [Self; 9] = [
        Self::Plaintext,
        Self::Ssl,
        Self::MutualTls,
        Self::SaslPlaintext,
        Self::SaslSsl,
        Self::SaslMutualTls,
        Self::RsaCertificate,
        Self::ExpiredCertificate,
        Self::WrongHostCertificate,
    ];

    /// The name in the brokers' settings: in lower case it is the `x` of `listener.name.x.ssl.client.auth`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::MutualTls => "MTLS",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
            Self::SaslMutualTls => "SASL_MTLS",
            Self::RsaCertificate => "SSL_RSA",
            Self::ExpiredCertificate => "SSL_EXPIRED",
            Self::WrongHostCertificate => "SSL_WRONG_HOST",
        }
    }

    /// The client's `security.protocol`.
    #[must_use]
    pub fn protocol(self) -> &'static str {
        match (self.has_tls(), self.has_sasl()) {
            (false, false) => "PLAINTEXT",
            (true, false) => "SSL",
            (false, true) => "SASL_PLAINTEXT",
            (true, true) => "SASL_SSL",
        }
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub fn has_tls(self) -> bool {
        !matches!(self, Self::Plaintext | Self::SaslPlaintext)
    }

    /// Whether clients authenticate by SASL.
    #[must_use]
    pub fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl | Self::SaslMutualTls)
    }

    /// Whether clients have to show a certificate.
    #[must_use]
    pub fn wants_certificate(self) -> bool {
        matches!(self, Self::MutualTls | Self::SaslMutualTls)
    }

    /// Of the files that [`Certificates::write_to`](crate::Certificates::write_to) writes.
    fn keystore(self) -> &'static str {
        match self {
            Self::RsaCertificate => "rsa-server.keystore.pem",
            Self::ExpiredCertificate => "expired-server.keystore.pem",
            Self::WrongHostCertificate => "wrong-host-server.keystore.pem",
            _ => "server.keystore.pem",
        }
    }
}

/// Who may come in, and how.
#[derive(Clone, Debug)]
pub(super) struct Security {
    pub(super) users: BTreeMap<String, String>,
    /// Where not all are allowed.
    pub(super) mechanisms: BTreeMap<Listener, Vec<Mechanism>>,
}

impl Default for Security {
    fn default() -> Self {
        let users = BTreeMap::from([(USER.to_owned(), PASSWORD.to_owned())]);
        Self { users, mechanisms: BTreeMap::new() }
    }
}

impl Security {
    /// The configuration of all listeners.
    pub(super) fn settings(&self, certificates: &Path) -> BTreeMap<String, String> {
        let file = |name| certificates.join(name).display().to_string();
        let mut settings = BTreeMap::new();
        for listener in Listener::ALL {
            let mut set = |key: &str, value: String| {
                settings.insert(format!("listener.name.{}.{key}", listener.name().to_lowercase()), value);
            };
            if listener.has_tls() {
                set("ssl.keystore.type", "PEM".into());
                set("ssl.keystore.location", file(listener.keystore()));
                set("ssl.truststore.type", "PEM".into());
                set("ssl.truststore.location", file("ca.pem"));
                set("ssl.client.auth", if listener.wants_certificate() { "required" } else { "none" }.into());
            }
            if listener.has_sasl() {
                let mechanisms = self.mechanisms.get(&listener).map_or(&Mechanism::ALL[..], Vec::as_slice);
                let names: Vec<_> = mechanisms.iter().map(|mechanism| mechanism.name()).collect();
                set("sasl.enabled.mechanisms", names.join(","));
                for mechanism in mechanisms {
                    let key = format!("{}.sasl.jaas.config", mechanism.name().to_lowercase());
                    set(&key, self.server_jaas(*mechanism));
                }
            }
        }
        settings
    }

    fn server_jaas(&self, mechanism: Mechanism) -> String {
        let options: String = match mechanism {
            Mechanism::Plain => {
                self.users.iter().map(|(name, word)| format!(" user_{name}={}", quoted(word))).collect()
            }
            Mechanism::ScramSha256 | Mechanism::ScramSha512 => String::new(),
            // It logs in itself, though it never uses that.
            Mechanism::OAuthBearer => r#" unsecuredLoginStringClaim_sub="broker""#.into(),
        };
        format!("{} required{options};", module(mechanism))
    }

    /// Arguments of `StorageTool format` that put the users in place.
    pub(super) fn scram_users(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        for (name, word) in &self.users {
            for mechanism in [Mechanism::ScramSha256, Mechanism::ScramSha512] {
                arguments.push("--add-scram".to_owned());
                arguments.push(format!("{}=[name={name},password={word}]", mechanism.name()));
            }
        }
        arguments
    }
}

/// `sasl.jaas.config` of a client that is [`USER`].
pub(super) fn client_jaas(mechanism: Mechanism) -> String {
    let options = match mechanism {
        Mechanism::OAuthBearer => format!("unsecuredLoginStringClaim_sub={}", quoted(USER)),
        _ => format!("username={} password={}", quoted(USER), quoted(PASSWORD)),
    };
    format!("{} required {options};", module(mechanism))
}

fn module(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Plain => "org.apache.kafka.common.security.plain.PlainLoginModule",
        Mechanism::ScramSha256 | Mechanism::ScramSha512 => {
            "org.apache.kafka.common.security.scram.ScramLoginModule"
        }
        Mechanism::OAuthBearer => "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule",
    }
}

fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', r"\\").replace('"', r#"\""#))
}
