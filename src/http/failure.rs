//! Why there is no answer.

use std::io;
use std::time::Duration;

use rustls::{CertificateError, Error as TlsError};

use crate::error::{Error, printable};

/// A request that has no answer. Says all in one line.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {failure}")]
pub(crate) struct HttpError {
    /// Method and URL.
    pub(super) what: String,
    pub(crate) failure: Failure,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the URL {0}")]
    Url(&'static str),
    #[error("its host name cannot be resolved ({0})")]
    Resolve(io::Error),
    #[error("no connection ({0})")]
    Connect(io::Error),
    /// A setting or file of TLS, which it names.
    #[error("{0}")]
    Config(Error),
    /// A certificate that is not accepted, or no version in common.
    #[error("{0}")]
    Tls(String),
    #[error("the connection ended during the TLS handshake ({0}): is it the port of a server without TLS?")]
    NoTls(String),
    #[error("the server does not answer in HTTP: does it expect https?")]
    NotHttp,
    #[error("the connection ended before the answer was complete ({0})")]
    Lost(String),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("no answer within {0:?}")]
    TooSlow(Duration),
}

impl Failure {
    /// Whether trying again can change nothing.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Url(_) | Self::Config(_) | Self::Tls(_))
    }

    pub(super) fn tls(error: &io::Error, setting: &str) -> Self {
        use CertificateError::*;
        let known = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
        Self::Tls(match known {
            Some(TlsError::InvalidCertificate(problem)) => match problem {
                UnknownIssuer => format!(
                    "its certificate is signed by an authority that is not trusted: add the authority's certificate with \
                     {setting}"
                ),
                Expired | ExpiredContext { .. } => format!("its certificate has expired ({problem})"),
                NotValidYet | NotValidYetContext { .. } => {
                    format!("its certificate is not valid yet: is a clock wrong? ({problem})")
                }
                NotValidForName | NotValidForNameContext { .. } => {
                    format!("its certificate is for another host: {problem}")
                }
                _ => format!("its certificate cannot be accepted: {problem}"),
            },
            Some(TlsError::PeerIncompatible(_)) => format!("no TLS version or cipher in common: {known:?}"),
            _ => return Self::NoTls(printable(&error.to_string())),
        })
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
    pub(super) fn http(error: hyper::Error) -> Self {
        match error.is_parse() {
            true => Self::NotHttp,
            false => Self::Lost(printable(&error.to_string())),
        }
    }
}
