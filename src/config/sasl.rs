//! Who this producer is, as brokers ask it (SASL).

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;

use super::Secret;
#[cfg(feature = "http")]
use super::{ProducerConfig, Surroundings, TokenIssuer};
use crate::error::callback::guarded_async;
use crate::error::{Error, ErrorKind, Result};

/// Authentication (Kafka: `sasl.*`).
///
/// Credentials are requested on every login, so that a provider can rotate them. A session that expires is
/// renewed on the open connection before it does (KIP-368).
///
/// ```
/// use rskafka_producer::{ProducerConfig, SaslConfig};
///
/// let config = ProducerConfig::new(["kafka:9094"])
///     .sasl(SaslConfig::scram_sha_512("alice", std::env::var("KAFKA_PASSWORD").unwrap_or_default()));
/// ```
#[derive(Clone)]
pub struct SaslConfig {
    pub(crate) mechanism: SaslMechanism,
    pub(crate) source: Source,
    pub(crate) allow_plaintext: bool,
}

names! {
    /// A SASL mechanism of Kafka.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum SaslMechanism {
        /// User name and password in clear text (RFC 4616).
        Plain = "PLAIN",
        /// Salted challenge and response with SHA-256 (RFC 7677).
        ScramSha256 = "SCRAM-SHA-256",
        /// Salted challenge and response with SHA-512.
        ScramSha512 = "SCRAM-SHA-512",
        /// A token of an OAuth 2 server (RFC 7628, KIP-255).
        OauthBearer = "OAUTHBEARER",
    }

    /// The name on the wire and in Kafka's settings.
    as_str;

    /// Every mechanism.
    ALL;
}

impl SaslMechanism {
    /// Whether an eavesdropper could log in afterwards.
    pub(crate) fn reveals_secret(self) -> bool {
        matches!(self, Self::Plain | Self::OauthBearer)
    }
}

/// Where the credentials of each login come from.
#[derive(Clone)]
pub(crate) enum Source {
    Password(Arc<dyn CredentialsProvider>),
    Token(Arc<dyn TokenProvider>),
    #[cfg(feature = "http")]
    #[cfg_attr(
        not(any(feature = "aws-msk-iam", feature = "oidc")),
        allow(dead_code, reason = "issuers are features")
    )]
    Issuer(Arc<dyn TokenIssuer>),
}

/// An error of a provider; it becomes the source of the producer's error, so it must hold no secret.
pub type ProviderError = Box<dyn std::error::Error + Send + Sync>;

/// Calls the provider of user names and passwords.
pub(crate) async fn credentials_for(broker: &str, provider: &dyn CredentialsProvider) -> Result<Credentials> {
    let called = guarded_async("the credentials provider", || provider.credentials(broker)).await;
    called.unwrap_or_else(|panicked| Err(panicked.into())).map_err(|error| no_credentials(broker, error))
}

/// Calls the provider of tokens.
pub(crate) async fn token_for(broker: &str, provider: &dyn TokenProvider) -> Result<Token> {
    let called = guarded_async("the token provider", || provider.token(broker)).await;
    called.unwrap_or_else(|panicked| Err(panicked.into())).map_err(|error| no_credentials(broker, error))
}

/// A provider failed: no login was attempted, and none was refused.
fn no_credentials(broker: &str, error: ProviderError) -> Error {
    Error::new(ErrorKind::Unreachable, format!("no credentials for {broker}: their provider failed"))
        .with_broker(broker)
        .with_source(error)
}

/// A user's name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub(crate) user: String,
    pub(crate) password: Secret,
}

impl Credentials {
    /// A user's name and password.
    pub fn new(user: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self { user: user.into(), password: password.into() }
    }
}

/// Provides user name and password for each login, for passwords that are rotated.
#[async_trait]
pub trait CredentialsProvider: Send + Sync {
    /// Credentials for a login at `broker` (`host:port`). Part of `timeouts.connect`.
    ///
    /// # Errors
    ///
    /// Any error; the login fails with it and is retried later.
    async fn credentials(&self, broker: &str) -> Result<Credentials, ProviderError>;
}

#[async_trait]
impl CredentialsProvider for Credentials {
    async fn credentials(&self, _broker: &str) -> Result<Self, ProviderError> {
        Ok(self.clone())
    }
}

/// A bearer token, and the SASL extensions that some servers require (KIP-342).
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    pub(crate) value: Secret,
    pub(crate) extensions: Vec<(String, String)>,
}

impl Token {
    /// A token without extensions.
    pub fn new(value: impl Into<Secret>) -> Self {
        Self { value: value.into(), extensions: Vec::new() }
    }

    /// Adds an extension, such as Confluent Cloud's `logicalCluster`. Its name is made of letters alone, its value
    /// of printable ASCII.
    #[must_use]
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extensions.push((name.into(), value.into()));
        self
    }
}

/// Provides a bearer token for each login, such as from a signer for AWS MSK IAM or an OAuth server.
///
/// An `async` closure without arguments is one:
///
/// ```
/// use rskafka_producer::{SaslConfig, Token};
///
/// # async fn ask_the_identity_server() -> Result<String, std::io::Error> { Ok(String::new()) }
/// let sasl = SaslConfig::oauth_bearer(|| async { Ok(Token::new(ask_the_identity_server().await?)) });
/// ```
#[async_trait]
pub trait TokenProvider: Send + Sync {
    /// A token for a login at `broker` (`host:port`). Part of `timeouts.connect`; it should be valid for at least a minute.
    ///
    /// # Errors
    ///
    /// Any error; the login fails with it and is retried later.
    async fn token(&self, broker: &str) -> Result<Token, ProviderError>;
}

