//! One check.

use async_trait::async_trait;

use super::HealthDetail;
use crate::context::Context;
use crate::error::{Error, ErrorCode};

/// Something whose health can be checked.
///
/// Implemented by [`Producer`](crate::Producer), and by every closure that returns a future, through
/// [`HealthRegistry::register_fn`](super::HealthRegistry::register_fn).
#[async_trait]
pub trait HealthCheck: Send + Sync {
    /// Its name in reports.
    fn name(&self) -> &str;

    /// Runs the check. Should finish before `ctx` ends; otherwise the registry aborts it.
    async fn check(&self, ctx: &Context) -> Health;

    /// More details for the report, read after each [`check`](Self::check). Must not block. Default none.
    fn details(&self) -> Vec<HealthDetail> {
        Vec::new()
    }
}

/// The outcome of a health check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It works.
    Up,
    /// It works, but not as it should; the reason.
    Degraded(String),
    /// It does not work.
    #[non_exhaustive]
    Down {
        /// The reason.
        reason: String,
        /// The code of the error behind it, where there is one.
        code: Option<ErrorCode>,
    },
}

impl Health {
    /// Why it is not up.
    pub(super) fn reason(&self) -> Option<String> {
        match self {
            Self::Up => None,
            Self::Degraded(reason) => Some(reason.clone()),
            Self::Down { reason, code: Some(code) } => Some(format!("{code}: {reason}")),
            Self::Down { reason, code: None } => Some(reason.clone()),
        }
    }

    /// Down, because of an error.
    #[must_use]
    pub fn down(error: &Error) -> Self {
        Self::Down { reason: error.to_string(), code: Some(error.code()) }
    }

    /// Down, for a custom reason.
    pub fn down_because(reason: impl Into<String>) -> Self {
        Self::Down { reason: reason.into(), code: None }
    }
}
