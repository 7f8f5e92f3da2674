//! Waiting until everything that was accepted is settled.

use std::sync::Arc;

use tokio::time::Instant;

use super::Producer;
use crate::accumulator::{Completion, Queue};
use crate::context::Context;
use crate::core::Core;
use crate::error::Result;
use crate::telemetry::Operation;

impl Producer {
    /// Waits until every message that was accepted before this call is stored or has failed, as its receipt reports.
    /// Lingering batches are sent at once.
    ///
    /// # Errors
    ///
    /// `DeadlineExceeded` or `Cancelled` when `ctx` ends first. The messages are not affected.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only ends the wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::{Context, Producer};
    ///
    /// # async fn example(producer: Producer) -> rskafka_producer::Result<()> {
    /// producer.flush(&Context::timeout(Duration::from_secs(10))).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn flush(&self, ctx: &Context) -> Result<()> {
        let started = Instant::now();
        let core = self.core();
        let work = async {
            let _attending = core.supervisor.wait_here();
            core.flush().await;
        };
        let result = core.supervisor.bound(ctx, work).await.map_err(|ended| core.pending().unflushed(ended));
        core.log.operation(Operation::Flush, started.elapsed(), result.as_ref().copied());
        result
    }
}

impl Core {
    pub(super) async fn flush(self: &Arc<Self>) {
        for batch in self.seal() {
            batch.finished().await;
        }
    }

    /// Closes every open batch, so that nothing lingers; what is unsettled.
    pub(super) fn seal(self: &Arc<Self>) -> Vec<Arc<Completion>> {
        let mut unsettled = Vec::new();
        for partition in self.metadata.partitions() {
            let batches = partition.queue(Queue::seal);
            if !batches.is_empty() {
                partition.broker().schedule(self, partition.clone());
            }
            unsettled.extend(batches);
        }
        unsettled
    }
}