#[async_trait]
impl<F, Fut> TokenProvider for F
where
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Result<Token, ProviderError>> + Send,
{
    async fn token(&self, _broker: &str) -> Result<Token, ProviderError> {
        self().await
    }
}

impl SaslConfig {
    /// `PLAIN`: needs TLS, or [`allow_plaintext`](Self::allow_plaintext).
    pub fn plain(user: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self::password(SaslMechanism::Plain, Credentials::new(user, password))
    }

    /// `SCRAM-SHA-256`.
    pub fn scram_sha_256(user: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self::password(SaslMechanism::ScramSha256, Credentials::new(user, password))
    }

    /// `SCRAM-SHA-512`.
    pub fn scram_sha_512(user: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self::password(SaslMechanism::ScramSha512, Credentials::new(user, password))
    }

    /// `OAUTHBEARER`: needs TLS, or [`allow_plaintext`](Self::allow_plaintext).
    pub fn oauth_bearer(tokens: impl TokenProvider + 'static) -> Self {
        Self {
            mechanism: SaslMechanism::OauthBearer,
            source: Source::Token(Arc::new(tokens)),
            allow_plaintext: false,
        }
    }

    /// `OAUTHBEARER` with tokens of an identity server: needs TLS, or [`allow_plaintext`](Self::allow_plaintext).
    #[cfg(feature = "oidc")]
    #[cfg_attr(docsrs, doc(cfg(feature = "oidc")))]
    #[must_use]
    pub fn oidc(oidc: super::Oidc) -> Self {
        Self {
            mechanism: SaslMechanism::OauthBearer,
            source: Source::Issuer(Arc::new(oidc)),
            allow_plaintext: false,
        }
    }

    /// `OAUTHBEARER` with the signed tokens of Amazon MSK: needs TLS, or [`allow_plaintext`](Self::allow_plaintext).
    #[cfg(feature = "aws-msk-iam")]
    #[cfg_attr(docsrs, doc(cfg(feature = "aws-msk-iam")))]
    #[must_use]
    pub fn msk_iam(iam: super::MskIam) -> Self {
        Self {
            mechanism: SaslMechanism::OauthBearer,
            source: Source::Issuer(Arc::new(iam)),
            allow_plaintext: false,
        }
    }

    /// Reads name and password from a provider at each login, for a mechanism that uses them.
    ///
    /// With [`SaslMechanism::OauthBearer`], which has none, validation fails.
    pub fn password(mechanism: SaslMechanism, credentials: impl CredentialsProvider + 'static) -> Self {
        Self { mechanism, source: Source::Password(Arc::new(credentials)), allow_plaintext: false }
    }

    /// Allows `PLAIN` and `OAUTHBEARER` on connections without TLS, where anyone on the network can read the password or
    /// token. Default off.
    #[must_use]
    pub fn allow_plaintext(mut self, allow: bool) -> Self {
        self.allow_plaintext = allow;
        self
    }

    /// The mechanism.
    #[must_use]
    pub fn mechanism(&self) -> SaslMechanism {
        self.mechanism
    }

    /// The name of this login in settings: the mechanism's, unless the tokens have one.
    #[cfg(feature = "text-config")]
    pub(super) fn name(&self) -> &'static str {
        match &self.source {
            #[cfg(feature = "http")]
            Source::Issuer(issuer) => issuer.name(),
            _ => self.mechanism.as_str(),
        }
    }

    /// The value of a setting of the tokens' issuer; empty where there is none.
    #[cfg(feature = "text-config")]
    pub(super) fn issuers(&self, _setting: &str) -> String {
        match &self.source {
            #[cfg(feature = "http")]
            Source::Issuer(issuer) => issuer.setting(_setting),
            _ => String::new(),
        }
    }

    /// The settings of the tokens' issuer, for tests.
    #[cfg(all(test, feature = "aws-msk-iam"))]
    pub(super) fn issuer(&self) -> Option<String> {
        match &self.source {
            Source::Issuer(issuer) => Some(format!("{issuer:?}")),
            _ => None,
        }
    }

    /// This configuration for the producer of `config`, whose tokens no other one shares.
    #[cfg(feature = "http")]
    pub(crate) fn prepared(&self, config: &ProducerConfig) -> Self {
        match &self.source {
            Source::Issuer(issuer) => {
                Self { source: Source::Issuer(issuer.prepared(&Surroundings::of(config))), ..self.clone() }
            }
            _ => self.clone(),
        }
    }

    #[cfg(not(feature = "http"))]
    pub(crate) fn prepared(&self, _: &super::ProducerConfig) -> Self {
        self.clone()
    }

    pub(super) fn validate(&self, tls: bool, problems: &mut Vec<String>) {
        let mechanism = self.mechanism;
        if mechanism == SaslMechanism::OauthBearer && matches!(self.source, Source::Password(_)) {
            problems.push(
                "sasl (sasl.mechanism) OAUTHBEARER takes a token, not a password: use SaslConfig::oauth_bearer".into(),
            );
        }
        #[cfg(feature = "http")]
        if let Source::Issuer(issuer) = &self.source {
            issuer.validate(self.allow_plaintext, problems);
        }
        if mechanism.reveals_secret() && !tls && !self.allow_plaintext {
            problems.push(format!(
                "sasl (sasl.mechanism) {mechanism} without tls shows the secret to everyone on the way: set tls, use \
                 SCRAM, or ask for it with SaslConfig::allow_plaintext(true)"
            ));
        }
    }
}

debug_as!(sasl: SaslConfig { mechanism: sasl.mechanism, allow_plaintext: sasl.allow_plaintext, .. });

debug_as!(Credentials, "Credentials(***)");

debug_as!(Token, "Token(***)");
