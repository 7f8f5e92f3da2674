//! Space that is given back once.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::budget::Budget;

/// Bytes that failed messages take. They are given back by [`release`](Self::release), at the latest when this is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    bytes: AtomicUsize,
    budget: Budget,
}

impl Charge {
    pub(super) fn of(bytes: usize, budget: &Budget) -> Self {
        Self { bytes: AtomicUsize::new(bytes), budget: budget.clone() }
    }

    pub(super) fn release(&self) {
        self.budget.give_back(self.bytes.swap(0, Ordering::AcqRel));
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.release();
    }
}
