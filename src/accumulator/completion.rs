//! What the receipts of one batch wait for.
//!
//! All messages of a batch share one completion, and a receipt is that plus an index, so that a receipt costs
//! no separate allocation. Nearly always a batch is settled as a whole. Only what is settled apart from its
//! batch (called off, expired, or divided because the broker found the batch too large) is kept one by one.
//!
//! To settle is to note an outcome, which runs no user code and may be done under a lock. Its waiters are
//! returned, to be woken once no lock is held.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Poll, Waker};

use parking_lot::Mutex;

use super::charge::Charge;
use super::waiters::{Waiters, Woken};
use crate::error::callback::WAKER;
use crate::error::{Error, ErrorKind, Wait};
use crate::record::Records;
use crate::supervisor::Supervisor;
use crate::telemetry::Log;

/// Where one record was stored, or why not.
pub(crate) type Settled = Result<Stored, Error>;

/// Where a record was stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    pub(crate) offset: Option<i64>,
    /// The broker's timestamp, where the topic uses the time of appending.
    pub(crate) append_time: Option<i64>,
    pub(crate) attempts: u32,
}

impl Stored {
    /// So many records further on. What a broker says of offsets need not make sense.
    pub(super) fn at(self, place: u32) -> Self {
        Self { offset: self.offset.and_then(|base| base.checked_add(i64::from(place))), ..self }
    }
}

enum Whole {
    /// The offset is that of the first record.
    Stored(Stored),
    Failed(Arc<Lost>),
}

/// Messages that failed with the same error. They wait here to be handed back, each to its own receipt: only then is one
/// read back, so that a batch that fails costs next to nothing where its receipts are gone.
pub(crate) struct Lost {
    error: Error,
    records: Records,
    /// The room that they take until they were handed back, or the whole batch is settled: from then on they are their
    /// receipts' alone.
    charge: Option<Charge>,
    log: Log,
}

impl Lost {
    pub(super) fn new(error: Error, records: Records, charge: Option<Charge>, log: Log) -> Self {
        Self { error, records, charge, log }
    }

    /// No lock may be held: calls that wait for buffer space are woken.
    pub(super) fn release(&self) {
        if let Some(charge) = &self.charge {
            self.log.contain(WAKER, || charge.release());
        }
    }
}

impl Drop for Lost {
    fn drop(&mut self) {
        self.records.clear(&self.log);
        self.release();
    }
}

/// What became of a record.
enum Outcome {
    Stored(Stored),
    /// The place among those that failed with it.
    Failed(Arc<Lost>, usize),
    /// Its receipt is gone, so that the outcome is not needed.
    Forgotten,
}

#[derive(Default)]
struct Apart {
    settled: HashMap<u32, Outcome>,
    lost: Vec<Weak<Lost>>,
    waiters: Waiters,
}

pub(crate) struct Completion {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    /// Grows with each batch of its partition.
    pub(super) serial: u64,
    /// Set while `apart` is locked.
    whole: OnceLock<Whole>,
    /// Whether any record was settled apart: only then does a look at `whole` not suffice.
    divided: AtomicBool,
    /// Pieces of the batch that are not settled yet.
    pieces: AtomicU32,
    /// No user code is run while this is locked.
    apart: Mutex<Apart>,
    /// Ensures that the batch is served while a receipt is awaited.
    supervisor: Arc<Supervisor>,
}

impl Completion {
    pub(crate) fn new(
        topic: Arc<str>,
        partition: i32,
        serial: u64,
        supervisor: Arc<Supervisor>,
    ) -> Arc<Self> {
        Arc::new(Self {
            topic,
            partition,
            serial,
            supervisor,
            whole: OnceLock::new(),
            divided: AtomicBool::new(false),
            pieces: AtomicU32::new(1),
            apart: Mutex::default(),
        })
    }

    /// Settles every record as stored, the first at `stored.offset` and the others behind it; how many of these
    /// `records` were not settled before.
    pub(super) fn store_all(&self, records: usize, stored: Stored, woken: &mut Woken) -> usize {
        self.settle_all(records, Whole::Stored(stored), woken)
    }

    /// Settles every record as failed; how many were not settled before.
    pub(super) fn fail_all(&self, lost: Lost, woken: &mut Woken) -> usize {
        self.settle_all(lost.records.len(), Whole::Failed(Arc::new(lost)), woken)
    }

    fn settle_all(&self, records: usize, whole: Whole, woken: &mut Woken) -> usize {
        let mut apart = self.apart.lock();
        if let Err(late) = self.whole.set(whole) {
            if let Whole::Failed(lost) = late {
                woken.let_go(lost);
            }
            return 0;
        }
        self.end_one(&mut apart, woken);
        apart.waiters.take_all(woken);
        records.saturating_sub(apart.settled.len())
    }

    /// Settles single records of a piece as stored; how many were not settled before.
    pub(super) fn store_some(&self, stored: impl Iterator<Item = (u32, Stored)>, woken: &mut Woken) -> usize {
        self.settle_some(stored.map(|(index, stored)| (index, Outcome::Stored(stored))), woken)
    }

    /// Settles single records of a piece as failed; how many were not settled before.
    pub(super) fn fail_some(
        &self,
        indices: impl Iterator<Item = u32>,
        lost: Lost,
        woken: &mut Woken,
    ) -> usize {
        let lost = Arc::new(lost);
        self.apart.lock().lost.push(Arc::downgrade(&lost));
        let failed = |(position, index)| (index, Outcome::Failed(lost.clone(), position));
        let new = self.settle_some(indices.enumerate().map(failed), woken);
        // Where all were settled before, this is the last reference, and dropping it may run user code.
        woken.let_go(lost);
        new
    }

