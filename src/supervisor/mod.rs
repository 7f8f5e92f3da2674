//! Where the producer's own tasks run, and that they go on whatever happens to that runtime.
//!
//! All tasks live on one runtime, the *home*: the configured one, or else the first one that the producer was used on.
//! When it shuts down, or is not driven while a caller waits on another one, the tasks move to the caller's runtime:
//! their futures are dropped, which returns what they hold, and created again there. A task that panics is started
//! again.

mod flight;
mod task;
mod timer;
mod watch;
mod watched;

use std::collections::HashSet;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{self, Handle};
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use self::flight::{Flight, Progress};
use self::task::{End, Make, Task};
pub(crate) use self::watched::Watched;
use crate::error::callback::{guarded, message_of};
use crate::error::{Error, ErrorKind, Result, Wait};

/// The producer that the tasks belong to.
pub(crate) trait Owner: Send + Sync {
    /// Whether anything is left for the tasks to do.
    fn is_busy(&self) -> bool;

    /// Settles messages whose time is over and whose task did not do so.
    fn settle_overdue(self: Arc<Self>);

    /// The tasks move: what belongs to their former runtime (sockets) is of no more use.
    fn moving(&self);

    /// No runtime is left. Wakes all waiters, so that they notice.
    fn home_ended(&self);

    /// Fails whatever waits: no runtime is left for it.
    fn strand(&self, error: &Error);

    /// What the messages of a partition wait for.
    fn wait_of(&self, topic: &str, partition: i32) -> Option<Wait>;

    /// A task panicked, and will be started again or not.
    fn panicked(&self, task: &str, message: &str, restarts: bool);
}

/// See the [module](self).
pub(crate) struct Supervisor {
    owner: OnceLock<Weak<dyn Owner>>,
    pinned: Option<Handle>,
    state: Mutex<State>,
    /// Whether there is a home, as far as is known: all that is looked at for each message.
    alive: AtomicBool,
    stopped: AtomicBool,
    restarts: AtomicU64,
    home_ended: Notify,
    /// Callers that wait for a task.
    attending: AtomicUsize,
}

#[derive(Default)]
struct State {
    home: Option<Handle>,
    tasks: Vec<Arc<Task>>,
    /// Runtimes from which the tasks are watched.
    watched_from: HashSet<runtime::Id>,
}

impl Supervisor {
    pub(crate) fn new(pinned: Option<Handle>) -> Arc<Self> {
        Arc::new(Self {
            owner: OnceLock::new(),
            pinned,
            state: Mutex::default(),
            alive: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            restarts: AtomicU64::new(0),
            home_ended: Notify::new(),
            attending: AtomicUsize::new(0),
        })
    }

    pub(crate) fn serve(&self, owner: Weak<dyn Owner>) {
        _ = self.owner.set(owner);
    }

    fn owner(&self) -> Option<Arc<dyn Owner>> {
        self.owner.get()?.upgrade()
    }

    /// What the messages of a partition wait for.
    pub(crate) fn wait_of(&self, topic: &str, partition: i32) -> Option<Wait> {
        self.owner()?.wait_of(topic, partition)
    }

    /// Makes sure that there is a runtime for the tasks, and starts those again that lost theirs.
    #[inline]
    pub(crate) fn ready(self: &Arc<Self>) -> Result<()> {
        if self.alive.load(Ordering::Relaxed) { Ok(()) } else { self.settle_down() }
    }

    #[cold]
    fn settle_down(self: &Arc<Self>) -> Result<()> {
        if self.is_stopped() {
            // Whatever was to be refused was refused for a better reason.
            return Ok(());
        }
        let former = self.state.lock().home.clone();
        let home = match (&self.pinned, Handle::try_current()) {
            (Some(pinned), _) if former.is_none() => pinned.clone(),
            (Some(_), _) => {
                return Err(no_runtime("the runtime set by ProducerConfig::runtime has shut down"));
            }
            (None, Ok(here)) => here,
            (None, Err(_)) => {
                return Err(no_runtime(match former {
                    None => {
                        "there is no tokio runtime here: call this within one, or set ProducerConfig::runtime"
                    }
                    Some(_) => {
                        "the tokio runtime that the producer used has shut down, and there is none here"
                    }
                }));
            }
        };
        if !has_timers(&home) {
            return Err(no_runtime("this tokio runtime has no timers: build it with enable_all()"));
        }
        self.move_to(&home, former.map(|former| former.id()));
        // It may have shut down already, which its first task shows.
        match self.alive.load(Ordering::Acquire) {
            true => Ok(()),
            false => Err(no_runtime("the tokio runtime is shutting down")),
        }
    }

