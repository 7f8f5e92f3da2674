//! SASL of the fake cluster: who may come in, and how far a connection is with it.

mod scram;
mod token;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use self::scram::{ClientFirst, Exchange, Hash};
use crate::{Mechanism, PASSWORD, USER};

/// What a [`FakeCluster`](crate::FakeCluster) with SASL demands of its clients.
#[derive(Clone, Debug)]
pub struct Sasl {
    mechanisms: Vec<Mechanism>,
    users: BTreeMap<String, String>,
    session_lifetime: Option<Duration>,
    failure_delay: Duration,
}

/// How often clients authenticated, over the whole cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authentications {
    /// Attempts, of which the others are parts: handshakes on connections not authenticated, or due for it again.
    pub attempts: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Attempts on a connection that was authenticated before (KIP-368).
    pub repeated: u64,
}

impl Sasl {
    /// Takes these mechanisms, and [`USER`] with [`PASSWORD`].
    #[must_use]
    pub fn new(mechanisms: &[Mechanism]) -> Self {
        Self {
            mechanisms: mechanisms.to_vec(),
            users: BTreeMap::from([(USER.to_owned(), PASSWORD.to_owned())]),
            session_lifetime: None,
            failure_delay: Duration::ZERO,
        }
    }

    /// Another user, or another password for one that is known.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.insert(name.to_owned(), password.to_owned());
        self
    }

    pub(super) fn mechanisms(&self) -> &[Mechanism] {
        &self.mechanisms
    }

    pub(super) fn delay(&self) -> Duration {
        self.failure_delay
    }

    /// How long an authentication is valid, as Kafka's `connections.max.reauth.ms`. Default: for ever, or as long as
    /// the token. Afterwards the broker closes the connection at the first request that is not an authentication.
    #[must_use]
    pub fn session_lifetime(mut self, lifetime: Duration) -> Self {
        self.session_lifetime = Some(lifetime);
        self
    }

    /// So long the broker waits before it says that an authentication failed, as Kafka's
    /// `connection.failed.authentication.delay.ms`. Default: not at all. A real broker takes 300 ms.
    #[must_use]
    pub fn failure_delay(mut self, delay: Duration) -> Self {
        self.failure_delay = delay;
        self
    }
}

/// How far a connection is.
#[derive(Debug, Default)]
pub(super) struct Session {
    step: Step,
    /// Who came in before, and when a repeated login began.
    known: Option<Known>,
}

#[derive(Debug)]
struct Known {
    user: String,
    mechanism: Mechanism,
    expires: Option<Instant>,
    repeated: Option<Instant>,
}

#[derive(Debug, Default)]
enum Step {
    /// Nothing yet: a handshake is due, or a first question for the versions.
    #[default]
    Fresh,
    /// The versions were requested: a handshake is due.
    Versions,
    /// A mechanism was chosen.
    Chosen(Mechanism),
    /// The user's first message was answered.
    Scram(Mechanism, String, Exchange),
    /// The token was refused, which the client has to acknowledge.
    Refused(Mechanism),
    Done,
}

/// What a broker makes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Welcome,
    /// An answer of this code, and nothing else happens: `ILLEGAL_SASL_STATE`.
    Illegal,
    /// The connection closes without a word.
    Closed,
}

/// The answer to `SaslAuthenticate`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Continue(Vec<u8>),
    Accepted { bytes: Vec<u8>, lifetime: Option<Duration> },
    Refused(String),
}

/// Two authentications on one connection are at least so far apart, in Kafka.
const BETWEEN: Duration = Duration::from_secs(1);

impl Session {
    /// Whether a request that is not part of SASL may be answered. `Illegal` in the middle of a login, which that ends.
    pub(super) fn admits(&mut self, asks_for_versions: bool, now: Instant) -> Admission {
        match self.step {
            Step::Fresh if asks_for_versions => {
                self.step = Step::Versions;
                Admission::Welcome
            }
            Step::Fresh | Step::Versions => Admission::Closed,
            Step::Chosen(_) | Step::Scram(..) | Step::Refused(_) => Admission::Illegal,
            Step::Done => {
                let expires = self.known.as_ref().and_then(|known| known.expires);
                if expires.is_none_or(|expires| now < expires) {
                    Admission::Welcome
                } else {
                    Admission::Closed
                }
            }
        }
    }

    /// Whether a handshake may begin. `Illegal` where the connection is authenticated and need not be again.
    pub(super) fn admits_handshake(&mut self, now: Instant) -> Admission {
        match (&self.step, &mut self.known) {
            (Step::Fresh | Step::Versions, _) => Admission::Welcome,
            (Step::Done, Some(known)) => {
                let soon = known.repeated.is_some_and(|at| now < at + BETWEEN);
                if known.expires.is_none() || soon {
                    return Admission::Illegal;
                }
                known.repeated = Some(now);
                Admission::Welcome
            }
            _ => Admission::Closed,
        }
    }

    /// Whether the client had come in before.
    pub(super) fn is_repeated(&self) -> bool {
        self.known.is_some()
    }

    /// Takes a mechanism; `false` if it is not one of ours.
    pub(super) fn choose(&mut self, name: &str, sasl: &Sasl) -> bool {
        let chosen = sasl.mechanisms.iter().find(|mechanism| mechanism.name() == name);
        if let Some(mechanism) = chosen {
            self.step = Step::Chosen(*mechanism);
        }
        chosen.is_some()
    }

