//! Tokens of an identity server: where they come from and how they are requested.

mod assertion;
#[cfg(feature = "text-config")]
mod shown;

use std::time::Duration;

pub use self::assertion::ClientAssertion;
pub(crate) use self::assertion::{Origin, Signed};
#[cfg(feature = "text-config")]
pub(crate) use self::shown::shown;
use super::{Pem, Secret};
use crate::error::shown_url;

/// Bearer tokens of an OAuth 2 or OpenID Connect identity server, for [`SaslConfig::oidc`](crate::SaslConfig::oidc) (Kafka:
/// `sasl.oauthbearer.*`).
///
/// A token is fetched when the first broker wants one, shared by all connections, and refreshed when four fifths of its
/// lifetime have passed. One fetch runs at a time, and at most two begin within five seconds. While a refresh fails, the old
/// token is used as long as it is valid.
///
/// # Examples
///
/// ```
/// use rskafka_producer::{Oidc, ProducerConfig, SaslConfig, TlsConfig};
///
/// # fn secret() -> String { "s".into() }
/// let oidc = Oidc::client_credentials("https://idp.example/oauth2/token", "orders", secret())
///     .scope("kafka")
///     .extension("logicalCluster", "lkc-12345");
/// let config = ProducerConfig::new("kafka:9094").tls(TlsConfig::default()).sasl(SaslConfig::oidc(oidc));
/// ```
#[derive(Clone)]
pub struct Oidc {
    pub(crate) endpoint: String,
    pub(crate) client_id: Option<String>,
    pub(crate) proof: Proof,
    pub(crate) scope: Option<String>,
    pub(crate) extensions: Vec<(String, String)>,
    pub(crate) urlencode_header: bool,
    pub(crate) ca: Vec<Pem>,
}

/// How the client proves who it is.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    /// RFC 6749 §4.4, KIP-768.
    Secret(Secret),
    /// RFC 7523 §2.2, KIP-1258: in place of the secret.
    Assertion(ClientAssertion),
    /// RFC 7523 §2.1, KIP-1139: the assertion is the grant.
    JwtBearer(ClientAssertion),
}

/// The name of the setting of [`Oidc::ca`], for errors.
pub(crate) const CA: &str = "sasl.oidc.ca (https.ca.location, Oidc::ca)";

impl Oidc {
    /// The client credentials grant (RFC 6749 §4.4, KIP-768): id and secret travel in the header `Authorization`.
    ///
    /// `url` is the complete URL of the token endpoint, such as `https://idp.example/oauth2/token`.
    pub fn client_credentials(
        url: impl Into<String>,
        id: impl Into<String>,
        secret: impl Into<Secret>,
    ) -> Self {
        Self::new(url.into(), Some(id.into()), Proof::Secret(secret.into()))
    }

    /// The client credentials grant with a signed assertion in place of the secret (RFC 7523 §2.2, KIP-1258).
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::{ClientAssertion, Oidc, Pem};
    ///
    /// let url = "https://idp.example/oauth2/token";
    /// let assertion = ClientAssertion::signed(Pem::file("/etc/kafka/client.key"))
    ///     .issuer("orders")
    ///     .subject("orders")
    ///     .audience(url);
    /// let oidc = Oidc::client_assertion(url, assertion).client_id("orders");
    /// ```
    pub fn client_assertion(url: impl Into<String>, assertion: ClientAssertion) -> Self {
        Self::new(url.into(), None, Proof::Assertion(assertion))
    }

    /// The JWT bearer grant: the assertion itself is exchanged for a token (RFC 7523 §2.1, KIP-1139).
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::{ClientAssertion, Oidc};
    ///
    /// let oidc = Oidc::jwt_bearer("https://idp.example/token", ClientAssertion::file("/run/secrets/assertion.jwt"));
    /// ```
    pub fn jwt_bearer(url: impl Into<String>, assertion: ClientAssertion) -> Self {
        Self::new(url.into(), None, Proof::JwtBearer(assertion))
    }

    fn new(endpoint: String, client_id: Option<String>, proof: Proof) -> Self {
        Self {
            endpoint,
            client_id,
            proof,
            scope: None,
            extensions: Vec::new(),
            urlencode_header: false,
            ca: Vec::new(),
        }
    }

