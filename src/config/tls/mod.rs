//! TLS: trusted authorities, and the producer's certificate.

#[cfg(feature = "tls")]
mod any_name;
#[cfg(feature = "tls")]
pub(crate) mod client_config;
#[cfg(feature = "http")]
#[cfg_attr(not(feature = "oidc"), allow(dead_code, reason = "its users are features"))]
pub(crate) mod https;
#[cfg(feature = "tls")]
mod key;
#[cfg(feature = "tls")]
mod pem;
#[cfg(feature = "tls")]
mod provider;
#[cfg(feature = "oidc")]
pub(crate) mod signing;

use std::fmt;
use std::path::PathBuf;
#[cfg(feature = "tls")]
use std::sync::Arc;

use super::Secret;

/// Encrypted connections (Kafka: `security.protocol=SSL` or `SASL_SSL`, `ssl.*`). Requires a feature: `tls-graviola` (no
/// C; x86_64 and aarch64), `tls-ring` (C), or `tls` with a custom crypto provider. Files are read again for each
/// connection, so that certificates can be rotated while the producer runs.
///
/// ```
/// use rskafka_producer::{Pem, ProducerConfig, TlsConfig};
///
/// let tls = TlsConfig::default()
///     .ca(Pem::file("/etc/kafka/ca.pem"))
///     .identity(Pem::file("/etc/kafka/client.pem"), Pem::file("/etc/kafka/client.key"));
/// let config = ProducerConfig::new(["kafka:9093"]).tls(tls);
/// ```
#[derive(Clone, Default)]
pub struct TlsConfig {
    pub(crate) roots: TlsRoots,
    pub(crate) identity: Option<Identity>,
    pub(crate) key_password: Option<Secret>,
    pub(crate) revocations: Vec<Pem>,
    pub(crate) server_name: Option<String>,
    pub(crate) any_hostname: bool,
    #[cfg(feature = "tls")]
    pub(crate) provider: Option<Arc<rustls::crypto::CryptoProvider>>,
    #[cfg(feature = "tls")]
    pub(crate) client_config: Option<Arc<rustls::ClientConfig>>,
}

/// The trusted root certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsRoots {
    /// The platform's, or Mozilla's if only the feature `tls-webpki-roots` is enabled.
    #[default]
    Default,
    /// Those of the operating system, or of `SSL_CERT_FILE` and `SSL_CERT_DIR`. Feature `tls-platform-roots`.
    Platform,
    /// Mozilla's list, built into the program. Feature `tls-webpki-roots`.
    Webpki,
    /// Only these (Kafka: `ssl.truststore.location` or `ssl.truststore.certificates`, type PEM).
    Pem(Vec<Pem>),
}

/// Certificates or a key in PEM format.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pem {
    /// In a file, which is read for each connection.
    File(PathBuf),
    /// As text.
    Text(Secret),
}

impl Pem {
    /// A file, which is read for each connection.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File(path.into())
    }

    /// The text itself.
    pub fn text(text: impl Into<Secret>) -> Self {
        Self::Text(text.into())
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Text(_) => f.write_str("(text)"),
        }
    }
}

/// The client's certificate and key (mTLS).
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "tls"),
    allow(dead_code, reason = "kept so that a configuration can be read without TLS")
)]
pub(crate) struct Identity {
    pub(crate) certificates: Pem,
    pub(crate) key: Pem,
}

impl TlsConfig {
    /// Trusts this authority; may be called several times (Kafka: `ssl.truststore.location`, type PEM).
    #[must_use]
    pub fn ca(mut self, ca: Pem) -> Self {
        match &mut self.roots {
            TlsRoots::Pem(pems) => pems.push(ca),
            roots => *roots = TlsRoots::Pem(vec![ca]),
        }
        self
    }

    /// Sets the trusted root certificates.
    #[must_use]
    pub fn roots(mut self, roots: TlsRoots) -> Self {
        self.roots = roots;
        self
    }

    /// Sets the certificate chain that is presented to brokers that request one, and its key as PKCS#8, PKCS#1 or SEC1
    /// (Kafka: `ssl.keystore.location`, type PEM). A key that is encrypted needs [`key_password`](Self::key_password).
    #[must_use]
    pub fn identity(mut self, certificates: Pem, key: Pem) -> Self {
        self.identity = Some(Identity { certificates, key });
        self
    }

