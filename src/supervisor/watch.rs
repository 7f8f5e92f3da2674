//! Waiting callers watch the tasks that do their work.
//!
//! The watch runs where a caller waits, and only while one does. It moves the tasks there if their runtime is not
//! driven, replaces one that a thread is stuck with, and settles messages whose time is over.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::{Handle, Id, RuntimeFlavor};
use tokio::time::timeout;

use super::Supervisor;
use super::task::Task;
use crate::error::Result;

/// Between two looks.
const TICK: Duration = Duration::from_millis(100);
/// A runtime that does not run a task within this time is taken not to be driven.
const PATIENCE: Duration = Duration::from_millis(100);
/// A thread that is busy with one poll of a task for this many ticks is taken to be stuck.
const STUCK: u32 = 10;

impl Supervisor {
    /// Makes sure that there is a runtime, and that the tasks are watched for as long as the caller waits.
    pub(crate) fn wait_here(self: &Arc<Self>) -> Result<Attending> {
        self.ready()?;
        self.attending.fetch_add(1, Ordering::AcqRel);
        let attending = Attending(self.clone());
        self.attend();
        Ok(attending)
    }

    /// The same for a future that is polled now. Where no runtime is left, whatever waits fails; returns `false` then.
    pub(crate) fn attend_or_strand(self: &Arc<Self>) -> bool {
        let attended = self.attend();
        if !attended {
            if let (Err(error), Some(owner)) = (self.ready(), self.owner()) {
                owner.strand(&error);
            }
        }
        attended
    }

    /// Ensures that the tasks make progress while the caller waits. Returns whether they can: `false` where
    /// no runtime is left.
    pub(crate) fn attend(self: &Arc<Self>) -> bool {
        let Ok(here) = Handle::try_current() else {
            return self.home().is_some() || self.is_stopped();
        };
        if self.pinned.is_some() {
            return self.ready().is_ok();
        }
        let id = here.id();
        {
            let mut state = self.state.lock();
            let at_home = state.home.as_ref().is_some_and(|home| home.id() == id);
            // On a single thread a waiter cannot run while a task is stuck.
            if at_home && here.runtime_flavor() == RuntimeFlavor::CurrentThread {
                drop(state);
                return self.ready().is_ok();
            }
            if self.is_stopped() || !state.watched_from.insert(id) {
                return true;
            }
        }
        let watch = Watch { supervisor: self.clone(), here: here.clone(), id };
        drop(here.spawn(watch.run()));
        true
    }
}

/// A caller that waits for a task.
pub(crate) struct Attending(Arc<Supervisor>);

impl Drop for Attending {
    fn drop(&mut self) {
        self.0.attending.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A watch on one runtime, as long as a caller waits there.
struct Watch {
    supervisor: Arc<Supervisor>,
    here: Handle,
    id: Id,
}

impl Watch {
    async fn run(self) {
        let mut stuck = HashMap::new();
        while self.is_needed() {
            let ended = self.supervisor.home_ended.notified();
            self.look(&mut stuck).await;
            if let Some(owner) = self.supervisor.owner() {
                owner.settle_overdue();
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(TICK) => {}
                () = ended => {}
            }
        }
    }

    /// Once it is not needed, the next waiting caller starts another.
    fn is_needed(&self) -> bool {
        let needed = || {
            let attended = self.supervisor.attending.load(Ordering::Acquire) > 0;
            let busy = || self.supervisor.owner().is_some_and(|owner| owner.is_busy());
            !self.supervisor.is_stopped() && (attended || busy())
        };
        if needed() {
            return true;
        }
        self.leave();
        // A caller may have begun to wait at this very moment, and rely on this watch.
        needed() && self.supervisor.state.lock().watched_from.insert(self.id)
    }

    fn leave(&self) {
        self.supervisor.state.lock().watched_from.remove(&self.id);
    }

    async fn look(&self, stuck: &mut HashMap<Arc<str>, (u64, u32)>) {
        let supervisor = &self.supervisor;
        let home = supervisor.home();
        match home {
            None => {
                _ = supervisor.ready();
            }
            Some(home) if home.id() != self.id => {
                let ran = timeout(PATIENCE, home.spawn(async {})).await;
                match ran {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => supervisor.runtime_ended(home.id()),
                    Err(_) => supervisor.move_to(&self.here, Some(home.id())),
                }
            }
            Some(home) => {
                for task in self.stuck(stuck) {
                    task.revoke();
                    task.start(supervisor, &home);
                }
            }
        }
    }

    /// Tasks that have been busy with one poll for several ticks.
    fn stuck(&self, seen: &mut HashMap<Arc<str>, (u64, u32)>) -> Vec<Arc<Task>> {
        let tasks = self.supervisor.state.lock().tasks.clone();
        let mut found = Vec::new();
        for task in tasks.iter().filter(|task| !task.runs_once()) {
            let (polls, busy) = task.progress();
            let (last, looks) = seen.entry(task.name.clone()).or_insert((polls, 0));
            if !busy || *last != polls {
                (*last, *looks) = (polls, 0);
                continue;
            }
            *looks += 1;
            if *looks >= STUCK {
                *looks = 0;
                found.push(task.clone());
            }
        }
        found
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.leave();
    }
}
