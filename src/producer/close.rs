//! The end: new work is refused, old work is finished, and what cannot be finished is answered for.

use std::sync::Arc;
use std::time::Instant;

use tokio::time::Instant as Deadline;

use super::{Core, Handle, Producer};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Fate, Result};
use crate::logging::Operation;

/// How far closing has come.
#[derive(Clone, Debug, Default)]
pub(crate) enum Closing {
    #[default]
    Open,
    /// Draining until the earliest deadline of those who asked for it.
    Draining(Option<Deadline>),
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

    /// From here on nothing is accepted. Returns whether this call was the first.
    fn refuse_work(&self) -> bool {
        let first = self.closing.send_if_modified(|closing| {
            let open = matches!(closing, Closing::Open);
            if open {
                *closing = Closing::Draining(None);
            }
            open
        });
        if first {
            self.buffer.close();
            for partition in self.cluster.partitions() {
                partition.close();
            }
        }
        first
    }

    async fn close(self: &Arc<Self>, ctx: &Context) -> Result<()> {
        let mut closing = self.closing.subscribe();
        self.start_draining();
        tokio::select! {
            biased;
            result = done(&mut closing) => return result,
            _ = ctx.end() => {}
        }
        // Whoever has the least time ends it for all.
        self.closing.send_modify(|closing| {
            if let Closing::Draining(deadline) = closing {
                *deadline = Some(Deadline::now());
            }
        });
        done(&mut closing).await
    }

    /// Drains in a task of its own, once: no caller that goes away can stop it half-way.
    fn start_draining(self: &Arc<Self>) {
        if self.draining.swap(true, std::sync::atomic::Ordering::AcqRel) {
            return;
        }
        let core = self.clone();
        tokio::spawn(async move {
            let result = core.drain().await;
            core.closing.send_replace(Closing::Done(result));
        });
    }

    async fn drain(self: &Arc<Self>) -> Result<()> {
        let mut closing = self.closing.subscribe();
        let cut = async {
            let ended = |closing: &Closing| matches!(closing, Closing::Draining(Some(_)));
            if closing.wait_for(ended).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = self.flush() => {
                self.stop();
                return Ok(());
            }
            () = cut => {}
        }
        let left = self.give_up().await;
        if left == 0 {
            return Ok(());
        }
        let text = format!("{left} messages were given up: the context ended before they were acknowledged");
        Err(Error::new(ErrorKind::DeadlineExceeded, text).with_fate(Fate::PossiblyPersisted))
    }

    /// Fails everything that is left; how many messages.
    async fn give_up(self: &Arc<Self>) -> u64 {
        let before = self.stats.lost();
        let error = Error::new(ErrorKind::Closed, "the producer was closed before the message was sent");
        for partition in self.cluster.partitions() {
            let failed = partition.fail_waiting(&error);
            self.stats.failed(partition.topic(), failed, Fate::NotPersisted, &error);
        }
        let in_flight = self.seal();
        // The lanes end, and with them what they have in flight.
        self.stop();
        for batch in in_flight {
            batch.finished().await;
        }
        self.stats.lost() - before
    }
}

async fn done(closing: &mut tokio::sync::watch::Receiver<Closing>) -> Result<()> {
    match closing.wait_for(|closing| matches!(closing, Closing::Done(_))).await.as_deref() {
        Ok(Closing::Done(result)) => result.clone(),
        _ => Ok(()),
    }
}

/// The last handle is gone: what was accepted is still delivered, in the background.
impl Drop for Handle {
    fn drop(&mut self) {
        let core = self.core.clone();
        if !core.refuse_work() {
            return;
        }
        let unsettled = core.stats.unsettled();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            core.stop();
            if unsettled > 0 {
                core.log.dropped(unsettled);
            }
            return;
        };
        if unsettled == 0 {
            core.stop();
            return;
        }
        runtime.spawn(async move {
            let limit = Context::timeout(core.config.timeouts.delivery);
            let before = core.stats.lost();
            // Messages may also run out of time before the limit does, which is no error of closing.
            _ = core.close(&limit).await;
            let lost = core.stats.lost() - before;
            if lost > 0 {
                core.log.dropped(lost as usize);
            }
        });
    }
}
