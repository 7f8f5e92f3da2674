//! What an engine knows of the way to a broker, where something is amiss or not yet done.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;

/// See the [module](self).
#[derive(Clone, Debug)]
pub(crate) enum Link {
    /// A request is unanswered for this long.
    Silent { broker: Arc<str>, since: Duration },
    /// A connection is being made for this long; why the last attempt before it failed.
    Connecting { broker: Arc<str>, since: Duration, last: Option<Error> },
    /// There is no connection, since the last attempt failed.
    Failed { broker: Arc<str>, last: Error },
}

impl Link {
    /// The one that explains more, of two brokers that would do: a silent one, then the older attempt, then a failure.
    pub(crate) fn more_specific(self, other: Self) -> Self {
        let rank = |link: &Self| match link {
            Self::Silent { since, .. } => (2, *since),
            Self::Connecting { since, .. } => (1, *since),
            Self::Failed { .. } => (0, Duration::ZERO),
        };
        if rank(&other) > rank(&self) { other } else { self }
    }
}
