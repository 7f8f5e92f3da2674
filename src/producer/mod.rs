//! The facade: one handle that accepts messages, answers for them, and ends well.

mod accept;
mod close;
mod core;
mod explain;
mod flush;
mod health;
mod owner;
mod pending;
mod room;
mod send;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

pub(crate) use self::core::Core;
pub use self::explain::{BrokerWait, Explanation, PartitionWait, TopicWait};
pub use self::health::Liveness;
pub use self::owner::TaskState;
use crate::config::ProducerConfig;
use crate::context::Context;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::telemetry::{Operation, Stats};

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

    /// Makes a producer that has reached a broker, is authenticated, and knows its default topic.
    ///
    /// Tries every broker of the list, again and again, until one can be used or `ctx` ends; without a deadline
    /// in `ctx`, until `timeouts.connect` has passed twice.
    ///
    /// # Errors
    ///
    /// `KAFKA_INVALID_CONFIG` if a setting is impossible, the credentials are refused or the default topic does
    /// not exist; `KAFKA_BROKERS_UNAVAILABLE` if no broker can be reached in time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the connection attempts and leaves nothing behind.
    pub async fn connect(ctx: &Context, config: ProducerConfig) -> Result<Self> {
        let started = Instant::now();
        let producer = Self::new(config)?;
        let core = producer.core();
        let result = core.connect(ctx).await.map_err(at_startup);
        core.log.operation(Operation::Connect, started.elapsed(), result.as_ref().copied());
        match result {
            Ok(()) => Ok(producer),
            Err(error) => {
                core.end();
                Err(error)
            }
        }
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

/// What is wrong at the start and stays wrong is wrong in the configuration; the rest is the brokers'.
fn at_startup(error: Error) -> Error {
    let code = match error.kind() {
        ErrorKind::Authentication
        | ErrorKind::Authorization
        | ErrorKind::Tls
        | ErrorKind::InvalidTopic
        | ErrorKind::UnknownTopic
        | ErrorKind::InvalidConfig => ErrorCode::InvalidConfig,
        _ => ErrorCode::BrokersUnavailable,
    };
    error.with_code(code)
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
