//! Why there are no credentials, or no token.

use std::error::Error;
use std::fmt;

use crate::error::ErrorKind;
use crate::http::HttpError;

/// A sentence for the person who has to act, without any secret, and the cause beneath it.
#[derive(Debug)]
pub(super) struct Problem {
    text: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
    is_final: bool,
}

impl Problem {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), cause: None, is_final: false }
    }

    pub(super) fn caused(text: impl Into<String>, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { cause: Some(cause.into()), ..Self::new(text) }
    }

    /// One that stays the same until somebody changes something.
    pub(super) fn lasting(text: impl Into<String>) -> Self {
        Self { is_final: true, ..Self::new(text) }
    }

    pub(super) fn unanswered(error: &HttpError) -> Self {
        Self { is_final: error.failure.is_final(), ..Self::new(error.to_string()) }
    }

    /// What this problem is the cause of.
    pub(super) fn explained(self, text: impl Into<String>) -> Self {
        Self { text: text.into(), is_final: self.is_final, cause: Some(Box::new(self)) }
    }

    /// The error of the login that it prevents.
    pub(super) fn into_error(self) -> crate::error::Error {
        let kind = if self.is_final { ErrorKind::Authentication } else { ErrorKind::Unreachable };
        let error = crate::error::Error::new(kind, format!("cannot log in at MSK: {}", self.text));
        match self.cause {
            Some(cause) => error.with_source(cause),
            None => error,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|cause| &**cause as _)
    }
}
