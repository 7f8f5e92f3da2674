//! What the receipts of one batch wait for.
//!
//! All messages of a batch share one completion, and a receipt is that plus an index, so that a receipt costs
//! no allocation of its own. Nearly always a batch is settled as a whole. Only what is settled apart from its
//! batch (withdrawn, expired, or divided because the broker found the batch too large) is kept one by one.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Poll, Waker};

use parking_lot::Mutex;

use super::charge::Charge;
use crate::error::Error;
use crate::foreign::guarded;
use crate::record::Records;
use crate::supervisor::Supervisor;

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

enum Whole {
    /// The offset is that of the first record.
    Stored(Stored),
    Failed(Lost),
}

/// Messages that failed with the same error. They wait here to be handed back, each to its own receipt: only then is one
/// read back, so that a batch that fails costs next to nothing where nobody asks.
pub(super) struct Lost {
    pub(super) error: Error,
    pub(super) records: Records,
    /// The room that they take until they were handed back, or the whole batch is settled: from then on they are their
    /// receipts' alone.
    pub(super) charge: Charge,
}

/// What became of a record apart from its batch.
enum Outcome {
    Stored(Stored),
    /// The place among those that failed with it.
    Failed(Arc<Lost>, usize),
    /// Its receipt is gone, and with it whoever could ask.
    Forgotten,
}

#[derive(Default)]
struct Apart {
    settled: HashMap<u32, Outcome>,
    lost: Vec<Weak<Lost>>,
    wakers: Vec<Waker>,
}

pub(crate) struct Completion {
    topic: Arc<str>,
    partition: i32,
    whole: OnceLock<Whole>,
    /// Whether any record was settled apart: only then does a look at `whole` not suffice.
    divided: AtomicBool,
    /// Pieces of the batch that are not settled yet.
    pieces: AtomicU32,
    apart: Mutex<Apart>,
    /// Sees to it that the batch is served while somebody waits.
    supervisor: Arc<Supervisor>,
}

