//! SASL as both kinds of cluster know it.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A user that every cluster with SASL knows.
pub const USER: &str = "alice";

/// The password of [`USER`]. No word that a log would hold by chance, so that tests can search for it.
pub const PASSWORD: &str = "wonderland-4f1e";

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mechanism {
    /// `PLAIN`: name and password as they are.
    Plain,
    /// `SCRAM-SHA-256`: proof of the password.
    ScramSha256,
    /// `SCRAM-SHA-512`: proof of the password.
    ScramSha512,
    /// `OAUTHBEARER`: a token; the brokers take any that [`unsecured_token`] makes, until it expires.
    OAuthBearer,
}

impl Mechanism {
    /// All that there are.
    pub const ALL: [Self; 4] = [Self::Plain, Self::ScramSha256, Self::ScramSha512, Self::OAuthBearer];

    /// The name in Kafka's protocol and settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OAuthBearer => "OAUTHBEARER",
        }
    }
}

/// A JSON web token without signature, as Kafka's unsecured validator takes it: who, from now, for how long.
#[must_use]
pub fn unsecured_token(subject: &str, lifetime: Duration) -> String {
    unsecured_token_at(subject, SystemTime::now(), lifetime)
}

/// As [`unsecured_token`], issued at some time, so that it may be long expired.
#[must_use]
pub fn unsecured_token_at(subject: &str, issued: SystemTime, lifetime: Duration) -> String {
    let issued = issued.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let expires = (issued + lifetime).as_secs_f64();
    let subject = subject.replace('\\', r"\\").replace('"', r#"\""#);
    let claims = format!(r#"{{"sub":"{subject}","iat":{:.3},"exp":{expires:.3}}}"#, issued.as_secs_f64());
    let encode = |json: &str| URL_SAFE_NO_PAD.encode(json);
    format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(&claims))
}
