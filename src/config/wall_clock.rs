//! The time of day.

use std::sync::Arc;
use std::time::SystemTime;

use crate::telemetry::Log;

/// Where the time of day comes from: the system, or a function that the user set. The monotonic clock is tokio's, which
/// tests can pause.
#[derive(Clone, Default)]
pub(crate) struct WallClock {
    custom: Option<Arc<dyn Fn() -> SystemTime + Send + Sync>>,
    log: Log,
}

impl WallClock {
    pub(crate) fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { custom: Some(Arc::new(now)), log: Log::default() }
    }

    /// This clock, whose panics are reported there.
    pub(crate) fn reporting_to(self, log: &Log) -> Self {
        Self { log: log.clone(), ..self }
    }

    /// Whether reading it calls user code, which must not happen under a lock.
    pub(crate) fn is_custom(&self) -> bool {
        self.custom.is_some()
    }

    /// The time of day; the system's, where a custom clock panics.
    pub(crate) fn wall(&self) -> SystemTime {
        let custom = self.custom.as_ref().and_then(|now| self.log.contain("the wall clock", || now()));
        custom.unwrap_or_else(SystemTime::now)
    }
}
