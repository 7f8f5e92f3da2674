//! The waiters of a batch, and what is done for them once no lock is held.

use std::sync::Arc;
use std::task::Waker;

use super::batch::Batch;
use super::budget::Budget;
use super::completion::Lost;
use crate::error::callback::{OWNER, WAKER};
use crate::error::{Error, Failed};
use crate::record::Records;
use crate::telemetry::Log;

/// Tasks that wait for one record, by its index, or for all.
#[derive(Default)]
pub(crate) struct Waiters {
    of_one: Vec<Option<Waker>>,
    of_all: Vec<Waker>,
}

impl Waiters {
    /// Puts a waker in the place of the record's last one, which is returned.
    pub(crate) fn wait(&mut self, index: u32, waker: Waker) -> Option<Waker> {
        let place = index as usize;
        if self.of_one.len() <= place {
            self.of_one.resize_with(place + 1, || None);
        }
        self.of_one.get_mut(place).and_then(|mine| mine.replace(waker))
    }

    /// Adds a waker for all records; it is returned where it is there already. The list is emptied when its wakers are
    /// woken, so that a slot may since belong to another.
    pub(crate) fn wait_for_all(&mut self, slot: &mut Option<usize>, waker: Waker) -> Option<Waker> {
        if slot.and_then(|slot| self.of_all.get(slot)).is_some_and(|mine| mine.will_wake(&waker)) {
            return Some(waker);
        }
        *slot = Some(self.of_all.len());
        self.of_all.push(waker);
        None
    }

    pub(crate) fn take(&mut self, index: u32) -> Option<Waker> {
        self.of_one.get_mut(index as usize)?.take()
    }

    pub(crate) fn take_all(&mut self, woken: &mut Woken) {
        if woken.wakers.is_empty() {
            std::mem::swap(&mut woken.wakers, &mut self.of_one);
        } else {
            woken.wakers.append(&mut self.of_one);
        }
    }

    pub(crate) fn take_for_all(&mut self, woken: &mut Woken) {
        woken.wakers.extend(std::mem::take(&mut self.of_all).into_iter().map(Some));
    }
}

/// Tasks to be woken and what is to be dropped, once no lock is held: both may run user code.
#[derive(Default)]
pub(crate) struct Woken {
    wakers: Vec<Option<Waker>>,
    released: Vec<Arc<Lost>>,
    lost: Vec<Arc<Lost>>,
}

impl Woken {
    pub(crate) fn add(&mut self, waker: Option<Waker>) {
        if waker.is_some() {
            self.wakers.push(waker);
        }
    }

    /// Messages that failed: they are dropped here, and give back their room unless that is done.
    pub(crate) fn release(&mut self, lost: Arc<Lost>) {
        self.released.push(lost);
    }

    /// Messages that failed, of which this may be the last that is known.
    pub(crate) fn let_go(&mut self, lost: Arc<Lost>) {
        self.lost.push(lost);
    }

    /// Wakes and drops. A panic of user code does not affect the others.
    pub(crate) fn wake(self, log: &Log) {
        self.released.iter().for_each(|lost| lost.release());
        for waker in self.wakers.into_iter().flatten() {
            log.contain(WAKER, || waker.wake());
        }
        for lost in self.released.into_iter().chain(self.lost) {
            log.contain(OWNER, || drop(lost));
        }
    }
}

/// What a queue decided under its lock, to be carried out once that is released.
#[must_use]
pub(crate) struct Settlement<'a> {
    pub(super) log: &'a Log,
    pub(super) failed: Failed,
    pub(super) woken: Woken,
    space: Vec<(Budget, usize)>,
    batches: Vec<Batch>,
    records: Vec<Records>,
    errors: Vec<Error>,
}

impl<'a> Settlement<'a> {
    pub(crate) fn new(log: &'a Log) -> Self {
        Self {
            log,
            failed: Failed::default(),
            woken: Woken::default(),
            space: Vec::new(),
            batches: Vec::new(),
            records: Vec::new(),
            errors: Vec::new(),
        }
    }

    pub(crate) fn give_back(&mut self, budget: &Budget, bytes: usize) {
        if bytes > 0 {
            self.space.push((budget.clone(), bytes));
        }
    }

    /// What is left of a batch that is settled.
    pub(crate) fn let_go(&mut self, batch: Batch) {
        self.batches.push(batch);
    }

    pub(crate) fn let_go_records(&mut self, records: Records) {
        self.records.push(records);
    }

    /// An error may have a user's error as its source.
    pub(crate) fn let_go_error(&mut self, error: Option<Error>) {
        self.errors.extend(error);
    }

    /// Gives back buffer space, wakes waiting tasks, drops what belongs to the user. Returns what failed.
    pub(crate) fn carry_out(self) -> Failed {
        for (budget, bytes) in self.space {
            self.log.contain(WAKER, || budget.give_back(bytes));
        }
        self.woken.wake(self.log);
        for batch in self.batches {
            self.log.contain(OWNER, || drop(batch));
        }
        for mut records in self.records {
            records.clear(self.log);
        }
        for error in self.errors {
            self.log.contain("the source of an error", || drop(error));
        }
        self.failed
    }
}
