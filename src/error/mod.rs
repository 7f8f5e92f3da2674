//! The error type of this crate.

mod broker;
pub(crate) mod callback;
mod chain;
mod code;
mod failed;
mod kind;
mod sentence;
mod table;
mod wait;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use broker::BrokerError;
pub(crate) use chain::{list, with_causes};
pub use code::ErrorCode;
pub(crate) use failed::Failed;
pub use kind::{ErrorKind, Fate};
pub(crate) use sentence::Seconds;
pub(crate) use table::{Blame, Retry, Row, connection_row, is_retried, row};
pub(crate) use wait::SILENT;
pub use wait::{Wait, WaitReason};

use crate::message::Message;

/// A `Result` of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

const UNSUPPORTED_VERSION: i16 = 35;

type Source = Arc<dyn std::error::Error + Send + Sync>;

/// An error: what went wrong, what it means for the message, and what to do about it.
/// `Display` shows this level only; [`source`](std::error::Error::source) is the underlying cause, which is never
/// repeated. `Debug` is one line with all of them, so that `fn main() -> Result<()>` prints something readable. The
/// wording is for people and may change; match on [`code`](Self::code), [`kind`](Self::kind) and [`fate`](Self::fate).
/// No key, value, header value, password or token is ever part of an error.
#[derive(Clone)]
pub struct Error {
    repr: Box<Repr>,
}

#[derive(Clone)]
struct Repr {
    code: ErrorCode,
    kind: ErrorKind,
    fate: Fate,
    text: Arc<str>,
    source: Option<Source>,
    broker_error: Option<BrokerError>,
    broker: Option<Arc<str>>,
    topic: Option<Arc<str>>,
    partition: Option<i32>,
    attempts: u32,
    retry_after: Option<Duration>,
    lasting: bool,
    message: Option<Message>,
    wait: Option<Arc<WaitReason>>,
}

/// Consuming setters of what an error carries: each with its argument, its field, and what that becomes.
macro_rules! with {
    ($($with:ident($value:ident: $type:ty) => $field:ident = $set:expr;)*) => {$(
        pub(crate) fn $with(mut self, $value: $type) -> Self {
            self.repr.$field = $set;
            self
        }
    )*};
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<Arc<str>>) -> Self {
        Self {
            repr: Box::new(Repr {
                code: code_of(kind),
                kind,
                fate: Fate::NotPersisted,
                text: text.into(),
                source: None,
                broker_error: None,
                broker: None,
                topic: None,
                partition: None,
                attempts: 0,
                retry_after: None,
                lasting: false,
                message: None,
                wait: None,
            }),
        }
    }

    /// An error code of a broker, with the kind and remedy of its row in the table.
    pub(crate) fn from_broker(code: i16, detail: Option<&str>) -> Self {
        let said = format!("the broker answered {}", BrokerError::new(code));
        Self::answered(code, said, detail)
    }

    /// An error code of a broker for one partition.
    pub(crate) fn for_partition(
        code: i16,
        detail: Option<&str>,
        broker: &Arc<str>,
        topic: &Arc<str>,
        partition: i32,
    ) -> Self {
        let error = BrokerError::new(code);
        let said = format!("{broker} answered {error} for partition {partition} of topic {topic:?}");
        let made = Self::answered(code, said, detail).with_broker(broker.clone());
        made.with_topic(topic.clone()).with_partition(partition)
    }

    /// An error code of a broker for a whole topic.
    pub(crate) fn for_topic(code: i16, topic: &Arc<str>) -> Self {
        let said = format!("the broker answered {} for topic {topic:?}", BrokerError::new(code));
        Self::answered(code, said, None).with_topic(topic.clone())
    }

    fn answered(code: i16, mut text: String, detail: Option<&str>) -> Self {
        let row = row(code);
        if let Some(detail) = detail.filter(|d| !d.is_empty()) {
            text.push_str(&format!(" ({})", printable(detail)));
        }
        if !row.remedy.is_empty() {
            text.push_str(": ");
            text.push_str(row.remedy);
        }
        let mut made = Self::new(row.kind, text).with_fate(row.fate);
        made.repr.broker_error = Some(BrokerError::new(code));
        made
    }

    /// What a broker would answer, or close the connection for: it does not know the request in any of our versions.
    pub(crate) fn unsupported_version(text: impl Into<Arc<str>>) -> Self {
        Self::from_broker(UNSUPPORTED_VERSION, None).with_text(text)
    }

    getters! {
        self;
        /// The code in the registry.
        code: ErrorCode => self.repr.code;
        /// The cause, more specific than the code.
        kind: ErrorKind => self.repr.kind;
        /// Whether the message may be in the log nevertheless.
        fate: Fate => self.repr.fate;
        /// The broker's error code, if it returned one.
        broker_error: Option<BrokerError> => self.repr.broker_error;
        /// The broker (`host:port`) that the error is about, if any.
        broker: Option<&str> => self.repr.broker.as_deref();
        /// How many times the message was sent before it failed; 0 if it was never sent.
        attempts: u32 => self.repr.attempts;
        /// When a retry may succeed, if that is known.
        retry_after: Option<Duration> => self.repr.retry_after;
        /// The topic that the error is about.
        topic: Option<&str> => self.repr.topic.as_deref();
        /// The partition that the error is about.
        partition: Option<i32> => self.repr.partition;
        /// What the message or the call waited for when its time ended; `None` if the error is not about a wait.
        ///
        /// The failure behind it, if there was one, is the [`source`](std::error::Error::source).
        wait_reason: Option<&WaitReason> => self.repr.wait.as_deref();
    }

    /// The message that failed, unchanged; `None` if the error is not about a message.
    #[must_use]
    pub fn into_message(self) -> Option<Message> {
        self.repr.message
    }

    with! {
        with_code(code: ErrorCode) => code = code;
        with_kind(kind: ErrorKind) => kind = kind;
        with_text(text: impl Into<Arc<str>>) => text = text.into();
        with_fate(fate: Fate) => fate = fate;
        with_source(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) => source = Some(Arc::from(source.into()));
        with_broker(broker: impl Into<Arc<str>>) => broker = Some(broker.into());
        with_topic(topic: impl Into<Arc<str>>) => topic = Some(topic.into());
        with_partition(partition: i32) => partition = Some(partition);
        with_attempts(attempts: u32) => attempts = attempts;
        with_retry_after(after: Option<Duration>) => retry_after = after;
        with_wait_reason(reason: WaitReason) => wait = Some(Arc::new(reason));
        with_message(message: Message) => message = Some(message);
    }

    pub(crate) fn with_io_cause(self, cause: Option<std::io::Error>) -> Self {
        match cause {
            Some(cause) => self.with_source(cause),
            None => self,
        }
    }

    /// Adds a cause, if there is one, unless this error has one already.
    pub(crate) fn with_cause(mut self, cause: impl Into<Option<Self>>) -> Self {
        if let (None, Some(cause)) = (&self.repr.source, cause.into()) {
            self.repr.source = Some(Arc::new(cause));
        }
        self
    }

    /// It will not go away by itself: connecting is not tried again.
    pub(crate) fn lasting(mut self) -> Self {
        self.repr.lasting = true;
        self
    }

    /// Whether trying again can change nothing.
    pub(crate) fn is_lasting(&self) -> bool {
        self.repr.lasting || self.row().retry == Retry::No
    }

    /// What the table says about this error: whether to retry, what to blame, whether to refresh metadata.
    pub(crate) fn row(&self) -> Row {
        match self.repr.broker_error {
            Some(error) => *row(error.code()),
            None => connection_row(self.repr.kind, self.repr.fate),
        }
    }
}

