//! The end: new work is refused, old work is finished, and the rest fails.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::{Producer, Shared};
use crate::accumulator::Queue;
use crate::context::{Context, Ended};
use crate::core::Core;
use crate::error::Result;
use crate::telemetry::Operation;

impl Producer {
    /// Refuses new messages from the moment of the call, delivers those that were accepted, and closes all connections.
    ///
    /// When `ctx` ends first, the remaining messages fail: those still queued are `NotPersisted`, those in flight
    /// `PossiblyPersisted`, as each receipt reports. Calls made later, or from several tasks at once, return the same
    /// result; the earliest deadline counts.
    ///
    /// # Errors
    ///
    /// `DeadlineExceeded` or `Cancelled`, with the number of messages that failed.
    ///
    /// # Cancel safety
    ///
    /// New messages are refused even if the future is dropped. The rest is then delivered in the background.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::{Context, Producer};
    ///
    /// # async fn example(producer: Producer) {
    /// if let Err(error) = producer.close(&Context::timeout(Duration::from_secs(10))).await {
    ///     eprintln!("not everything was delivered: {error}");
    /// }
    /// # }
    /// ```
    pub fn close(&self, ctx: &Context) -> impl Future<Output = Result<()>> + Send + use<> {
        let core = self.core().clone();
        let started = Instant::now();
        core.refuse_work();
        core.start_draining();
        let ctx = ctx.clone();
        async move {
            let result = core.close(&ctx).await;
            core.log.operation(Operation::Close, started.elapsed(), result.as_ref().copied());
            result
        }
    }

    /// Whether [`close`](Self::close) was called.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn example(producer: &rskafka_producer::Producer) {
    /// if !producer.is_closed() {
    ///     drop(producer.try_enqueue(rskafka_producer::Message::new("v")));
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.core().life.is_open()
    }
}

impl Core {
    /// Accepts nothing from here on. Returns whether this call was the first.
    fn refuse_work(&self) -> bool {
        let first = self.life.drain();
        if first {
            self.buffer.close();
            for partition in self.metadata.partitions() {
                partition.queue(Queue::close);
            }
        }
        first
    }

    /// Accepts nothing from here on, unless it was closed before. What is left has to be delivered by this future; without
    /// anything left, the producer ends at once.
    pub(crate) fn left_behind(self: &Arc<Self>) -> Option<impl Future<Output = ()> + Send + use<>> {
        if !self.refuse_work() {
            return None;
        }
        if self.stats.unsettled() == 0 {
            self.end();
            return None;
        }
        Some(LastWords { core: self.clone(), done: false }.deliver())
    }

    async fn close(self: &Arc<Self>, ctx: &Context) -> Result<()> {
        let closed = match self.supervisor.bound(ctx, self.drained()).await {
            Ok(result) => result,
            // The earliest deadline ends it for all.
            Err(ended) => self.close_now(ended).await,
        };
        self.supervisor.stop();
        closed
    }

    /// The outcome of draining, which is begun again where its task ended with its runtime.
    async fn drained(self: &Arc<Self>) -> Result<()> {
        loop {
            let changed = self.life.changed();
            if let Some(outcome) = self.life.outcome() {
                return outcome;
            }
            let Ok(_attending) = self.supervisor.wait_here() else {
                return self.close_now(Ended::Deadline).await;
            };
            self.start_draining();
            changed.await;
        }
    }

    /// Drains in a separate task, once: no caller that goes away can stop it half-way.
    fn start_draining(self: &Arc<Self>) {
        if self.supervisor.is_stopped() || !self.life.drive() {
            return;
        }
        let draining = Draining(self.clone());
        self.supervisor.spawn("close", async move {
            draining.0.flush().await;
            if draining.0.life.drained() {
                draining.0.stop();
            }
        });
    }

    /// Fails everything that is left, wherever it is, and says how much that was.
    async fn close_now(self: &Arc<Self>, ended: Ended) -> Result<()> {
        if let Some(outcome) = self.life.outcome() {
            return outcome;
        }
        let unsettled = self.seal();
        // The reasons are known only while messages wait.
        let pending = self.pending();
        let before = match self.life.fail(self.stats.lost()) {
            Ok(before) => before,
            Err(outcome) => return outcome,
        };
        // The tasks end, and with them what they have in flight.
        self.end();
        // A message that a thread is busy with comes back when the thread is done.
        let settled = async {
            for batch in unsettled {
                batch.finished().await;
            }
        };
        let grace = Context::timeout(GRACE);
        _ = self.supervisor.bound(&grace, settled).await;
        // Nothing is accepted any more, so that whatever was not stored had failed before, or fails by this.
        let left = self.stats.not_acked().saturating_sub(before);
        self.life.close(match left {
            0 => Ok(()),
            left => Err(pending.undelivered(left, ended)),
        })
    }
}

/// How long closing waits for a thread that is busy with a message, once its context has ended.
const GRACE: Duration = Duration::from_millis(100);

/// A drain under way. Where it ends with its runtime, the callers that wait start another one.
struct Draining(Arc<Core>);

impl Drop for Draining {
    fn drop(&mut self) {
        self.0.life.undriven();
    }
}

/// The last handle is gone: what was accepted is still delivered, in the background.
impl Drop for Shared {
    fn drop(&mut self) {
        let Some(delivering) = self.core.left_behind() else { return };
        // The runtime on which this handle is dropped is driven; the home may no longer be.
        match Handle::try_current() {
            Ok(here) if self.core.config.runtime.is_none() => drop(here.spawn(delivering)),
            _ => self.core.supervisor.spawn("last messages", delivering),
        }
    }
}

/// Delivering what a dropped producer left. Without a runtime, or when that ends, all that can be done is to answer for
/// it and to say so.
struct LastWords {
    core: Arc<Core>,
    done: bool,
}

impl LastWords {
    fn report(&self, before: u64) {
        let lost = self.core.stats.lost() - before;
        if lost > 0 {
            self.core.log.dropped(lost as usize);
        }
    }

    async fn deliver(mut self) {
        let limit = Context::timeout(self.core.config.timeouts.delivery);
        let before = self.core.stats.lost();
        // Messages may also run out of time before the limit does, which is not an error of closing.
        _ = self.core.close(&limit).await;
        self.done = true;
        self.report(before);
    }
}

impl Drop for LastWords {
    fn drop(&mut self) {
        if !self.done {
            let before = self.core.stats.lost();
            self.core.end();
            self.report(before);
        }
    }
}