    /// Whether a message of the mechanism may come. Another mechanism than before is not a repetition.
    pub(super) fn admits_authenticate(&self) -> Admission {
        match self.step {
            Step::Chosen(chosen) if self.known.as_ref().is_some_and(|known| known.mechanism != chosen) => {
                Admission::Closed
            }
            Step::Fresh | Step::Versions => Admission::Closed,
            Step::Done => Admission::Illegal,
            _ => Admission::Welcome,
        }
    }

    /// One message of the client.
    pub(super) fn step(
        &mut self,
        message: &[u8],
        sasl: &Sasl,
        nonce: &str,
        now: Instant,
        wall: SystemTime,
    ) -> Verdict {
        let again = if self.is_repeated() { "re-authentication" } else { "authentication" };
        let invalid = |mechanism: Mechanism| {
            let name = mechanism.name();
            Verdict::Refused(format!(
                "Authentication failed during {again} due to invalid credentials with SASL mechanism {name}"
            ))
        };
        match std::mem::take(&mut self.step) {
            Step::Chosen(mechanism) => match mechanism {
                Mechanism::Plain => match plain(message, sasl) {
                    Ok(user) => self.accept(user, mechanism, Vec::new(), sasl.session_lifetime, now),
                    Err(said) => Verdict::Refused(said.to_owned()),
                },
                Mechanism::ScramSha256 => self.scram(message, mechanism, Hash::Sha256, sasl, nonce, invalid),
                Mechanism::ScramSha512 => self.scram(message, mechanism, Hash::Sha512, sasl, nonce, invalid),
                Mechanism::OAuthBearer => match token::read(message, wall) {
                    Some((user, left)) => {
                        let lifetime = sasl.session_lifetime.map_or(left, |most| most.min(left));
                        self.accept(user, mechanism, Vec::new(), Some(lifetime), now)
                    }
                    None => {
                        self.step = Step::Refused(mechanism);
                        Verdict::Continue(REFUSED_TOKEN.as_bytes().to_vec())
                    }
                },
            },
            Step::Scram(mechanism, user, exchange) => {
                let password = sasl.users.get(&user).map_or("", String::as_str);
                match exchange.finish(message, password) {
                    Some(last) => self.accept(user, mechanism, last.into_bytes(), sasl.session_lifetime, now),
                    None => invalid(mechanism),
                }
            }
            Step::Refused(_) if message == b"\x01" => Verdict::Refused(REFUSED_TOKEN.to_owned()),
            Step::Refused(mechanism) => invalid(mechanism),
            Step::Fresh | Step::Versions | Step::Done => Verdict::Refused("no handshake".to_owned()),
        }
    }

    fn scram(
        &mut self,
        message: &[u8],
        mechanism: Mechanism,
        hash: Hash,
        sasl: &Sasl,
        nonce: &str,
        invalid: impl Fn(Mechanism) -> Verdict,
    ) -> Verdict {
        let Some(first) = ClientFirst::read(message).filter(|first| sasl.users.contains_key(&first.user))
        else {
            return invalid(mechanism);
        };
        if !first.authorization_id.is_empty() && first.authorization_id != first.user {
            return Verdict::Refused(OTHER_ID.to_owned());
        }
        let user = first.user.clone();
        let (answer, exchange) = first.answer(hash, nonce);
        self.step = Step::Scram(mechanism, user, exchange);
        Verdict::Continue(answer.into_bytes())
    }

    fn accept(
        &mut self,
        user: String,
        mechanism: Mechanism,
        bytes: Vec<u8>,
        lifetime: Option<Duration>,
        now: Instant,
    ) -> Verdict {
        if let Some(known) = self.known.as_ref().filter(|known| known.user != user) {
            let before = &known.user;
            return Verdict::Refused(format!(
                "Cannot change principals during re-authentication from User.{before}: User.{user}"
            ));
        }
        let repeated = self.known.as_ref().and_then(|known| known.repeated);
        let expires = lifetime.map(|lifetime| now + lifetime);
        self.known = Some(Known { user, mechanism, expires, repeated });
        self.step = Step::Done;
        Verdict::Accepted { bytes, lifetime }
    }
}

const REFUSED_TOKEN: &str = r#"{"status":"invalid_token"}"#;
const OTHER_ID: &str =
    "Authentication failed: Client requested an authorization id that is different from username";

/// `id NUL user NUL password`, answered in Kafka's words.
fn plain(message: &[u8], sasl: &Sasl) -> Result<String, &'static str> {
    let mut parts = message.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let (Some(id), Some(user), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("Invalid SASL/PLAIN response: expected 3 tokens");
    };
    match (user.as_ref(), password.as_ref()) {
        ("", _) => Err("Authentication failed: username not specified"),
        (_, "") => Err("Authentication failed: password not specified"),
        (user, password) if sasl.users.get(user).is_none_or(|right| right != password) => {
            Err("Authentication failed: Invalid username or password")
        }
        (user, _) if !id.is_empty() && id != user => Err(OTHER_ID),
        (user, _) => Ok(user.to_owned()),
    }
}