fn code_of(kind: ErrorKind) -> ErrorCode {
    match kind {
        ErrorKind::InvalidConfig => ErrorCode::InvalidConfig,
        ErrorKind::Unreachable | ErrorKind::CircuitOpen => ErrorCode::BrokersUnavailable,
        _ => ErrorCode::SendFailed,
    }
}

/// A user's text in quotes, short and on one line.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    format!("{:?}", without_login(text).chars().take(LONGEST).collect::<String>())
}

/// A URL without what may be secret in it: user, password and query.
#[cfg(feature = "oidc")]
pub(crate) fn shown_url(url: &str) -> String {
    let shown = without_login(url);
    shown.split('?').next().unwrap_or_default().to_owned()
}

/// A text in which somebody may have put user and password before a host, as in `http://user:password@host`.
fn without_login(text: &str) -> Cow<'_, str> {
    match text.rsplit_once('@') {
        Some((login, host)) if login.contains(':') => {
            let scheme = login.split_once("://").map_or("", |(scheme, _)| scheme);
            let slashes = if scheme.is_empty() { "" } else { "://" };
            format!("{scheme}{slashes}***@{host}").into()
        }
        _ => text.into(),
    }
}

/// A peer's text, short and fit for a log line: what would break the line, colour a terminal or turn the direction of
/// reading is escaped.
pub(crate) fn printable(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut shown = String::new();
    for (place, c) in text.chars().enumerate() {
        match c {
            _ if place == LONGEST => {
                shown.push('…');
                break;
            }
            '"' | '\'' | '\\' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    shown
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repr = &self.repr;
        f.write_str(&repr.text)?;
        if repr.attempts > 0 {
            let s = if repr.attempts == 1 { "" } else { "s" };
            write!(f, " [{} after {} attempt{s}]", repr.fate, repr.attempts)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.repr.source.as_deref().map(|s| s as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_in_a_users_text_is_not_shown() {
        for (text, shown) in [
            ("http://shop:hunter2@proxy:1080/a?b", "http://***@proxy:1080/a?b"),
            ("https://hunter2@idp", "https://***@idp"),
            ("shop:hunt?er2@kafka:9092", "***@kafka:9092"),
            ("shop:hunter@2@kafka:9092", "***@kafka:9092"),
            ("orders@eu", "orders@eu"),
            ("kafka:9092", "kafka:9092"),
        ] {
            assert_eq!(quoted(text), format!("{shown:?}"));
        }
        #[cfg(feature = "oidc")]
        assert_eq!(shown_url("https://shop:hunt?er2@idp/token?key=hunter2"), "https://***@idp/token");
    }

    #[test]
    fn an_error_is_one_word_and_can_be_shared() {
        fn shared<T: Clone + Send + Sync + 'static>() {}
        shared::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn display_says_this_level_only_and_source_the_rest() {
        let error = Error::new(ErrorKind::Unreachable, "cannot reach kafka-1:9092")
            .with_source(std::io::Error::other("connection refused"));
        assert_eq!(error.to_string(), "cannot reach kafka-1:9092");
        let source = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("connection refused"));
    }

    #[test]
    fn a_peers_text_cannot_break_a_log_line() {
        let said = format!("a \"line\"\nline\u{1b}[31m\u{202e}\u{2028}\u{200b}é\0{}", "x".repeat(1 << 20));
        let error = Error::from_broker(-1, Some(&said)).to_string();
        assert!(error.contains(r#"(a "line"\nline\u{1b}[31m\u{202e}\u{2028}\u{200b}é\0xx"#), "{error}");
        assert!(error.len() < 500, "{}", error.len());
    }
}
