//! An error and what caused it, as one line for people.

use std::error::Error as StdError;
use std::fmt;

use super::{Error, printable};
use crate::error::callback::guarded;

/// Longest line, in bytes: an error about a hundred brokers still fits a terminal.
const LONGEST: usize = 1_000;

/// The error and its causes, each said once.
pub(crate) fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        // A source may be user code.
        let Ok(said) = guarded("an error", || next.to_string()) else {
            break;
        };
        let said = printable(&said);
        // Some libraries repeat their source in their own text.
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = next.source();
    }
    shortened(text)
}

/// Several failures of the same kind on one line.
pub(crate) fn list<'a>(failures: impl IntoIterator<Item = &'a Error>) -> String {
    const SHOWN: usize = 3;
    let mut texts: Vec<String> = Vec::new();
    let mut more = 0;
    for text in failures.into_iter().map(with_causes) {
        match texts.len() < SHOWN {
            true => texts.push(text),
            false => more += 1,
        }
    }
    let mut list = texts.join("; ");
    if more > 0 {
        list.push_str(&format!("; and {more} more"));
    }
    list
}

fn shortened(mut text: String) -> String {
    if text.len() > LONGEST {
        let mut end = LONGEST;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

/// What `fn main() -> Result<()>` prints: the code, the kind, and the whole chain on one line. `{:#?}` has every field.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repr = &self.repr;
        if !f.alternate() {
            return write!(f, "{} ({}): {}", repr.code, repr.kind, with_causes(self));
        }
        let mut debug = f.debug_struct("Error");
        debug
            .field("code", &repr.code.as_str())
            .field("kind", &repr.kind)
            .field("fate", &repr.fate)
            .field("text", &repr.text);
        if let Some(broker) = &repr.broker {
            debug.field("broker", broker);
        }
        if let Some(topic) = &repr.topic {
            debug.field("topic", topic);
        }
        if let Some(partition) = &repr.partition {
            debug.field("partition", partition);
        }
        debug.field("attempts", &repr.attempts);
        if let Some(source) = &repr.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn unreachable() -> Error {
        Error::new(ErrorKind::Unreachable, "cannot reach kafka-1:9092")
            .with_source(std::io::Error::other("connection refused"))
    }

    #[test]
    fn debug_is_one_line_with_every_cause_once() {
        let error = Error::new(ErrorKind::DeadlineExceeded, "no broker became available in time")
            .with_source(unreachable());
        assert_eq!(
            format!("{error:?}"),
            "KAFKA_SEND_FAILED (deadline_exceeded): no broker became available in time: cannot reach \
             kafka-1:9092: connection refused"
        );
        assert!(format!("{error:#?}").contains("source: "));
    }

    #[test]
    fn a_long_list_of_failures_is_cut() {
        let failures = vec![unreachable(); 100];
        let text = list(&failures);
        assert!(text.ends_with("; and 97 more"), "{text}");
        let error = Error::new(ErrorKind::Unreachable, "x".repeat(10_000));
        assert!(with_causes(&error).len() < LONGEST + 10);
    }
}
