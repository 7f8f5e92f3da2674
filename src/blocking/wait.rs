//! Blocking a thread until a future is done, whatever runs on that thread.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;
use tokio::task::unconstrained;

use crate::context::Context;
use crate::core::Core;
use crate::supervisor::Owner;

/// How often a caller enforces deadlines itself: a callback may block the producer's thread, and its timers with it.
const TICK: Duration = Duration::from_millis(500);

/// What a call needs that blocks.
#[derive(Clone)]
pub(super) struct Waiter {
    core: Arc<Core>,
    /// The producer's own runtime.
    runtime: Handle,
}

impl Waiter {
    pub(super) fn new(core: Arc<Core>, runtime: Handle) -> Self {
        Self { core, runtime }
    }

    /// Blocks until `work` is done, which `ctx` bounds.
    pub(super) fn wait<T>(&self, ctx: &Context, work: impl Future<Output = T>) -> T {
        let deadline = ctx.deadline().map(tokio::time::Instant::into_std);
        let mut work = pin!(work);
        loop {
            let now = Instant::now();
            let tick = now.checked_add(TICK).unwrap_or(now);
            let until =
                deadline.filter(|deadline| *deadline > now).map_or(tick, |deadline| deadline.min(tick));
            if let Some(done) = self.wait_until(until, work.as_mut()) {
                return done;
            }
            self.core.clone().settle_overdue();
        }
    }

    /// Blocks until `work` is done, or until then. It is polled on this thread, with the timers of the producer's runtime.
    ///
    /// tokio's `block_on` panics on a thread that runs a runtime. This one must not rely on that runtime, which stands still
    /// meanwhile: not on its timers, its `yield_now`, or its budget for a task.
    pub(super) fn wait_until<T>(&self, until: Instant, work: impl Future<Output = T>) -> Option<T> {
        let _entered = self.runtime.enter();
        let signal = Arc::new(Signal::default());
        let waker = Waker::from(signal.clone());
        let mut task = Task::from_waker(&waker);
        let mut work = pin!(unconstrained(work));
        loop {
            if let Poll::Ready(done) = work.as_mut().poll(&mut task) {
                return Some(done);
            }
            if !signal.wait_until(until) {
                return None;
            }
        }
    }
}

debug_as!(Waiter, "Waiter");

/// Wakes a thread. Not by its `unpark`, whose token may be meant for another executor that blocks this thread.
#[derive(Default)]
struct Signal {
    given: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    /// Waits until it is given, and takes it. Returns `false` if it was not given by then.
    fn wait_until(&self, until: Instant) -> bool {
        let mut given = self.given.lock();
        while !*given {
            if self.changed.wait_until(&mut given, until).timed_out() {
                break;
            }
        }
        std::mem::take(&mut *given)
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        *self.given.lock() = true;
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_is_given_before_is_not_waited_for_and_is_taken_once() {
        let signal = Arc::new(Signal::default());
        Waker::from(signal.clone()).wake();
        assert!(signal.wait_until(Instant::now() + Duration::from_secs(60)));
        assert!(!signal.wait_until(Instant::now()));
    }
}
