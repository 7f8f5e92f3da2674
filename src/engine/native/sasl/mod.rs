//! Logging in: the exchange of a mechanism's messages, and when it has to be repeated.

mod scram;

use std::fmt::Write as _;
use std::time::Duration;

use zeroize::Zeroizing;

use self::scram::{Scram, ScramError};
use super::api::{SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest};
use super::net::wire::{RequestFailed, Wire};
use crate::config::{Address, SaslConfig, SaslMechanism, Source, Token, credentials_for, token_for};
use crate::error::{BrokerError, Error, ErrorKind, Result, printable};

const UNSUPPORTED_MECHANISM: i16 = 33;
const ILLEGAL_STATE: i16 = 34;

/// Logs in anew on a connection that is logged in (KIP-368). Returns how long the session lives, where it has an end.
///
/// No other request may be *written* meanwhile; answers to earlier ones may still come.
pub(super) async fn log_in(wire: &Wire, address: &Address, sasl: &SaslConfig) -> Result<Option<Duration>> {
    let login = Login::prepare(address, sasl).await?;
    login.handshake(wire).await?;
    login.exchange(wire).await
}

/// A login whose credentials are there: [`handshake`](Self::handshake), then [`exchange`](Self::exchange).
pub(super) struct Login<'a> {
    address: &'a Address,
    mechanism: SaslMechanism,
    exchange: Exchange,
    #[cfg(feature = "http")]
    source: Source,
    /// What to check where the broker refuses, if the credentials' source knows better than their mechanism.
    remedy: Option<String>,
    /// The password ends in white space, which is seldom meant.
    ends_blank: bool,
}

/// What a mechanism has to say.
enum Exchange {
    /// One message that says it all.
    Single(Zeroizing<Vec<u8>>),
    Scram(Box<Scram>),
    /// A token; a refusal comes as a message that has to be confirmed before the error follows (RFC 7628 §3.2.3).
    Token(Zeroizing<Vec<u8>>),
}

impl Exchange {
    /// What there is to say, and whether the password ends in white space.
    async fn prepare(address: &Address, sasl: &SaslConfig) -> Result<(Self, bool)> {
        let broker = address.to_string();
        let mechanism = sasl.mechanism();
        let refused = |why: &str| refused(address, mechanism, why);
        match &sasl.source {
            Source::Token(tokens) => {
                let token = token_for(&broker, tokens.as_ref()).await?;
                bearer(&token).map(|message| (Self::Token(message), false)).map_err(refused)
            }
            #[cfg(feature = "http")]
            Source::Issuer(issuer) => {
                let token = issuer.token(&broker).await?;
                bearer(&token).map(|message| (Self::Token(message), false)).map_err(refused)
            }
            Source::Password(credentials) => {
                let credentials = credentials_for(&broker, credentials.as_ref()).await?;
                let (user, password) = (credentials.user.as_str(), credentials.password.expose());
                let ends_blank = password.ends_with(char::is_whitespace);
                if mechanism == SaslMechanism::Plain {
                    if user.contains('\0') || password.contains('\0') {
                        return Err(refused("a user name or password holds a NUL"));
                    }
                    let message = Zeroizing::new(format!("\0{user}\0{password}").into_bytes());
                    return Ok((Self::Single(message), ends_blank));
                }
                let scram = Scram::new(mechanism, user, password).map_err(|e| refused(&e.to_string()))?;
                Ok((Self::Scram(Box::new(scram)), ends_blank))
            }
        }
    }
}

/// Asks a listener whether it wants a login, which one that does says only when it is asked; `Ok` where it does not, or
/// does not say.
pub(super) async fn check_none_is_wanted(address: &Address, wire: &Wire) -> Result<()> {
    match wire.request(SaslHandshakeRequest { mechanism: "" }).await {
        Ok(answer) if answer.error_code == UNSUPPORTED_MECHANISM => {
            let offered = printable(&answer.mechanisms.join(", "));
            let text = format!("{address} wants a login, but sasl is not set; it offers {offered}");
            Err(Error::new(ErrorKind::Authentication, text).with_broker(address.to_string()))
        }
        _ => Ok(()),
    }
}

impl<'a> Login<'a> {
    /// Asks for the credentials.
    pub(super) async fn prepare(address: &'a Address, sasl: &SaslConfig) -> Result<Self> {
        let (exchange, ends_blank) = Exchange::prepare(address, sasl).await?;
        let remedy = match &sasl.source {
            #[cfg(feature = "http")]
            Source::Issuer(issuer) => Some(issuer.remedy(&address.to_string())),
            _ => None,
        };
        Ok(Self {
            address,
            mechanism: sasl.mechanism(),
            exchange,
            #[cfg(feature = "http")]
            source: sasl.source.clone(),
            remedy,
            ends_blank,
        })
    }

    /// Names the mechanism.
    pub(super) async fn handshake(&self, wire: &Wire) -> Result<()> {
        let request = SaslHandshakeRequest { mechanism: self.mechanism.as_str() };
        let answer = wire.request(request).await.map_err(|error| self.lost(error))?;
        match answer.error_code {
            0 => Ok(()),
            UNSUPPORTED_MECHANISM => Err(self.refused(&format!(
                "the listener does not offer this mechanism (sasl.mechanism); it offers {}",
                printable(&answer.mechanisms.join(", "))
            ))),
            ILLEGAL_STATE => Err(self
                .refused("the listener asks for no login: remove sasl, or use the port of a SASL listener")),
            code => Err(self.refused(&Error::from_broker(code, None).to_string())),
        }
    }