    /// Sets the client id that is sent beside an assertion, where the server wants one.
    #[must_use]
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// Sets the scope that is requested; several are separated by spaces. Default: the server's.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Adds a SASL extension for the brokers (KIP-342), such as Confluent Cloud's `logicalCluster` and `identityPoolId`.
    #[must_use]
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extensions.push((name.into(), value.into()));
        self
    }

    /// Sets whether id and secret are encoded as RFC 6749 §2.3.1 wants it before they go into the header; most servers expect
    /// them as they are. Default false (Kafka: `sasl.oauthbearer.header.urlencode`).
    #[must_use]
    pub fn urlencode_header(mut self, encode: bool) -> Self {
        self.urlencode_header = encode;
        self
    }

    /// Trusts only this authority with the identity server; may be called several times (librdkafka: `https.ca.location`).
    ///
    /// Default: the platform's or Mozilla's authorities, by the features `tls-platform-roots` and `tls-webpki-roots`, and
    /// those of [`TlsConfig::ca`](crate::TlsConfig::ca).
    #[must_use]
    pub fn ca(mut self, ca: Pem) -> Self {
        self.ca.push(ca);
        self
    }

    pub(crate) fn check(&self, allow_plaintext: bool, problems: &mut Vec<String>) {
        const ENDPOINT: &str = "sasl.oidc.token_endpoint (sasl.oauthbearer.token.endpoint.url)";
        let scheme =
            self.endpoint.split_once("://").map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
        match scheme.as_ref().map(|(scheme, rest)| (scheme.as_str(), *rest)) {
            Some((_, rest)) if authority(rest).contains('@') => problems.push(format!(
                "{ENDPOINT} has a user or a password before its host: they belong into client_id and client_secret"
            )),
            Some(("https", rest)) if !rest.is_empty() => {}
            Some(("http", rest)) if allow_plaintext || is_local(rest) => {}
            Some(("http", _)) => problems.push(format!(
                "{ENDPOINT} without https shows secrets and tokens to everyone on the way: use https, or allow it with \
                 sasl.allow_plaintext (SaslConfig::allow_plaintext)"
            )),
            _ => problems.push(format!("{ENDPOINT} is not a complete URL; expected https://HOST/PATH")),
        }
        match &self.proof {
            Proof::Secret(secret) => {
                if self.client_id.as_ref().is_none_or(String::is_empty) || secret.is_empty() {
                    problems.push(
                        "sasl.oidc.client_id or client_secret (sasl.oauthbearer.client.credentials.client.id, \
                         .client.secret) is empty"
                            .into(),
                    );
                }
            }
            Proof::Assertion(assertion) | Proof::JwtBearer(assertion) => assertion.validate(problems),
        }
        for (name, value) in &self.extensions {
            let printable = value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
            if name.is_empty()
                || name == "auth"
                || !name.bytes().all(|b| b.is_ascii_alphabetic())
                || !printable
            {
                problems.push(
                    "sasl.oidc.extensions (sasl.oauthbearer.extensions): a name has to be made of letters and may not be \
                     \"auth\", a value of printable ASCII"
                        .into(),
                );
            }
        }
    }
}

/// Whether what follows `http://` is this machine.
fn is_local(rest: &str) -> bool {
    let host = match authority(rest).strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority(rest).split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Host and port, in what follows `://`.
fn authority(rest: &str) -> &str {
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// The default of [`ClientAssertion::expires_after`].
pub(crate) const EXPIRES_AFTER: Duration = Duration::from_secs(300);
/// The default of [`ClientAssertion::valid_before`].
pub(crate) const VALID_BEFORE: Duration = Duration::from_secs(60);

debug_as!(oidc: Oidc {
    endpoint: shown_url(&oidc.endpoint),
    client_id: oidc.client_id,
    proof: oidc.proof,
    scope: oidc.scope,
    extensions: oidc.extensions,
    ca: oidc.ca,
    ..
});

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(oidc: &Oidc, allow_plaintext: bool) -> String {
        let mut problems = Vec::new();
        oidc.check(allow_plaintext, &mut problems);
        problems.join("; ")
    }

    #[test]
    fn what_cannot_work_is_said_before_the_first_request() {
        let at = |url: &str| Oidc::client_credentials(url, "id", "hunter2");
        let assertion = |url: &str| Oidc::client_assertion(url, ClientAssertion::file("/a"));
        for url in ["https://idp/token", "http://localhost:80/", "http://127.0.0.1", "http://[::1]:9/x"] {
            assert_eq!(problems(&at(url), false), "");
            assert_eq!(problems(&assertion(url), false), "");
        }
        assert_eq!(problems(&at("http://idp/"), true), "");
        for (oidc, expected) in [
            (at("http://idp/token"), "without https"),
            (at("http://127.0.0.1.idp/"), "without https"),
            (at("idp/token"), "complete URL"),
            (at("ftp://idp"), "complete URL"),
            (at("https://"), "complete URL"),
            (at("https://orders:hunter2@idp/"), "before its host"),
            (at("http://hunter2@127.0.0.1/"), "before its host"),
            (Oidc::client_credentials("https://idp", "", "hunter2"), "is empty"),
            (Oidc::client_credentials("https://idp", "id", ""), "is empty"),
            (at("https://idp").extension("a-b", "hunter2"), "letters"),
            (at("https://idp").extension("a", "hunter2\n"), "printable"),
            (Oidc::jwt_bearer("https://idp", ClientAssertion::file("")), "assertion_file"),
        ] {
            let problem = problems(&oidc, false);
            assert!(problem.contains(expected) && !problem.contains("hunter2"), "{problem}");
        }
        for url in [
            "https://idp/?key=hunter2",
            "https://orders:hunter2@idp/",
            "https://hunter2@idp",
            "//a:hunter2@b",
        ] {
            assert!(!format!("{:?}", at(url)).contains("hunter2"), "{url}");
        }
    }
}
