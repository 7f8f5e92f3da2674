//! Tokens of an identity server (RFC 6749 §4.4, RFC 7523).

mod answer;
mod assertion;
mod form;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use self::answer::{read, refused};
use self::form::{basic, body};
use super::{Cached, Fetch, Fetched};
use crate::clock::scaled;
#[cfg(feature = "text-config")]
use crate::config::oidc::shown;
use crate::config::oidc::{CA, Proof};
use crate::config::tls::https::Trust;
use crate::config::{Oidc, SaslMechanism, Surroundings, TlsConfig, Token, TokenIssuer, WallClock};
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Client, Failure, Method, Request, Response, Url};

/// Part of `timeouts.connect` that a request may take: what it has to say comes before the connection is abandoned.
const PART: f64 = 0.8;
const LONGEST: Duration = Duration::from_secs(15);

#[async_trait]
impl TokenIssuer for Oidc {
    fn prepared(&self, surroundings: &Surroundings) -> Arc<dyn TokenIssuer> {
        Arc::new(Tokens::new(self, surroundings))
    }

    fn name(&self) -> &'static str {
        SaslMechanism::OauthBearer.as_str()
    }

    #[cfg(feature = "text-config")]
    fn setting(&self, name: &str) -> String {
        name.strip_prefix("sasl.oidc.").map(|name| shown(self, name)).unwrap_or_default()
    }

    async fn token(&self, broker: &str) -> Result<Token> {
        self.prepared(&Surroundings::default()).token(broker).await
    }

    fn remedy(&self, _broker: &str) -> String {
        "do the brokers trust this identity server, and is the token's audience the one that they expect?"
            .into()
    }

    fn validate(&self, allow_plaintext: bool, problems: &mut Vec<String>) {
        self.check(allow_plaintext, problems);
    }
}

/// The tokens of one producer, each shared by all connections.
struct Tokens {
    cached: Cached<Endpoint>,
    oidc: Arc<Oidc>,
}

debug_as!(tokens: Tokens { oidc: tokens.oidc, .. });

impl Tokens {
    fn new(oidc: &Oidc, surroundings: &Surroundings) -> Self {
        let (oidc, tls) = (Arc::new(oidc.clone()), &surroundings.tls);
        let endpoint = Endpoint {
            client: Client::new(Trust::new(oidc.ca.clone(), tls.clone(), CA)),
            oidc: oidc.clone(),
            tls: tls.clone().unwrap_or_default(),
            clock: surroundings.clock.clone(),
            limit: scaled(surroundings.connect, PART).min(LONGEST),
        };
        Self { cached: Cached::new(endpoint), oidc }
    }
}

#[async_trait]
impl TokenIssuer for Tokens {
    fn prepared(&self, surroundings: &Surroundings) -> Arc<dyn TokenIssuer> {
        self.oidc.prepared(surroundings)
    }

    fn name(&self) -> &'static str {
        self.oidc.name()
    }

    async fn token(&self, broker: &str) -> Result<Token> {
        self.cached.get().await.map_err(|error| error.with_broker(broker))
    }

    fn refused(&self) {
        self.cached.discard();
    }

    fn remedy(&self, broker: &str) -> String {
        self.oidc.remedy(broker)
    }

    fn validate(&self, allow_plaintext: bool, problems: &mut Vec<String>) {
        self.oidc.validate(allow_plaintext, problems);
    }
}

/// The server, and how it is asked.
struct Endpoint {
    client: Client,
    oidc: Arc<Oidc>,
    tls: TlsConfig,
    clock: WallClock,
    limit: Duration,
}

/// Why there is no token: whether trying again may help, and a clause.
#[derive(Debug)]
struct NoToken {
    kind: ErrorKind,
    why: String,
}

impl NoToken {
    fn new(kind: ErrorKind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into() }
    }
}

#[async_trait]
impl Fetch for Endpoint {
    type Value = Token;

    async fn fetch(&self) -> Result<Fetched<Token>> {
        let url = Url::parse(&self.oidc.endpoint).map_err(|why| {
            let text = format!("sasl.oidc.token_endpoint (sasl.oauthbearer.token.endpoint.url) {why}");
            Error::new(ErrorKind::InvalidConfig, text)
        })?;
        let server = url.to_string();
        let fetched = self.request(url).await;
        fetched.map_err(|NoToken { kind, why }| {
            let why = match &self.oidc.proof {
                // The server's words may repeat what it was sent.
                Proof::Secret(secret) if !secret.is_empty() => why.replace(secret.expose(), "***"),
                _ => why,
            };
            Error::new(kind, format!("no token from the identity server {server}: {why}"))
        })
    }
}

impl Endpoint {
    async fn request(&self, url: Url) -> Result<Fetched<Token>, NoToken> {
        let (oidc, invalid) = (&self.oidc, |why: String| NoToken::new(ErrorKind::InvalidConfig, why));
        let mut request = Request::new(Method::POST, url)
            .header("accept", "application/json")
            .and_then(|request| request.header("content-type", "application/x-www-form-urlencoded"))
            .map_err(invalid)?;
        let assertion = match &oidc.proof {
            Proof::Secret(secret) => {
                let login =
                    basic(oidc.client_id.as_deref().unwrap_or_default(), secret, oidc.urlencode_header);
                request = request.header("authorization", &login).map_err(invalid)?;
                None
            }
            Proof::Assertion(assertion) | Proof::JwtBearer(assertion) => {
                Some(assertion::make(assertion, &self.tls, self.clock.wall())?)
            }
        };
        let request = request.body(body(oidc, assertion.as_ref()));
        let response = self.client.send(request, self.limit).await.map_err(|error| failed(&error.failure))?;
        let now = self.clock.wall();
        match response.is_success() {
            true => self.accept(&response, now),
            false => Err(refused(&response, now)),
        }
    }

    fn accept(&self, response: &Response, now: SystemTime) -> Result<Fetched<Token>, NoToken> {
        let (value, lifetime) = read(response, now)?;
        let mut token = Token::new(value);
        for (name, value) in &self.oidc.extensions {
            token = token.extension(name.as_str(), value.as_str());
        }
        Ok(Fetched { value: token, lifetime })
    }
}

fn failed(failure: &Failure) -> NoToken {
    let kind = match failure.is_final() {
        true => ErrorKind::InvalidConfig,
        false => ErrorKind::Unreachable,
    };
    NoToken::new(kind, failure.to_string())
}
