//! When something last went well.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::error::Result;
use crate::supervisor::Flight;

#[derive(Default)]
pub(crate) struct Evidence {
    last: Mutex<Option<Instant>>,
    /// One probe at a time, for all callers that wait for it.
    pub(crate) probe: Flight<Result<()>>,
}

impl Evidence {
    /// A broker acknowledged messages, or answered a probe.
    pub(crate) fn delivered(&self, now: Instant) {
        *self.last.lock() = Some(now);
    }

    /// Time since then.
    pub(crate) fn age(&self, now: Instant) -> Option<Duration> {
        self.last.lock().map(|at| now.saturating_duration_since(at))
    }
}
