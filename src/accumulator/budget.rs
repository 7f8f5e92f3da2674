//! Space for messages: in the buffer as a whole, and in the share of it that one topic may fill.

use std::borrow::Cow;
use std::sync::Arc;

use super::buffer::{Buffer, NoRoom};
use crate::record::{Records, Room};
use crate::telemetry::Log;

/// Where the space of a topic's messages comes from.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    whole: Arc<Buffer>,
    /// `None` where a topic may fill the whole buffer.
    share: Option<Arc<Buffer>>,
}

impl Budget {
    /// `share`: the bytes that one topic may fill, where that is less than all.
    pub(crate) fn new(whole: Arc<Buffer>, share: Option<usize>) -> Self {
        Self { whole, share: share.map(Buffer::new) }
    }

    /// The part of the buffer that the topic may fill, where that is less than all.
    pub(crate) fn share(&self) -> Option<&Arc<Buffer>> {
        self.share.as_ref()
    }

    /// Whether this many bytes can ever be taken.
    pub(crate) fn can_hold(&self, bytes: usize) -> bool {
        let share = self.share.as_ref().map_or(usize::MAX, |share| share.capacity());
        bytes <= share.min(self.whole.capacity())
    }

    #[inline]
    pub(crate) fn try_take(&self, bytes: usize) -> Result<Held<'_>, NoRoom> {
        match &self.share {
            None => self.whole.try_take(bytes)?,
            Some(share) => {
                share.try_take(bytes)?;
                take_second(&self.whole, share, bytes)?;
            }
        }
        Ok(self.held(bytes))
    }

    /// Waits in line for the topic's share, and for the whole buffer. Holds nothing of either while it waits.
    ///
    /// Cancel safe: a future that did not resolve took nothing.
    pub(crate) async fn take(&self, bytes: usize) -> Result<Held<'_>, NoRoom> {
        let Some(share) = &self.share else {
            self.whole.take(bytes).await?;
            return Ok(self.held(bytes));
        };
        // In turns: whichever is full is waited for.
        for (first, second) in [(share, &self.whole), (&self.whole, share)].into_iter().cycle() {
            first.take(bytes).await?;
            match take_second(second, first, bytes) {
                Ok(()) => break,
                Err(NoRoom::Full) => {}
                Err(NoRoom::Closed) => return Err(NoRoom::Closed),
            }
        }
        Ok(self.held(bytes))
    }

    fn held(&self, bytes: usize) -> Held<'_> {
        Held { budget: Cow::Borrowed(self), bytes }
    }

    /// Tasks that wait for space are woken: no lock may be held.
    pub(super) fn give_back(&self, bytes: usize) {
        self.whole.give_back(bytes);
        if let Some(share) = &self.share {
            share.give_back(bytes);
        }
    }

    /// Memory for a new batch.
    pub(super) fn records(&self, room: Room) -> Records {
        self.whole.records(room)
    }

    /// Takes back the memory of a settled batch, whose space was given back. No lock may be held: values are dropped.
    pub(super) fn recycle(&self, records: Records, log: &Log) {
        self.whole.recycle(records, log);
    }

    fn is(&self, other: &Self) -> bool {
        let same_share = match (&self.share, &other.share) {
            (Some(mine), Some(theirs)) => Arc::ptr_eq(mine, theirs),
            (mine, theirs) => mine.is_none() && theirs.is_none(),
        };
        same_share && Arc::ptr_eq(&self.whole, &other.whole)
    }
}

/// Takes the bytes of `second` too, or gives back those of `first`.
fn take_second(second: &Buffer, first: &Buffer, bytes: usize) -> Result<(), NoRoom> {
    second.try_take(bytes).inspect_err(|_| first.give_back(bytes))
}

/// Space for a message that is not appended yet. It is given back unless it is [kept](Self::keep): whatever happens between
/// taking and appending, no byte is lost. No lock may be held when it is dropped: tasks that wait for space are woken.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    budget: Cow<'a, Budget>,
    bytes: usize,
}

impl Held<'_> {
    /// Whether it is space of this budget.
    pub(crate) fn is_of(&self, budget: &Budget) -> bool {
        self.budget.is(budget)
    }

    /// Some of it is appended now. The rest is given back when this is dropped.
    pub(crate) fn keep_part(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// The message was appended: its batch gives the bytes back.
    #[inline]
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }

    /// The same space, to be given back when the lock under which it was taken is released.
    pub(crate) fn into_owned(mut self) -> Held<'static> {
        Held { budget: Cow::Owned((*self.budget).clone()), bytes: std::mem::take(&mut self.bytes) }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn budget() -> (Arc<Buffer>, Budget) {
        let whole = Buffer::new(100);
        (whole.clone(), Budget::new(whole, Some(60)))
    }

    fn used(budget: &Budget) -> (usize, usize) {
        (budget.whole.used(), budget.share.as_ref().map_or(0, |share| share.used()))
    }

    #[test]
    fn a_message_takes_space_of_both_or_of_neither() {
        let (whole, budget) = budget();
        assert!(budget.can_hold(60) && !budget.can_hold(61));
        assert_eq!(budget.try_take(61).err(), Some(NoRoom::Full), "more than the share");
        assert_eq!(used(&budget), (0, 0));
        whole.try_take(50).unwrap();
        assert_eq!(budget.try_take(60).err(), Some(NoRoom::Full), "more than is left of the whole");
        assert_eq!(used(&budget), (50, 0));
        let held = budget.try_take(40).unwrap();
        assert_eq!(used(&budget), (90, 40));
        drop(held);
        assert_eq!(used(&budget), (50, 0), "it was not appended");
        budget.try_take(40).unwrap().keep();
        assert_eq!(used(&budget), (90, 40));
        budget.give_back(40);
        assert_eq!(used(&budget), (50, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_waits_for_one_holds_nothing_of_the_other() {
        let (whole, budget) = budget();
        whole.try_take(90).unwrap();
        let mut waiting = pin!(budget.take(30));
        let mut poll = || waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll().is_pending());
        assert_eq!(used(&budget), (90, 0), "the whole is full");
        let other = budget.try_take(5).err();
        assert_eq!(other, Some(NoRoom::Full), "nobody passes the one that waits");
        whole.give_back(90);
        let Poll::Ready(Ok(held)) = poll() else { panic!("there is space") };
        assert_eq!(used(&budget), (30, 30));
        drop(held);
        assert_eq!(used(&budget), (0, 0));
        whole.close();
        assert_eq!(budget.take(1).await.err(), Some(NoRoom::Closed));
        assert_eq!(used(&budget), (0, 0));
    }

    #[test]
    fn space_is_of_the_budget_that_it_was_taken_from() {
        let (whole, first) = budget();
        let second = Budget::new(whole.clone(), Some(60));
        let held = first.try_take(1).unwrap();
        assert!(held.is_of(&first) && held.is_of(&first.clone()) && !held.is_of(&second));
        let without = [Budget::new(whole.clone(), None), Budget::new(whole, None)];
        assert!(without[0].try_take(1).unwrap().is_of(&without[1]), "all of them are the whole");
    }
}
