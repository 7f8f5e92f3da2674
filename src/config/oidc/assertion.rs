//! Signed statements of a client, as RFC 7523 has them.

use std::path::PathBuf;
use std::time::Duration;

use super::super::{Pem, Secret};
use super::{EXPIRES_AFTER, VALID_BEFORE};

/// A signed statement by which a client proves who it is to an identity server (RFC 7523), in place of a secret.
///
/// A JSON web token, either ready-made in a file or made and signed for each request: with RS256 for an RSA key, with ES256
/// for a key on P-256.
#[derive(Clone, Debug)]
pub struct ClientAssertion {
    pub(crate) origin: Origin,
}

#[derive(Clone, Debug)]
pub(crate) enum Origin {
    File(PathBuf),
    Signed(Signed),
}

/// What is signed, and with which key.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) key: Pem,
    pub(crate) key_password: Option<Secret>,
    pub(crate) key_id: Option<String>,
    pub(crate) issuer: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) audience: Option<String>,
    pub(crate) expires_after: Duration,
    pub(crate) valid_before: Duration,
    pub(crate) unique_id: bool,
}

impl ClientAssertion {
    /// A ready-made token in a file, which is read for each request: something else renews it (Kafka:
    /// `sasl.oauthbearer.assertion.file`). White space around it is ignored.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { origin: Origin::File(path.into()) }
    }

    /// A token that is made for each request and signed with this key, PKCS#8, PKCS#1 or SEC1 in PEM format (Kafka:
    /// `sasl.oauthbearer.assertion.private.key.file`).
    #[must_use]
    pub fn signed(key: Pem) -> Self {
        Self {
            origin: Origin::Signed(Signed {
                key,
                key_password: None,
                key_id: None,
                issuer: None,
                subject: None,
                audience: None,
                expires_after: EXPIRES_AFTER,
                valid_before: VALID_BEFORE,
                unique_id: false,
            }),
        }
    }

    fn with(mut self, set: impl FnOnce(&mut Signed)) -> Self {
        if let Origin::Signed(signed) = &mut self.origin {
            set(signed);
        }
        self
    }

    /// Sets the password of an encrypted key (PKCS#8). Needs the feature `tls-encrypted-keys`. No effect with a file, nor have
    /// the following.
    #[must_use]
    pub fn key_password(self, password: impl Into<Secret>) -> Self {
        let password = password.into();
        self.with(|signed| signed.key_password = Some(password))
    }

    /// Sets the key's name, the header `kid`, by which a server finds its public half.
    #[must_use]
    pub fn key_id(self, id: impl Into<String>) -> Self {
        self.with(|signed| signed.key_id = Some(id.into()))
    }

    /// Sets the claim `iss`, who signs; with client credentials the client's id (Kafka:
    /// `sasl.oauthbearer.assertion.claim.iss`).
    #[must_use]
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.with(|signed| signed.issuer = Some(issuer.into()))
    }

    /// Sets the claim `sub`, in whose name the token is requested (Kafka: `sasl.oauthbearer.assertion.claim.sub`).
    #[must_use]
    pub fn subject(self, subject: impl Into<String>) -> Self {
        self.with(|signed| signed.subject = Some(subject.into()))
    }

    /// Sets the claim `aud`, the server; often the URL of the token endpoint (Kafka:
    /// `sasl.oauthbearer.assertion.claim.aud`).
    #[must_use]
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.with(|signed| signed.audience = Some(audience.into()))
    }

    /// Sets how long the assertion is valid, the claim `exp`. Default 5 minutes.
    #[must_use]
    pub fn expires_after(self, lifetime: Duration) -> Self {
        self.with(|signed| signed.expires_after = lifetime)
    }

    /// Sets since when the assertion is valid, for servers whose clock is behind: the claim `nbf` is that much in the past.
    /// Default 1 minute.
    #[must_use]
    pub fn valid_before(self, leeway: Duration) -> Self {
        self.with(|signed| signed.valid_before = leeway)
    }

    /// Sets whether each assertion has a random id, the claim `jti`. Default false.
    #[must_use]
    pub fn unique_id(self, unique: bool) -> Self {
        self.with(|signed| signed.unique_id = unique)
    }

    pub(super) fn validate(&self, problems: &mut Vec<String>) {
        match &self.origin {
            Origin::File(path) if path.as_os_str().is_empty() => problems
                .push("sasl.oidc.assertion_file (sasl.oauthbearer.assertion.file) is an empty path".into()),
            Origin::Signed(signed) if signed.expires_after < Duration::from_secs(1) => problems.push(
                "sasl.oidc.assertion_expires_after (sasl.oauthbearer.assertion.claim.exp.seconds) has to be at least a second"
                    .into(),
            ),
            _ => {}
        }
    }
}
