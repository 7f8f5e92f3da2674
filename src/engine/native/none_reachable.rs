//! What is said when no broker can be reached.

use crate::error::{Error, ErrorKind, list};

/// One error for all brokers: the cause that someone has to act on wins over a broker that is merely away.
pub(super) fn none_reachable(failures: &[Error]) -> Error {
    let specific = |error: &&Error| {
        matches!(
            error.kind(),
            ErrorKind::Authentication | ErrorKind::InvalidConfig | ErrorKind::Tls | ErrorKind::Protocol
        )
    };
    if let [only] = failures {
        return only.clone();
    }
    let kind = failures.iter().find(specific).map_or(ErrorKind::Unreachable, Error::kind);
    let retry_after = failures.iter().filter_map(Error::retry_after).min();
    let first = failures.iter().filter(specific);
    let others = failures.iter().filter(|failure| !specific(failure));
    let text = format!("no broker can be used: {}", list(first.chain(others)));
    let hopeless = failures.iter().all(|error| error.is_lasting());
    let error = match failures.iter().find(specific).filter(|_| hopeless) {
        // What the table says about it holds for all of them.
        Some(first) => first.clone().with_text(text),
        None => Error::new(kind, text),
    };
    error.with_retry_after(retry_after)
}
