//! Work that several callers wait for, done once at a time, in a separate task: a caller that goes away, or is never
//! polled again, does not hold up the others.

use std::future::Future;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Supervisor;
use crate::error::{Error, ErrorKind, Result};

/// How often work is begun again whose task ended without an outcome.
const TRIES: u32 = 4;

/// See the [module](self).
pub(crate) struct Flight<T> {
    current: Mutex<Weak<watch::Sender<State<T>>>>,
}

struct State<T> {
    begun: Instant,
    last: Option<Error>,
    outcome: Option<T>,
}

/// Work in progress: it reports what has gone wrong so far, for others to inspect.
pub(crate) struct Progress<T>(Arc<watch::Sender<State<T>>>);

impl<T> Progress<T> {
    /// Why there is no outcome yet.
    pub(crate) fn failed(&self, error: Option<Error>) {
        self.0.send_modify(|state| state.last = error);
    }

    /// When it was begun, and what has gone wrong so far; `None` once there is an outcome.
    pub(crate) fn unfinished(&self) -> Option<(Instant, Option<Error>)> {
        let state = self.0.borrow();
        state.outcome.is_none().then(|| (state.begun, state.last.clone()))
    }
}

impl<T: Clone + Send + Sync + 'static> Flight<T> {
    /// Waits for the outcome of the work that is under way, or begins it. `last` holds the reason for which there is no
    /// outcome yet.
    ///
    /// # Cancel safety
    ///
    /// The work ends when no caller waits for it any more.
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
            let mut state = self.board(supervisor, name, &begin);
            loop {
                {
                    let state = state.borrow_and_update();
                    last.clone_from(&state.last);
                    if let Some(outcome) = &state.outcome {
                        return Ok(outcome.clone());
                    }
                }
                if state.changed().await.is_err() {
                    break;
                }
            }
            if supervisor.is_stopped() {
                return Err(Error::new(ErrorKind::Closed, "the producer is closed"));
            }
        }
        Err(Error::new(ErrorKind::Internal, format!("the task {name:?} ended without an outcome")))
    }

    pub(crate) fn under_way(&self) -> Option<Progress<T>> {
        self.current.lock().upgrade().map(Progress)
    }

    fn board<F>(
        &self,
        supervisor: &Arc<Supervisor>,
        name: &'static str,
        begin: &impl Fn(Progress<T>) -> F,
    ) -> watch::Receiver<State<T>>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (sender, receiver) = {
            let mut current = self.current.lock();
            if let Some(under_way) = current.upgrade() {
                return under_way.subscribe();
            }
            let (sender, receiver) =
                watch::channel(State { begun: Instant::now(), last: None, outcome: None });
            let sender = Arc::new(sender);
            *current = Arc::downgrade(&sender);
            (sender, receiver)
        };
        let work = begin(Progress(sender.clone()));
        supervisor.spawn(name, async move {
            tokio::select! {
                biased;
                outcome = work => sender.send_modify(|state| state.outcome = Some(outcome)),
                () = sender.closed() => {}
            }
        });
        receiver
    }
}

impl<T> Default for Flight<T> {
    fn default() -> Self {
        Self { current: Mutex::default() }
    }
}