    /// Sets the password of a key that is encrypted as PKCS#8 ("BEGIN ENCRYPTED PRIVATE KEY"), with AES and PBKDF2 or
    /// scrypt (Kafka: `ssl.key.password`). Needs the feature `tls-encrypted-keys`; not used for other keys. A line break at
    /// its end is not part of it.
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::{Pem, TlsConfig};
    ///
    /// # fn password() -> String { String::new() }
    /// let tls = TlsConfig::default()
    ///     .identity(Pem::file("/etc/kafka/client.pem"), Pem::file("/etc/kafka/client.key"))
    ///     .key_password(password());
    /// ```
    #[must_use]
    pub fn key_password(mut self, password: impl Into<Secret>) -> Self {
        self.key_password = Some(password.into());
        self
    }

    /// Refuses brokers whose certificates this list revokes; may be called several times (librdkafka: `ssl.crl.location`).
    /// Every broker's certificate then needs a list of its issuer that has not expired; intermediate certificates are not
    /// checked.
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::{Pem, TlsConfig};
    ///
    /// let tls = TlsConfig::default().ca(Pem::file("/etc/kafka/ca.pem")).crl(Pem::file("/etc/kafka/ca.crl"));
    /// ```
    #[must_use]
    pub fn crl(mut self, list: Pem) -> Self {
        self.revocations.push(list);
        self
    }

    /// Sets whether a broker's certificate has to be for the name by which it is reached. Default true.
    ///
    /// With `false`, anyone with any certificate of a trusted authority can pose as a broker; a warning is logged, as the
    /// event `tls.hostname_unverified`. The authority is still checked. If certificates have one name that is not the host,
    /// [`server_name`](Self::server_name) is safer. Kafka: `ssl.endpoint.identification.algorithm`, empty for `false`.
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::{Pem, TlsConfig};
    ///
    /// let tls = TlsConfig::default().ca(Pem::file("/etc/kafka/ca.pem")).verify_hostname(false);
    /// ```
    #[must_use]
    pub fn verify_hostname(mut self, verify: bool) -> Self {
        self.any_hostname = !verify;
        self
    }

    /// Sets the name expected in brokers' certificates, instead of their host names.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    pub(super) fn validate(&self, problems: &mut Vec<String>) {
        if !cfg!(feature = "tls") {
            problems.push(
                "tls (security.protocol) is not part of this build: enable the feature tls-graviola (no C), tls-ring or \
                 tls of rskafka-producer"
                    .into(),
            );
        }
        let missing = |feature| {
            format!(
                "tls.roots needs the feature {feature} of rskafka-producer, or an authority with tls.ca (TlsConfig::ca)"
            )
        };
        match &self.roots {
            TlsRoots::Platform if !cfg!(feature = "tls-platform-roots") => {
                problems.push(missing("tls-platform-roots"));
            }
            TlsRoots::Webpki if !cfg!(feature = "tls-webpki-roots") => {
                problems.push(missing("tls-webpki-roots"))
            }
            TlsRoots::Default if !self.finds_roots() => {
                problems.push(missing("tls-platform-roots or tls-webpki-roots"));
            }
            TlsRoots::Pem(pems) if pems.is_empty() => {
                problems
                    .push("tls.roots (ssl.truststore) is an empty list: no broker could be trusted".into());
            }
            _ => {}
        }
        #[cfg(feature = "tls")]
        if let Err(problem) = client_config::check(self) {
            problems.push(problem);
        }
    }

    fn finds_roots(&self) -> bool {
        #[cfg(feature = "tls")]
        if self.client_config.is_some() {
            return true;
        }
        cfg!(any(feature = "tls-platform-roots", feature = "tls-webpki-roots"))
    }

    /// Sets the crypto provider, instead of the process default or the one of a feature.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn provider(mut self, provider: Arc<rustls::crypto::CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Sets the complete rustls configuration, for anything that has no setting here. Apart from it only
    /// [`server_name`](Self::server_name) is used.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn client_config(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.client_config = Some(config);
        self
    }
}

debug_as!(tls: TlsConfig {
    roots: tls.roots,
    identity: tls.identity.as_ref().map(|i| &i.certificates),
    key_password: tls.key_password,
    crl: tls.revocations,
    server_name: tls.server_name,
    verify_hostname: !tls.any_hostname,
    ..
});
