//! A task whose future can be taken away from its runtime.
//!
//! A runtime may shut down, or exist without anybody driving it; a thread may be held up in a callback. Callers that
//! wait for the task can then take its future, drop it, which returns what it holds, and start another one elsewhere.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{self, Handle};
use tokio::time::Instant;

use super::Supervisor;

/// First delay before a task that panicked is started again; it grows with each panic in a row.
const RESTART: Duration = Duration::from_millis(20);
const SLOWEST_RESTART: Duration = Duration::from_millis(640);
/// After this long without a panic the next one counts as the first.
const CALM: Duration = Duration::from_secs(10);

pub(super) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How a task's future is made. A task that runs once has been made already.
pub(super) enum Make {
    Once,
    Again(Box<dyn Fn() -> Work + Send + Sync>),
}

/// A task, whichever future serves it at the moment.
pub(crate) struct Task {
    pub(super) name: Arc<str>,
    make: Make,
    slot: Mutex<Option<Arc<Slot>>>,
    /// When it panicked last, and how often in a row.
    panics: Mutex<Option<(Instant, u32)>>,
    polls: Arc<AtomicU64>,
}

/// The place of one future.
struct Slot {
    work: Mutex<Option<Work>>,
    runtime: runtime::Id,
    polls: Arc<AtomicU64>,
    /// The next poll panics, as a test wants it.
    panics_next: AtomicBool,
    /// This future is no longer needed. A thread that is polling it drops it afterwards.
    revoked: AtomicBool,
}

/// How a future ended.
pub(super) enum End {
    Finished,
    Panicked(Box<dyn Any + Send>),
    /// The runtime dropped it.
    Dropped(runtime::Id),
}

impl Task {
    pub(super) fn new(name: Arc<str>, make: Make) -> Arc<Self> {
        Arc::new(Self { name, make, slot: Mutex::default(), panics: Mutex::default(), polls: Arc::default() })
    }

    /// Has `handle` poll this work from now on.
    pub(super) fn start_with(self: &Arc<Self>, work: Work, supervisor: &Arc<Supervisor>, handle: &Handle) {
        let slot = Arc::new(Slot {
            work: Mutex::new(Some(work)),
            runtime: handle.id(),
            polls: self.polls.clone(),
            panics_next: AtomicBool::new(false),
            revoked: AtomicBool::new(false),
        });
        *self.slot.lock() = Some(slot.clone());
        let polled = Polled { task: self.clone(), slot, supervisor: Arc::downgrade(supervisor) };
        drop(handle.spawn(polled));
    }

    /// Starts it unless it runs, or cannot be made again.
    pub(super) fn start(self: &Arc<Self>, supervisor: &Arc<Supervisor>, handle: &Handle) {
        match &self.make {
            Make::Again(make) if self.slot.lock().is_none() => {
                self.start_with(make(), supervisor, handle);
            }
            _ => {}
        }
    }

    /// How long to wait before it is started again after a panic.
    pub(super) fn restart_delay(&self, now: Instant) -> Duration {
        let mut panics = self.panics.lock();
        let in_a_row = match *panics {
            Some((last, times)) if now.saturating_duration_since(last) < CALM => times,
            _ => 0,
        };
        *panics = Some((now, in_a_row + 1));
        (RESTART * (1 << in_a_row.min(5))).min(SLOWEST_RESTART)
    }

    pub(super) fn panic_next(&self) {
        if let Some(slot) = &*self.slot.lock() {
            slot.panics_next.store(true, Ordering::Release);
        }
    }

    pub(super) fn runs_once(&self) -> bool {
        matches!(self.make, Make::Once)
    }

    /// Takes the future away from its runtime and drops it: at once, or when the thread that polls it is done.
    pub(super) fn revoke(&self) {
        let slot = self.slot.lock().take();
        if let Some(slot) = slot {
            slot.revoked.store(true, Ordering::SeqCst);
            slot.drop_if_revoked();
        }
    }

    /// How often it was polled, and whether that is going on at the moment.
    pub(super) fn progress(&self) -> (u64, bool) {
        let polls = self.polls.load(Ordering::Relaxed);
        let slot = self.slot.lock().clone();
        (polls, slot.is_some_and(|slot| slot.work.is_locked()))
    }

    /// Whether this future still is the one that serves the task; if so, none does from here on.
    fn ended(&self, slot: &Arc<Slot>) -> bool {
        let mut current = self.slot.lock();
        let mine = current.as_ref().is_some_and(|current| Arc::ptr_eq(current, slot));
        if mine {
            *current = None;
        }
        mine
    }
}

impl Slot {
    fn drop_if_revoked(&self) {
        if !self.revoked.load(Ordering::SeqCst) {
            return;
        }
        // Locked: the holder looks again afterwards.
        let work = self.work.try_lock().and_then(|mut work| work.take());
        drop_work(work);
    }
}

/// It may hold user code, which may panic.
fn drop_work(work: Option<Work>) -> Option<Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(|| drop(work))).err()
}

/// What a runtime polls.
struct Polled {
    task: Arc<Task>,
    slot: Arc<Slot>,
    supervisor: Weak<Supervisor>,
}

impl Polled {
    fn end(&self, end: End) {
        // A revoked one means nothing: another one serves the task, or none is wanted.
        if self.task.ended(&self.slot) {
            if let Some(supervisor) = self.supervisor.upgrade() {
                supervisor.ended(&self.task, end);
            }
        }
    }
}

impl Future for Polled {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.slot.polls.fetch_add(1, Ordering::Relaxed);
        let mut work = self.slot.work.lock();
        let Some(running) = work.as_mut() else {
            return Poll::Ready(());
        };
        let polled = catch_unwind(AssertUnwindSafe(|| {
            assert!(!self.slot.panics_next.swap(false, Ordering::Acquire), "a test has this task panic");
            running.as_mut().poll(cx)
        }));
        let end = match polled {
            Ok(Poll::Pending) => {
                drop(work);
                self.slot.drop_if_revoked();
                return Poll::Pending;
            }
            Ok(Poll::Ready(())) => End::Finished,
            Err(panic) => End::Panicked(panic),
        };
        let finished = work.take();
        drop(work);
        let end = match (drop_work(finished), end) {
            (Some(panic), End::Finished) => End::Panicked(panic),
            (_, end) => end,
        };
        self.end(end);
        Poll::Ready(())
    }
}

impl Drop for Polled {
    fn drop(&mut self) {
        let Some(work) = self.slot.work.try_lock().and_then(|mut work| work.take()) else {
            return;
        };
        drop_work(Some(work));
        self.end(End::Dropped(self.slot.runtime));
    }
}
