//! The life of a producer: open, draining, failing what is left, closed. It never goes back.

use std::future::Future;

use crate::error::Result;
use crate::supervisor::Watched;

/// How far closing has come.
#[derive(Clone, Debug, Default)]
pub(crate) enum State {
    /// Messages are accepted.
    #[default]
    Open,
    /// Nothing is accepted any more; what was accepted is sent. `driven`: a task waits for the end of that.
    Draining { driven: bool },
    /// A context ended, and what is left fails. `failed`: the messages that had failed before.
    Failing { failed: u64 },
    /// The outcome of `close`.
    Closed(Result<()>),
}

/// See the [module](self). All waiters for a state are woken when it changes.
#[derive(Debug, Default)]
pub(crate) struct Lifecycle {
    state: Watched<State>,
}

impl Lifecycle {
    pub(crate) fn is_open(&self) -> bool {
        self.state.look(|state| matches!(state, State::Open))
    }

    /// Whether nothing is sent any more.
    pub(crate) fn is_stopped(&self) -> bool {
        self.state.look(|state| matches!(state, State::Failing { .. } | State::Closed(_)))
    }

    /// The outcome of `close`, once there is one.
    pub(crate) fn outcome(&self) -> Option<Result<()>> {
        self.state.look(outcome_of)
    }

    /// Resolves at the next change after this call.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> {
        self.state.changed()
    }

    /// Resolves when nothing is accepted any more.
    pub(crate) async fn not_open(&self) {
        self.state.when(|state| (!matches!(state, State::Open)).then_some(())).await;
    }

    /// Accepts nothing from here on. Returns whether this call was the first.
    pub(crate) fn drain(&self) -> bool {
        self.change(|state| matches!(state, State::Open), State::Draining { driven: false })
    }

    /// Whether the caller is to wait for the end of draining: one task does, and another one where that ended early.
    pub(crate) fn drive(&self) -> bool {
        self.change(
            |state| matches!(state, State::Draining { driven: false }),
            State::Draining { driven: true },
        )
    }

    /// The task that waited for the end of draining ended with its runtime: another one has to.
    pub(crate) fn undriven(&self) {
        self.change(
            |state| matches!(state, State::Draining { driven: true }),
            State::Draining { driven: false },
        );
    }

    /// Everything was settled in time. Returns `false` where a context had ended meanwhile.
    pub(crate) fn drained(&self) -> bool {
        self.change(|state| matches!(state, State::Draining { .. }), State::Closed(Ok(())))
    }

    /// What is left fails from here on. Several contexts may end at the same time: all count from the state at the
    /// first, which is returned; or the outcome, where there is one.
    pub(crate) fn fail(&self, failed: u64) -> Result<u64, Result<()>> {
        self.change(|state| matches!(state, State::Open | State::Draining { .. }), State::Failing { failed });
        self.state.look(|state| match state {
            State::Failing { failed } => Ok(*failed),
            State::Closed(outcome) => Err(outcome.clone()),
            State::Open | State::Draining { .. } => Ok(failed),
        })
    }

    /// The end, with this outcome unless there is one. Returns the outcome that holds.
    pub(crate) fn close(&self, outcome: Result<()>) -> Result<()> {
        self.change(|state| !matches!(state, State::Closed(_)), State::Closed(outcome));
        self.outcome().unwrap_or(Ok(()))
    }

    /// Goes on to `next` where the state allows it. Returns whether it did.
    fn change(&self, allows: impl FnOnce(&State) -> bool, mut next: State) -> bool {
        let changed = self.state.change(|state| {
            let allowed = allows(state);
            if allowed {
                std::mem::swap(state, &mut next);
            }
            allowed
        });
        // The former state is dropped without the lock: its error may hold a user's error.
        drop(next);
        changed
    }
}

fn outcome_of(state: &State) -> Option<Result<()>> {
    match state {
        State::Closed(outcome) => Some(outcome.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};

    /// One call, by its name, and whether it changes something.
    fn calls(life: &Lifecycle) -> [(&'static str, bool); 5] {
        let before = |life: &Lifecycle| life.state.look(|state| format!("{state:?}"));
        let changes = |call: &dyn Fn(&Lifecycle)| {
            let copy = Lifecycle { state: Watched::new(life.state.look(Clone::clone)) };
            let was = before(&copy);
            call(&copy);
            was != before(&copy)
        };
        [
            (
                "drain",
                changes(&|life| {
                    _ = life.drain();
                }),
            ),
            (
                "drive",
                changes(&|life| {
                    _ = life.drive();
                }),
            ),
            (
                "drained",
                changes(&|life| {
                    _ = life.drained();
                }),
            ),
            ("fail", changes(&|life| drop(life.fail(7)))),
            ("close", changes(&|life| drop(life.close(Ok(()))))),
        ]
    }

    fn allowed(life: &Lifecycle) -> Vec<&'static str> {
        calls(life).into_iter().filter(|(_, changes)| *changes).map(|(name, _)| name).collect()
    }

    #[test]
    fn each_state_allows_only_what_leads_further() {
        let life = Lifecycle::default();
        assert!(life.is_open() && !life.is_stopped());
        assert_eq!(allowed(&life), ["drain", "fail", "close"]);
        assert!(life.drain() && !life.drain());
        assert!(!life.is_open() && !life.is_stopped());
        assert_eq!(allowed(&life), ["drive", "drained", "fail", "close"]);
        assert!(life.drive() && !life.drive());
        life.undriven();
        assert!(life.drive(), "another task takes over");
        assert!(matches!(life.fail(3), Ok(3)));
        assert!(matches!(life.fail(9), Ok(3)), "all count from the first");
        assert!(life.is_stopped() && life.outcome().is_none());
        assert_eq!(allowed(&life), ["close"]);
        let first = life.close(Err(Error::new(ErrorKind::DeadlineExceeded, "first")));
        let second = life.close(Ok(()));
        assert!(first.is_err() && second.is_err(), "the first outcome holds");
        assert!(life.fail(1).is_err());
        assert!(allowed(&life).is_empty());
    }

    #[test]
    fn what_drained_in_time_is_closed_well() {
        let life = Lifecycle::default();
        assert!(!life.drained(), "nothing is closed without a call of close");
        life.drain();
        assert!(life.drained() && life.is_stopped());
        assert!(matches!(life.outcome(), Some(Ok(()))));
        assert!(matches!(life.close(Err(Error::new(ErrorKind::Cancelled, "late"))), Ok(())));
    }
}