    fn settle_some(&self, settled: impl Iterator<Item = (u32, Outcome)>, woken: &mut Woken) -> usize {
        let mut apart = self.apart.lock();
        if self.whole.get().is_some() {
            return 0;
        }
        let before = apart.settled.len();
        for (index, settled) in settled {
            // The first answer stands: an expired message may yet be stored.
            apart.settled.entry(index).or_insert(settled);
            woken.add(apart.waiters.take(index));
        }
        self.divided.store(true, Ordering::Release);
        apart.settled.len() - before
    }

    pub(super) fn add_piece(&self) {
        self.pieces.fetch_add(1, Ordering::Relaxed);
    }

    /// The last record of a piece was settled.
    pub(super) fn end_piece(&self, woken: &mut Woken) {
        self.end_one(&mut self.apart.lock(), woken);
    }

    fn end_one(&self, apart: &mut Apart, woken: &mut Woken) {
        if self.pieces.fetch_sub(1, Ordering::AcqRel) == 1 {
            apart.waiters.take_for_all(woken);
            apart.lost.drain(..).filter_map(|lost| lost.upgrade()).for_each(|lost| woken.release(lost));
        }
    }

    /// Resolves once every record of the batch is settled.
    pub(crate) async fn finished(&self) {
        let mut slot = None;
        std::future::poll_fn(|cx| {
            // A waker is user code: it is cloned and dropped without a lock.
            let waker = cx.waker().clone();
            let known = {
                let mut apart = self.apart.lock();
                if self.is_finished() {
                    return Poll::Ready(());
                }
                apart.waiters.wait_for_all(&mut slot, waker)
            };
            drop(known);
            Poll::Pending
        })
        .await;
    }

    /// The waiters, to be woken without an outcome.
    pub(crate) fn waiting(&self, woken: &mut Woken) {
        let mut apart = self.apart.lock();
        apart.waiters.take_all(woken);
        apart.waiters.take_for_all(woken);
    }

    /// Watches the tasks that serve this batch. Returns `false` if there is no runtime for them any more, and the
    /// batch was settled for that reason.
    pub(super) fn attend(&self) -> bool {
        self.supervisor.attend_or_strand()
    }

    /// What the record at `index` waits for; `None` once it is settled.
    pub(super) fn waiting_for(&self, index: u32) -> Option<Wait> {
        if self.whole.get().is_some() || self.apart.lock().settled.contains_key(&index) {
            return None;
        }
        self.supervisor.wait_of(&self.topic, self.partition)
    }

    fn is_finished(&self) -> bool {
        self.pieces.load(Ordering::Acquire) == 0
    }

    /// The receipt of the record at `index` is gone: a message that failed apart from its batch need not be kept for it.
    #[inline]
    pub(super) fn forget(&self, index: u32) {
        if !self.divided.load(Ordering::Acquire) {
            return;
        }
        let outcome = {
            let mut apart = self.apart.lock();
            apart.settled.get_mut(&index).map(|outcome| std::mem::replace(outcome, Outcome::Forgotten))
        };
        // Outside the lock: it may be the last of those that failed together.
        drop(outcome);
    }

    /// What became of the record at `index`; registers the waker where that is open.
    #[inline]
    pub(super) fn poll(&self, index: u32, waker: &Waker) -> Poll<Settled> {
        match self.whole.get() {
            // Nearly always: stored, with its whole batch.
            Some(Whole::Stored(stored)) if !self.divided.load(Ordering::Acquire) => {
                Poll::Ready(Ok(stored.at(index)))
            }
            _ => self.poll_closely(index, waker),
        }
    }

    fn poll_closely(&self, index: u32, waker: &Waker) -> Poll<Settled> {
        if let (Some(whole), false) = (self.whole.get(), self.divided.load(Ordering::Acquire)) {
            return Poll::Ready(self.read(whole.outcome(index)));
        }
        let mut waker = Some(waker.clone());
        let outcome = {
            let mut apart = self.apart.lock();
            match (apart.settled.get(&index), self.whole.get()) {
                (Some(settled), _) => Some(settled.clone()),
                (None, Some(whole)) => Some(whole.outcome(index)),
                (None, None) => {
                    waker = waker.and_then(|waker| apart.waiters.wait(index, waker));
                    None
                }
            }
        };
        // What is not needed, or was there before.
        drop(waker);
        outcome.map_or(Poll::Pending, |outcome| Poll::Ready(self.read(outcome)))
    }

    fn read(&self, outcome: Outcome) -> Settled {
        match outcome {
            Outcome::Stored(stored) => Ok(stored),
            Outcome::Forgotten => Err(Error::new(ErrorKind::Internal, "the receipt of this message is gone")),
            // The error of one message, with the message as its user handed it in.
            Outcome::Failed(lost, position) => {
                let message = lost.records.message(position, &self.topic, self.partition);
                Err(lost.error.clone().with_message(message))
            }
        }
    }
}

impl Whole {
    fn outcome(&self, index: u32) -> Outcome {
        match self {
            Self::Stored(stored) => Outcome::Stored(stored.at(index)),
            Self::Failed(lost) => Outcome::Failed(lost.clone(), index as usize),
        }
    }
}

impl Clone for Outcome {
    fn clone(&self) -> Self {
        match self {
            Self::Stored(stored) => Self::Stored(*stored),
            Self::Failed(lost, position) => Self::Failed(lost.clone(), *position),
            Self::Forgotten => Self::Forgotten,
        }
    }
}

debug_as!(completion: Completion {
    topic: completion.topic,
    partition: completion.partition,
    finished: completion.is_finished(),
    ..
});
