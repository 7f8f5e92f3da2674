//! How a batch ends. Outcomes are noted at once; what may run user code is left to a [`Settlement`].

use super::Batch;
use crate::accumulator::charge::Charge;
use crate::accumulator::completion::{Lost, Stored};
use crate::accumulator::waiters::{Settlement, Woken};
use crate::error::callback::WAKER;
use crate::error::{Error, ErrorKind, Failed, Fate};
use crate::telemetry::Log;

impl Batch {
    /// Settles all records as stored, the first at `offset`; how many were not settled before. What is left of the batch
    /// is only to be [recycled](Self::recycle).
    ///
    /// No lock may be held: calls that wait for buffer space are woken.
    pub(crate) fn store(
        &self,
        offset: Option<i64>,
        append_time: Option<i64>,
        log: &Log,
        woken: &mut Woken,
    ) -> usize {
        log.contain(WAKER, || self.budget.give_back(self.footprint));
        let stored = Stored { offset, append_time, attempts: self.attempts };
        match &self.indices {
            None => self.completion.store_all(self.records.len(), stored, woken),
            Some(indices) => {
                let each = indices.iter().zip(0..).map(|(index, place)| (*index, stored.at(place)));
                let new = self.completion.store_some(each, woken);
                self.completion.end_piece(woken);
                new
            }
        }
    }

    /// Has the memory of a batch that is settled serve another. No lock may be held: values are dropped.
    pub(crate) fn recycle(mut self, log: &Log) {
        self.indices = None;
        let records = std::mem::take(&mut self.records);
        self.budget.recycle(records, log);
    }

    /// Settles all records as failed with `error`, which gets this batch's history.
    pub(crate) fn fail(mut self, error: Error, settlement: &mut Settlement<'_>) {
        let error = self.describe(error);
        let fate = error.fate();
        // What fails apart from its batch waits for its receipts, and takes its room as long.
        let charge = match self.indices {
            Some(_) => Some(Charge::of(self.footprint, &self.budget)),
            None => {
                settlement.give_back(&self.budget, self.footprint);
                None
            }
        };
        let lost = Lost::new(error, std::mem::take(&mut self.records), charge, settlement.log.clone());
        let woken = &mut settlement.woken;
        let failed = match self.indices.take() {
            None => self.completion.fail_all(lost, woken),
            Some(indices) => {
                let failed = self.completion.fail_some(indices.into_iter(), lost, woken);
                self.completion.end_piece(woken);
                failed
            }
        };
        settlement.failed += Failed::of(failed, fate);
        settlement.let_go(self);
    }
}

impl Batch {
    /// Ends what is settled already.
    pub(crate) fn end(mut self, settlement: &mut Settlement<'_>) {
        settlement.give_back(&self.budget, self.footprint);
        self.indices = None;
        self.completion.end_piece(&mut settlement.woken);
        settlement.let_go_records(std::mem::take(&mut self.records));
        settlement.let_go(self);
    }
}

/// The last net: a batch that is dropped unsettled answers its receipts.
impl Drop for Batch {
    fn drop(&mut self) {
        if self.records.is_empty() && self.indices.is_none() {
            return;
        }
        let error =
            Error::new(ErrorKind::Internal, "the producer's task ended before the message was settled")
                .with_fate(Fate::PossiblyPersisted);
        // No counters are left to add them to, and the logger is not known here.
        let log = Log::ambient();
        let mut settlement = Settlement::new(&log);
        self.replace().fail(error, &mut settlement);
        let _uncounted = settlement.carry_out();
    }
}