impl Completion {
    pub(crate) fn new(topic: Arc<str>, partition: i32, supervisor: Arc<Supervisor>) -> Arc<Self> {
        Arc::new(Self {
            topic,
            partition,
            supervisor,
            whole: OnceLock::new(),
            divided: AtomicBool::new(false),
            pieces: AtomicU32::new(1),
            apart: Mutex::default(),
        })
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    pub(crate) fn topic_arc(&self) -> &Arc<str> {
        &self.topic
    }

    pub(crate) fn partition(&self) -> i32 {
        self.partition
    }

    /// Settles every record as stored, the first at `stored.offset` and the others behind it.
    pub(super) fn store_all(&self, stored: Stored) {
        _ = self.whole.set(Whole::Stored(stored));
        self.end_piece();
    }

    /// Settles every record as failed.
    pub(super) fn fail_all(&self, lost: Lost) {
        _ = self.whole.set(Whole::Failed(lost));
        self.end_piece();
    }

    /// Settles single records of a piece as stored.
    pub(super) fn store_some(&self, stored: impl Iterator<Item = (u32, Stored)>) {
        self.settle_some(stored.map(|(index, stored)| (index, Outcome::Stored(stored))));
    }

    /// Settles single records of a piece as failed; how many were not settled before.
    pub(super) fn fail_some(&self, indices: impl Iterator<Item = u32>, lost: Lost) -> usize {
        let lost = Arc::new(lost);
        self.apart.lock().lost.push(Arc::downgrade(&lost));
        let failed = |(position, index)| (index, Outcome::Failed(lost.clone(), position));
        self.settle_some(indices.enumerate().map(failed))
    }

    fn settle_some(&self, settled: impl Iterator<Item = (u32, Outcome)>) -> usize {
        let (new, wakers) = {
            let mut apart = self.apart.lock();
            let before = apart.settled.len();
            for (index, settled) in settled {
                // The first answer stands: an expired message may yet be stored.
                apart.settled.entry(index).or_insert(settled);
            }
            self.divided.store(true, Ordering::Release);
            (apart.settled.len() - before, std::mem::take(&mut apart.wakers))
        };
        wake_all(wakers);
        new
    }

    /// How many of these records are not settled yet.
    pub(super) fn unsettled(&self, indices: impl ExactSizeIterator<Item = u32>) -> usize {
        if !self.divided.load(Ordering::Acquire) {
            return indices.len();
        }
        let apart = self.apart.lock();
        indices.filter(|index| !apart.settled.contains_key(index)).count()
    }

    pub(super) fn add_piece(&self) {
        self.pieces.fetch_add(1, Ordering::Relaxed);
    }

    /// The last record of a piece was settled.
    pub(super) fn end_piece(&self) {
        let last = self.pieces.fetch_sub(1, Ordering::AcqRel) == 1;
        let (wakers, lost) = {
            let mut apart = self.apart.lock();
            (
                std::mem::take(&mut apart.wakers),
                if last { std::mem::take(&mut apart.lost) } else { Vec::new() },
            )
        };
        lost.iter().filter_map(Weak::upgrade).for_each(|lost| lost.charge.release());
        wake_all(wakers);
    }

    /// Resolves once every record of the batch is settled.
    pub(crate) async fn finished(&self) {
        let mut slot = u32::MAX;
        std::future::poll_fn(|cx| {
            if self.is_finished() {
                return Poll::Ready(());
            }
            let mut apart = self.apart.lock();
            if self.is_finished() {
                return Poll::Ready(());
            }
            register(&mut apart.wakers, &mut slot, cx.waker());
            Poll::Pending
        })
        .await;
    }

    /// Wakes whoever waits, without an outcome.
    pub(super) fn wake(&self) {
        let wakers = std::mem::take(&mut self.apart.lock().wakers);
        wake_all(wakers);
    }

    /// Has the tasks watched that serve this batch. Returns `false` if there is no runtime for them any more, and the batch
    /// was settled for that reason.
    pub(super) fn attend(&self) -> bool {
        self.supervisor.attend_or_strand()
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

    /// What became of the record at `index`; registers the waker where that is open. `slot` remembers where.
    pub(super) fn poll(&self, index: u32, slot: &mut u32, waker: &Waker) -> Poll<Settled> {
        if let (Some(whole), false) = (self.whole.get(), self.divided.load(Ordering::Acquire)) {
            return Poll::Ready(self.of_whole(whole, index));
        }
        let mut apart = self.apart.lock();
        if let Some(settled) = apart.settled.get(&index) {
            return Poll::Ready(match settled {
                Outcome::Stored(stored) => Ok(*stored),
                Outcome::Failed(lost, position) => Err(self.hand_back(lost, *position)),
                Outcome::Forgotten => return Poll::Pending,
            });
        }
        if let Some(whole) = self.whole.get() {
            return Poll::Ready(self.of_whole(whole, index));
        }
        register(&mut apart.wakers, slot, waker);
        Poll::Pending
    }

    fn of_whole(&self, whole: &Whole, index: u32) -> Settled {
        match whole {
            Whole::Stored(stored) => {
                Ok(Stored { offset: stored.offset.map(|base| base + i64::from(index)), ..*stored })
            }
            Whole::Failed(lost) => Err(self.hand_back(lost, index as usize)),
        }
    }

    /// The error of one message, with the message as its user handed it in.
    fn hand_back(&self, lost: &Lost, position: usize) -> Error {
        let message = lost.records.message(position, &self.topic, self.partition);
        lost.error.clone().with_message(message)
    }
}

/// Wakes every task. A waker may be the user's: one that panics keeps no other from being woken.
fn wake_all(wakers: Vec<Waker>) {
    for waker in wakers {
        _ = guarded("a waker", || waker.wake());
    }
}

/// Puts `waker` where this waiter left its last one. The list is emptied when its wakers are woken, so a slot
/// may since belong to another; a waker is only ever replaced by one of the same task.
fn register(wakers: &mut Vec<Waker>, slot: &mut u32, waker: &Waker) {
    match wakers.get_mut(*slot as usize) {
        Some(mine) if mine.will_wake(waker) => {}
        _ => {
            *slot = wakers.len() as u32;
            wakers.push(waker.clone());
        }
    }
}

impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}