    /// Moves every task to `home`, unless they were moved meanwhile.
    fn move_to(self: &Arc<Self>, home: &Handle, from: Option<runtime::Id>) {
        let tasks = {
            let mut state = self.state.lock();
            let current = state.home.as_ref().map(Handle::id);
            let moved_meanwhile = current != from || self.stopped.load(Ordering::Acquire);
            if moved_meanwhile || (current == Some(home.id()) && self.alive.load(Ordering::Acquire)) {
                return;
            }
            state.home = Some(home.clone());
            self.alive.store(true, Ordering::Release);
            let tasks = state.tasks.clone();
            // They end here; a waiter begins it again.
            state.tasks.retain(|task| !task.runs_once());
            tasks
        };
        // What is dropped may want to spawn: a runtime is entered for that.
        let _entered = home.enter();
        // Notices when this runtime shuts down, whatever else runs on it.
        self.spawn("sentinel", std::future::pending());
        tasks.iter().for_each(|task| task.revoke());
        if from.is_some() {
            if let Some(owner) = self.owner() {
                owner.moving();
            }
        }
        tasks.iter().for_each(|task| task.start(self, home));
    }

    /// Starts a task that runs until the producer stops. It is created again after a panic, and where its runtime ends.
    pub(crate) fn supervise<F>(
        self: &Arc<Self>,
        name: impl Into<Arc<str>>,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let task = Task::new(name.into(), Make::Again(Box::new(move || Box::pin(make()))));
        if let Some(home) = self.admit(&task) {
            task.start(self, &home);
        }
    }

    /// Starts a task that runs once. It is dropped where its runtime ends, and where the tasks move.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        name: impl Into<Arc<str>>,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = Task::new(name.into(), Make::Once);
        if let Some(home) = self.admit(&task) {
            task.start_with(Box::pin(work), self, &home);
        }
    }

    /// Adds a task; where it is to run. Without a home it waits for one, or is never started.
    fn admit(&self, task: &Arc<Task>) -> Option<Handle> {
        let mut state = self.state.lock();
        if self.stopped.load(Ordering::Acquire) {
            return None;
        }
        let home = state.home.clone().filter(|_| self.alive.load(Ordering::Acquire));
        if home.is_some() || !task.runs_once() {
            state.tasks.push(task.clone());
        }
        home
    }

    /// A task's future ended.
    fn ended(self: &Arc<Self>, task: &Arc<Task>, end: End) {
        if task.runs_once() {
            self.forget(task);
        }
        match end {
            End::Finished => self.forget(task),
            End::Dropped(runtime) => self.runtime_ended(runtime),
            End::Panicked(panic) => {
                let again = !task.runs_once() && !self.stopped.load(Ordering::Acquire);
                if let Some(owner) = self.owner() {
                    owner.panicked(&task.name, &message_of(panic), again);
                }
                if again {
                    self.restart(task);
                }
            }
        }
    }

    fn restart(self: &Arc<Self>, task: &Arc<Task>) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
        let delay = task.restart_delay(Instant::now());
        let (supervisor, task) = (self.clone(), task.clone());
        self.spawn("restart", async move {
            tokio::time::sleep(delay).await;
            if let Some(home) = supervisor.home() {
                task.start(&supervisor, &home);
            }
        });
    }

    fn forget(&self, task: &Arc<Task>) {
        self.state.lock().tasks.retain(|other| !Arc::ptr_eq(other, task));
    }

    fn runtime_ended(&self, runtime: runtime::Id) {
        {
            let state = self.state.lock();
            if state.home.as_ref().is_none_or(|home| home.id() != runtime) {
                return;
            }
            self.alive.store(false, Ordering::Release);
        }
        self.home_ended.notify_waiters();
        if let Some(owner) = self.owner() {
            owner.home_ended();
        }
    }

    /// The runtime of the tasks, if it lives as far as is known.
    fn home(&self) -> Option<Handle> {
        self.state.lock().home.clone().filter(|_| self.alive.load(Ordering::Acquire))
    }

    /// Ends every task, wherever it is. What they hold is dropped before this returns, but for what a thread is busy
    /// with at the moment.
    pub(crate) fn stop(&self) {
        let (tasks, home) = {
            let mut state = self.state.lock();
            self.stopped.store(true, Ordering::Release);
            (std::mem::take(&mut state.tasks), state.home.clone())
        };
        let here = Handle::try_current().ok().or(home);
        let _entered = here.as_ref().map(Handle::enter);
        tasks.iter().for_each(|task| task.revoke());
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// How often a task was started again after a panic.
    pub(crate) fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// Makes a task panic at its next poll, for tests.
    pub(crate) fn panic_task(&self, name: &str) {
        let tasks = self.state.lock().tasks.clone();
        tasks.iter().filter(|task| &*task.name == name).for_each(|task| task.panic_next());
    }

    /// Each task, how often it was polled, and whether a thread is busy with it.
    pub(crate) fn tasks(&self) -> Vec<(Arc<str>, u64, bool)> {
        let tasks = self.state.lock().tasks.clone();
        let state = |task: &Arc<Task>| {
            let (polls, busy) = task.progress();
            (task.name.clone(), polls, busy)
        };
        tasks.iter().map(state).collect()
    }
}

fn no_runtime(why: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, format!("a producer needs a tokio runtime: {why}"))
}

/// Whether timers can be made there: asked once for each runtime, since only trying shows.
fn has_timers(runtime: &Handle) -> bool {
    let _entered = runtime.enter();
    guarded("a timer", || drop(tokio::time::sleep(Duration::ZERO))).is_ok()
}