    /// Proves who we are. Returns how long the session lives, where it has an end.
    pub(super) async fn exchange(self, wire: &Wire) -> Result<Option<Duration>> {
        let lifetime_ms = match &self.exchange {
            Exchange::Single(message) => self.say(wire, message.clone()).await?.session_lifetime_ms,
            Exchange::Scram(scram) => {
                let broken = |error: ScramError| self.refused(&error.to_string());
                let challenge = self.say(wire, Zeroizing::new(scram.first().into_bytes())).await?;
                let (answer, signature) = scram.answer(&challenge.message).map_err(broken)?;
                let last = self.say(wire, Zeroizing::new(answer.into_bytes())).await?;
                signature.verify(&last.message).map_err(broken)?;
                last.session_lifetime_ms
            }
            Exchange::Token(message) => {
                let answer = self.say(wire, message.clone()).await?;
                if !answer.message.is_empty() {
                    // The error proper follows; whatever the broker says now, this is a refusal.
                    self.say(wire, Zeroizing::new(vec![1])).await?;
                    self.note_refusal();
                    let said = printable(&String::from_utf8_lossy(&answer.message));
                    let remedy = self.remedy.as_ref().map(|remedy| format!(": {remedy}")).unwrap_or_default();
                    return Err(self.refused(&format!("the token is refused: {said}{remedy}")));
                }
                answer.session_lifetime_ms
            }
        };
        Ok((lifetime_ms > 0).then(|| Duration::from_millis(lifetime_ms.unsigned_abs())))
    }

    async fn say(&self, wire: &Wire, message: Zeroizing<Vec<u8>>) -> Result<SaslAuthenticateResponse> {
        let answer =
            wire.request(SaslAuthenticateRequest { message }).await.map_err(|error| self.lost(error))?;
        match answer.error_code {
            0 => Ok(answer),
            code => {
                self.note_refusal();
                let said = printable(answer.error_message.as_deref().unwrap_or("it does not say why"));
                let remedy = match self.mechanism {
                    _ if self.remedy.is_some() => self.remedy.as_deref().unwrap_or_default(),
                    SaslMechanism::OauthBearer => "has the token expired, or is it meant for something else?",
                    _ if self.ends_blank => {
                        "check user name and password (sasl): the password ends in white space, as one from a file may"
                    }
                    _ => "check user name and password (sasl)",
                };
                Err(self.refused(&format!("{} ({said}): {remedy}", BrokerError::new(code))))
            }
        }
    }

    /// The connection broke: that says nothing of the credentials.
    #[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
    fn lost(&self, error: RequestFailed) -> Error {
        Error::new(
            ErrorKind::Unreachable,
            format!("{} closed the connection during the login ({})", self.address, self.mechanism),
        )
        .with_broker(self.address.to_string())
        .with_io_cause(error.cause())
    }

    /// The broker has answered, and does not accept the credentials.
    fn note_refusal(&self) {
        #[cfg(feature = "http")]
        if let Source::Issuer(issuer) = &self.source {
            issuer.refused();
        }
    }

    fn refused(&self, why: &str) -> Error {
        refused(self.address, self.mechanism, why)
    }
}

fn refused(address: &Address, mechanism: SaslMechanism, why: &str) -> Error {
    Error::new(ErrorKind::Authentication, format!("cannot log in at {address} with {mechanism}: {why}"))
        .with_broker(address.to_string())
}

/// The one message of a client with a token (RFC 7628 §3.1, KIP-342).
fn bearer(token: &Token) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let printable_ascii = |text: &str| text.bytes().all(|b| (0x20..0x7f).contains(&b));
    let value = token.value.expose();
    if value.is_empty() || !printable_ascii(value) {
        return Err("the token is empty or holds characters that no token has");
    }
    let mut message = Zeroizing::new(format!("n,,\x01auth=Bearer {value}\x01"));
    for (name, value) in &token.extensions {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphabetic()) || name == "auth" {
            return Err("a token extension's name is not made of letters, or is \"auth\"");
        }
        if !printable_ascii(value) {
            return Err("a token extension's value holds characters that are not printable ASCII");
        }
        // Writing to a string cannot fail.
        _ = write!(message, "{name}={value}\x01");
    }
    message.push('\x01');
    Ok(Zeroizing::new(message.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_and_its_extensions_are_framed_as_rfc_7628_says() {
        let token = Token::new("abc.def").extension("logicalCluster", "lkc-1");
        assert_eq!(&**bearer(&token).unwrap(), b"n,,\x01auth=Bearer abc.def\x01logicalCluster=lkc-1\x01\x01");
    }

    #[test]
    fn a_token_cannot_break_out_of_its_frame() {
        for token in [
            Token::new(""),
            Token::new("a\x01b"),
            Token::new("a").extension("auth", "x"),
            Token::new("a").extension("x y", "z"),
            Token::new("a").extension("x", "z\x01"),
        ] {
            assert!(bearer(&token).is_err());
        }
    }
}
