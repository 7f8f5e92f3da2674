//! What rskafka's errors mean.

use std::error::Error as StdError;

use rskafka::client::error::{Error as ClientError, ProtocolError, RequestError};

use crate::error::{Error, ErrorKind, Fate};

/// Finds the specific error in a chain that wraps it up to four times.
pub(super) fn classify(error: ClientError) -> Error {
    let made = chain(&error).find_map(verdict).unwrap_or_else(|| by_text(&error.to_string()));
    if made.broker_error().is_some() {
        return made;
    }
    made.with_source(error)
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

fn verdict(error: &(dyn StdError + 'static)) -> Option<Error> {
    match error.downcast_ref::<ClientError>()? {
        ClientError::ServerError { protocol_error, error_message, .. } => {
            Some(Error::from_broker(code_of(*protocol_error), error_message.as_deref()))
        }
        ClientError::Request(request) => Some(of_request(request)),
        ClientError::Connection(connection) => Some(by_text(&connection.to_string())),
        ClientError::InvalidResponse(_) => Some(
            Error::new(ErrorKind::Protocol, "the broker sent an answer that is not valid Kafka")
                .with_fate(Fate::PossiblyPersisted),
        ),
        _ => None,
    }
}

fn of_request(error: &RequestError) -> Error {
    match error {
        RequestError::NoVersionMatch { api_key } => Error::new(
            ErrorKind::Protocol,
            format!("the broker does not support {api_key:?} in a version that rskafka knows"),
        ),
        RequestError::ReadError(_)
        | RequestError::ReadVersionedError(_)
        | RequestError::TooMuchData { .. } => {
            Error::new(ErrorKind::Protocol, "the broker sent an answer that is not valid Kafka")
                .with_fate(Fate::PossiblyPersisted)
        }
        RequestError::WriteError(_) => Error::new(ErrorKind::Internal, "a request could not be encoded"),
        _ => Error::new(ErrorKind::ConnectionLost, "the connection broke").with_fate(Fate::PossiblyPersisted),
    }
}

/// rskafka keeps the cause of a failed bootstrap in a type that cannot be named; its text is all there is.
fn by_text(text: &str) -> Error {
    if text.contains("Sasl") {
        return Error::new(
            ErrorKind::Authentication,
            "the broker refuses the credentials: check user name and password",
        );
    }
    if text.contains("Message too large, limit is") || text.contains("early eof") {
        return Error::new(
            ErrorKind::Unreachable,
            "the peer closed the connection or does not speak Kafka in plaintext: is TLS or SASL missing?",
        );
    }
    Error::new(ErrorKind::Unreachable, "no broker could be reached")
}

/// rskafka names codes; the protocol's number is found by asking for each.
fn code_of(error: ProtocolError) -> i16 {
    (-1..=200).find(|code| ProtocolError::new(*code) == Some(error)).unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_again() {
        for code in [-1, 3, 6, 10, 19, 87] {
            let named = ProtocolError::new(code);
            assert_eq!(named.map(code_of), Some(code));
        }
    }
}
