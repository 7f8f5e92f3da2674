//! The facade: the handle that users hold.

// rustdoc shows the methods of `Producer` in the order of these modules.
mod connect;

mod send;

mod bulk;

mod sink;

mod topic;

mod flush;

mod close;

mod health;

mod describe;

mod explain;

mod accept;
mod admission;

use std::sync::Arc;

pub use self::describe::{BrokerInfo, PartitionInfo};
pub use self::explain::{BrokerWait, Explanation, PartitionWait, TopicWait};
pub use self::health::Liveness;
pub use self::sink::ProducerSink;
pub use self::topic::TopicProducer;
use crate::core::{Core, TaskState};
use crate::telemetry::Stats;

/// A Kafka producer: a handle that is cheap to clone and safe to share.
///
/// Clones share everything: connections, buffer, counters. Call [`close`](Self::close) before the last one is dropped.
/// Messages left behind without it are still delivered in the background, for as long as the runtime lives and
/// `timeouts.delivery` allows, but only a log event reports those that could not be delivered.
///
/// It needs a tokio runtime from the first call that is awaited. A producer in a `static` survives the end of a runtime
/// and continues on the next one.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
/// use rskafka_producer::{Context, Producer, ProducerConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> rskafka_producer::Result<()> {
/// let ctx = Context::timeout(Duration::from_secs(30));
/// let config = ProducerConfig::new(["kafka-1:9092"]).topic("events");
/// let producer = Producer::connect(&ctx, config).await?;
/// producer.send_message(&ctx, "order-42", "paid").await?;
/// producer.close(&ctx).await
/// # }
/// ```
#[derive(Clone)]
pub struct Producer {
    shared: Arc<Shared>,
}

/// What the clones share; its end is the end of the last of them.
struct Shared {
    core: Arc<Core>,
}

impl Producer {
    /// Returns a snapshot of the counters.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn example(producer: &rskafka_producer::Producer) {
    /// let stats = producer.stats();
    /// println!("{} stored, {} bytes buffered", stats.records_acked, stats.buffer_bytes);
    /// # }
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.core().snapshot()
    }

    /// The producer's own tasks, for tests of this crate: their names, and how many turns each has taken.
    #[doc(hidden)]
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskState> {
        self.core().tasks()
    }

    /// Makes a task panic, for tests of this crate.
    #[doc(hidden)]
    pub fn panic_task(&self, name: &str) {
        let core = self.core();
        core.supervisor.panic_task(name);
        core.brokers.all().iter().for_each(|broker| broker.notify());
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.shared.core
    }
}

debug_as!(producer: Producer { config: producer.core().config, .. });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_can_be_shared_between_threads() {
        fn shared<T: Clone + Send + Sync + 'static>() {}
        shared::<Producer>();
    }
}
