//! The end: new work is refused, old work is finished, and what cannot be finished is answered for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Core, Producer, Shared};
use crate::accumulator::Queue;
use crate::context::{Context, Ended};
use tokio::runtime::Handle;

use crate::error::Result;
use crate::telemetry::Operation;

/// How far closing has come.
#[derive(Clone, Debug, Default)]
pub(crate) enum Closing {
    #[default]
    Open,
    Draining,
    /// A context ended, and what is left fails. So many messages had failed before.
    Failing(u64),
    Done(Result<()>),
}

impl Producer {
    /// Refuses new messages from the moment of the call, delivers those that were accepted, and drops every
    /// connection.
    ///
    /// When `ctx` ends first, what is left is given up: messages that wait are `NotPersisted`, those in flight
    /// `PossiblyPersisted`; each receipt tells its own. Closing again, or from several tasks at once, gives
    /// everyone the same answer; the earliest deadline counts.
    ///
    /// # Errors
    ///
    /// `DeadlineExceeded` or `Cancelled`, with the number of messages that were given up.
    ///
    /// # Cancel safety
    ///
    /// New messages are refused even if the future is dropped. Draining then goes on in the background.
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
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.core().is_closing()
    }
}

impl Core {
    pub(super) fn is_closing(&self) -> bool {
        !matches!(*self.closing.borrow(), Closing::Open)
    }

    /// Resolves when new messages are refused: whoever waits to hand one over need not wait any longer.
    pub(super) async fn refusing(&self) {
        let mut closing = self.closing.subscribe();
        // The sender lives as long as this does.
        _ = closing.wait_for(|closing| !matches!(closing, Closing::Open)).await;
    }

    /// From here on nothing is accepted. Returns whether this call was the first.
    fn refuse_work(&self) -> bool {
        let first = self.closing.send_if_modified(|closing| {
            let open = matches!(closing, Closing::Open);
            if open {
                *closing = Closing::Draining;
            }
            open
        });
        if first {
            self.buffer.close();
            for partition in self.metadata.partitions() {
                partition.queue(Queue::close);
            }
        }
        first
    }

    async fn close(self: &Arc<Self>, ctx: &Context) -> Result<()> {
        let closed = match self.supervisor.bound(ctx, self.drained()).await {
            Ok(result) => result,
            // Whoever has the least time ends it for all.
            Err(ended) => self.close_now(ended).await,
        };
        self.supervisor.stop();
        closed
    }

    /// The outcome of draining; begun again where its task ended with its runtime.
    async fn drained(self: &Arc<Self>) -> Result<()> {
        let mut closing = self.closing.subscribe();
        loop {
            if let Closing::Done(result) = &*closing.borrow_and_update() {
                return result.clone();
            }
            let Ok(_attending) = self.supervisor.wait_here() else {
                return self.close_now(Ended::Deadline).await;
            };
            self.start_draining();
            if closing.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    /// Drains in a task of its own, once: no caller that goes away can stop it half-way.
    fn start_draining(self: &Arc<Self>) {
        if self.supervisor.is_stopped() || self.draining.swap(true, std::sync::atomic::Ordering::AcqRel) {
            return;
        }
        let draining = Draining(self.clone());
        self.supervisor.spawn("close", async move {
            draining.0.flush().await;
            draining.0.drained_in_time();
        });
    }

    /// Everything is settled. Not the outcome where it is only so because a context ended meanwhile.
    fn drained_in_time(&self) {
        let in_time = self.closing.send_if_modified(|closing| {
            let draining = matches!(closing, Closing::Draining);
            if draining {
                *closing = Closing::Done(Ok(()));
            }
            draining
        });
        if in_time {
            self.stop();
        }
    }

    /// Publishes the outcome, unless there is one.
    fn closed(&self, result: Result<()>) {
        self.closing.send_if_modified(|closing| {
            let open = !matches!(closing, Closing::Done(_));
            if open {
                *closing = Closing::Done(result);
            }
            open
        });
    }

    /// Fails everything that is left, wherever it is, and says how much that was.
    async fn close_now(self: &Arc<Self>, ended: Ended) -> Result<()> {
        let mut before = self.stats.lost();
        self.closing.send_modify(|closing| match closing {
            // Several contexts may end at the same time: they count from the same state.
            Closing::Failing(earlier) => before = *earlier,
            Closing::Done(_) => {}
            _ => *closing = Closing::Failing(before),
        });
        if let Closing::Done(result) = &*self.closing.borrow() {
            return result.clone();
        }
        let unsettled = self.seal();
        // Why is known only while they wait.
        let pending = self.pending();
        // The tasks end, and with them what they have in flight.
        self.end();
        // What a thread is busy with at the moment comes back when it lets go.
        let settled = async {
            for batch in unsettled {
                batch.finished().await;
            }
        };
        let grace = Context::timeout(GRACE);
        _ = self.supervisor.bound(&grace, settled).await;
        // Nothing is accepted any more, so that whatever was not stored had failed before, or fails by this.
        let left = self.stats.not_acked().saturating_sub(before);
        let result = match left {
            0 => Ok(()),
            left => Err(pending.undelivered(left, ended)),
        };
        self.closed(result);
        match &*self.closing.borrow() {
            Closing::Done(result) => result.clone(),
            _ => Ok(()),
        }
    }
}

/// How long closing waits for a thread that is busy with a message, once its context has ended.
const GRACE: Duration = Duration::from_millis(100);

/// A drain under way. One that ends with its runtime makes way for the next, and has those who wait begin it.
struct Draining(Arc<Core>);

impl Drop for Draining {
    fn drop(&mut self) {
        if !matches!(*self.0.closing.borrow(), Closing::Done(_)) {
            self.0.draining.store(false, std::sync::atomic::Ordering::Release);
            self.0.closing.send_modify(|_| {});
        }
    }
}

/// The last handle is gone: what was accepted is still delivered, in the background.
impl Drop for Shared {
    fn drop(&mut self) {
        let core = self.core.clone();
        if !core.refuse_work() {
            return;
        }
        let unsettled = core.stats.unsettled();
        if unsettled == 0 {
            core.end();
            return;
        }
        let delivering = LastWords { core, done: false }.deliver();
        // Where this handle is dropped somebody drives the runtime; the home may have been left.
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
    fn tell(&self, before: u64) {
        let lost = self.core.stats.lost() - before;
        if lost > 0 {
            self.core.log.dropped(lost as usize);
        }
    }

    async fn deliver(mut self) {
        let limit = Context::timeout(self.core.config.timeouts.delivery);
        let before = self.core.stats.lost();
        // Messages may also run out of time before the limit does, which is no error of closing.
        _ = self.core.close(&limit).await;
        self.done = true;
        self.tell(before);
    }
}

impl Drop for LastWords {
    fn drop(&mut self) {
        if !self.done {
            let before = self.core.stats.lost();
            self.core.end();
            self.tell(before);
        }
    }
}
