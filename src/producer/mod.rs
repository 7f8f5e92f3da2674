//! The facade: one handle that accepts messages, answers for them, and ends well.

mod accept;
mod close;
mod connect;
mod explain;
mod flush;
mod health;
mod send;

use std::fmt;
use std::sync::Arc;

pub use self::explain::{BrokerWait, Explanation, PartitionWait, TopicWait};
pub use self::health::Liveness;
use crate::config::ProducerConfig;
use crate::core::{Core, TaskState};
use crate::error::Result;
use crate::telemetry::Stats;

/// A Kafka producer: a handle that is cheap to clone and safe to share.
///
/// Clones share everything: connections, buffer, counters. Call [`close`](Self::close) before the last one is
/// dropped: what is dropped without it is still delivered in the background, for as long as the runtime lives and
/// `timeouts.delivery` allows, but nobody learns of what could not be.
///
/// It needs a tokio runtime, from the first call that is awaited. One that lives in a `static` survives the end of
/// a runtime and goes on with the next.
#[derive(Clone)]
pub struct Producer {
    shared: Arc<Shared>,
}

/// What the clones share; its end is the end of the last of them.
struct Shared {
    core: Arc<Core>,
}

impl Producer {
    /// Makes a producer without any I/O: it connects when it is first used.
    ///
    /// # Errors
    ///
    /// `KAFKA_INVALID_CONFIG` naming every impossible setting, as [`ProducerConfig::validate`] does.
    pub fn new(config: ProducerConfig) -> Result<Self> {
        config.validate()?;
        let core = Core::new(config);
        Ok(Self { shared: Arc::new(Shared { core }) })
    }

    /// A snapshot of the counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.core().snapshot()
    }

    /// The producer's own tasks, for tests of this crate: their names, and how often each has come round.
    #[doc(hidden)]
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskState> {
        self.core().tasks()
    }

    /// Has a task panic, for tests of this crate.
    #[doc(hidden)]
    pub fn panic_task(&self, name: &str) {
        let core = self.core();
        core.supervisor.panic_task(name);
        core.brokers.all().iter().for_each(|broker| broker.notify());
    }

    fn core(&self) -> &Arc<Core> {
        &self.shared.core
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("config", &self.core().config).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_can_be_shared_between_threads() {
        fn shared<T: Clone + Send + Sync + 'static>() {}
        shared::<Producer>();
    }
}
