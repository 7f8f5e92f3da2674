//! Time limits of callers, which may be polled on one runtime, then on another, or on none.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::Supervisor;
use crate::context::{Context, Ended};

impl Supervisor {
    /// Runs `work` until it finishes or `ctx` ends, wherever the caller is polled.
    pub(crate) async fn bound<T>(
        self: &Arc<Self>,
        ctx: &Context,
        work: impl Future<Output = T>,
    ) -> Result<T, Ended> {
        ctx.bound_with(work, |at| self.sleep_until(at)).await
    }

    /// Waits until then. A timer belongs to a runtime, and one of a runtime that has shut down panics: each poll looks
    /// whether it still belongs to where it is polled.
    pub(crate) async fn sleep_until(self: &Arc<Self>, at: Instant) {
        while Instant::now() < at {
            let Some(runtime) = Handle::try_current().ok().or_else(|| self.home()) else {
                // Nothing could wake us. Other waiters are woken when the last runtime ends.
                return std::future::pending().await;
            };
            let sleep = {
                let _entered = runtime.enter();
                tokio::time::sleep_until(at)
            };
            let mut sleep = pin!(sleep);
            poll_fn(|cx| {
                let now = Handle::try_current().ok().or_else(|| self.home());
                match now {
                    Some(now) if now.id() == runtime.id() => match sleep.as_mut().poll(cx) {
                        // A thread that is blocked, and its timers with it, holds up no caller that looks again.
                        Poll::Pending if self.pinned.is_some() && Instant::now() >= at => Poll::Ready(()),
                        polled => polled,
                    },
                    _ => Poll::Ready(()),
                }
            })
            .await;
        }
    }
}
