//! Work that several callers wait for, done once at a time, in a separate task: a caller that goes away, or is never
//! polled again, does not hold up the others.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use super::Supervisor;
use super::watched::Watched;
use crate::error::{Error, ErrorKind, Result};

/// How often work is begun again whose task ended without an outcome.
const TRIES: u32 = 4;

/// See the [module](self).
pub(crate) struct Flight<T> {
    current: Mutex<Weak<Watched<Work<T>>>>,
    /// How long the work goes on while no caller waits for it.
    outlives: Duration,
}

struct Work<T> {
    begun: Instant,
    last: Option<Error>,
    outcome: Option<T>,
    /// Its task is gone.
    ended: bool,
    callers: usize,
}

/// Work in progress: it reports what has gone wrong so far, for others to inspect.
pub(crate) struct Progress<T>(Arc<Watched<Work<T>>>);

impl<T> Progress<T> {
    /// Why there is no outcome yet.
    pub(crate) fn failed(&self, error: Option<Error>) {
        let mut former = error;
        self.0.change(|work| {
            std::mem::swap(&mut work.last, &mut former);
            true
        });
        // The former one is dropped without the lock: it may hold a user's error.
        drop(former);
    }

    /// When it was begun, and what has gone wrong so far; `None` once there is an outcome.
    pub(crate) fn unfinished(&self) -> Option<(Instant, Option<Error>)> {
        self.0.look(|work| work.is_under_way().then(|| (work.begun, work.last.clone())))
    }
}

impl<T> Work<T> {
    fn is_under_way(&self) -> bool {
        self.outcome.is_none() && !self.ended
    }
}

impl<T: Clone + Send + Sync + 'static> Flight<T> {
    /// Work that goes on for this time while no caller waits for it.
    pub(crate) fn outliving_callers(outlives: Duration) -> Self {
        Self { outlives, ..Self::default() }
    }

    /// Waits for the outcome of the work that is under way, or begins it. `last` holds the reason for which there is no
    /// outcome yet.
    ///
    /// # Cancel safety
    ///
    /// The work ends when no caller waits for it any more, or a set time later.
    pub(crate) async fn join<F>(
        &self,
        supervisor: &Arc<Supervisor>,
        name: &'static str,
        last: &mut Option<Error>,
        begin: impl Fn(Progress<T>) -> F,
    ) -> Result<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        for _ in 0..TRIES {
            let _attending = supervisor.wait_here()?;
            let caller = self.board(supervisor, name, &begin);
            let ended = caller.0.when(|work| {
                last.clone_from(&work.last);
                match &work.outcome {
                    Some(outcome) => Some(Some(outcome.clone())),
                    None => work.ended.then_some(None),
                }
            });
            if let Some(outcome) = ended.await {
                return Ok(outcome);
            }
            if supervisor.is_stopped() {
                return Err(Error::new(ErrorKind::Closed, "the producer is closed"));
            }
        }
        Err(Error::new(ErrorKind::Internal, format!("the task {name:?} ended without an outcome")))
    }

    pub(crate) fn under_way(&self) -> Option<Progress<T>> {
        let work = self.current.lock().upgrade()?;
        work.look(Work::is_under_way).then_some(Progress(work))
    }

    fn board<F>(
        &self,
        supervisor: &Arc<Supervisor>,
        name: &'static str,
        begin: &impl Fn(Progress<T>) -> F,
    ) -> Caller<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (work, caller) = {
            let mut current = self.current.lock();
            if let Some(caller) = current.upgrade().and_then(Caller::of) {
                return caller;
            }
            let (begun, last, outcome) = (Instant::now(), None, None);
            let work = Arc::new(Watched::new(Work { begun, last, outcome, ended: false, callers: 1 }));
            *current = Arc::downgrade(&work);
            (work.clone(), Caller(work))
        };
        let (running, task, outlives) = (begin(Progress(work.clone())), Running(work), self.outlives);
        supervisor.spawn(name, async move {
            let deserted = deserted(&task.0, outlives);
            tokio::select! {
                biased;
                outcome = running => task.end(Some(outcome)),
                () = deserted => {}
            }
        });
        caller
    }
}

/// Resolves once no caller has waited for this time.
async fn deserted<T>(work: &Watched<Work<T>>, outlives: Duration) {
    loop {
        work.when(|work| (work.callers == 0).then_some(())).await;
        let another = work.when(|work| (work.callers > 0).then_some(()));
        if timeout(outlives, another).await.is_err() {
            return;
        }
    }
}

/// The task that does the work. Where it ends early, those who wait for it begin it again.
struct Running<T>(Arc<Watched<Work<T>>>);

impl<T> Running<T> {
    fn end(&self, outcome: Option<T>) {
        self.0.change(|work| {
            if let (None, Some(outcome)) = (&work.outcome, outcome) {
                work.outcome = Some(outcome);
            }
            !std::mem::replace(&mut work.ended, true)
        });
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.end(None);
    }
}

/// One that waits for the outcome.
struct Caller<T>(Arc<Watched<Work<T>>>);

impl<T> Caller<T> {
    /// One more, where the work is under way.
    fn of(work: Arc<Watched<Work<T>>>) -> Option<Self> {
        let mut joined = false;
        work.change(|work| {
            joined = work.is_under_way();
            work.callers += usize::from(joined);
            joined
        });
        joined.then(|| Self(work))
    }
}

impl<T> Drop for Caller<T> {
    fn drop(&mut self) {
        self.0.change(|work| {
            work.callers -= 1;
            work.callers == 0
        });
    }
}

impl<T> Default for Flight<T> {
    fn default() -> Self {
        Self { current: Mutex::default(), outlives: Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_comes_before_the_outcome_shares_it_and_who_comes_after_it_begins_anew() {
        let supervisor = Supervisor::new(None);
        let (flight, begun) = (Arc::new(Flight::default()), Arc::new(AtomicU32::new(0)));
        let join = || {
            let (supervisor, flight, begun) = (supervisor.clone(), flight.clone(), begun.clone());
            tokio::spawn(async move {
                let begin = |_| {
                    let begun = begun.clone();
                    async move {
                        let number = begun.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                        number
                    }
                };
                flight.join(&supervisor, "a test", &mut None, begin).await.unwrap()
            })
        };
        let first = [join(), join()];
        tokio::task::yield_now().await;
        assert!(flight.under_way().is_some());
        // An outcome that others still have to look at is over for those who come now.
        let held = flight.current.lock().upgrade();
        for shared in first {
            assert_eq!(shared.await.unwrap(), 0);
        }
        assert!(flight.under_way().is_none());
        assert_eq!(join().await.unwrap(), 1);
        drop(held);
        // Nobody waits: the work ends.
        let deserted = join();
        tokio::task::yield_now().await;
        let work = flight.under_way().unwrap();
        deserted.abort();
        work.0.when(|work| work.ended.then_some(())).await;
    }
}
