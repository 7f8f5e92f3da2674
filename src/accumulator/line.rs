//! The calls that wait for buffer space, first come, first served.
//!
//! Space is not taken for a call that waits: the call is woken, and takes the space when it is polled. Until then other calls
//! leave that space alone. A call that was woken and is not polled loses its place, so that no other call waits behind it; it is
//! added anew when it is polled again.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

/// A call that is not polled within this time after it was woken loses its place.
pub(crate) const POLLED_WITHIN: Duration = Duration::from_millis(100);

/// A place in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u64);

#[derive(Debug)]
struct Waiting {
    place: Place,
    bytes: usize,
    waker: Waker,
}

#[derive(Debug)]
struct Woken {
    place: Place,
    bytes: usize,
    since: Instant,
}

/// Both queues are in the order of their places.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: VecDeque<Waiting>,
    woken: VecDeque<Woken>,
    /// The sum of the bytes of the woken calls.
    promised: usize,
    next: u64,
    /// Every call is refused.
    pub(super) closed: bool,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.woken.is_empty()
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn has_woken(&self) -> bool {
        !self.woken.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.woken.len()
    }

    /// The bytes that a call has to leave for others if it takes space now; `None` if it has to wait for its turn.
    pub(super) fn promised_to_others(&self, place: Option<Place>) -> Option<usize> {
        if place.is_some_and(|place| self.find_woken(place).is_ok()) {
            return Some(0);
        }
        let is_next = self.waiting.front().is_none_or(|first| Some(first.place) == place);
        is_next.then_some(self.promised)
    }

    /// Removes calls that lost their place. Returns whether there was any.
    pub(super) fn prune(&mut self, now: Instant) -> bool {
        let before = self.woken.len();
        let is_late = |woken: &Woken| now.saturating_duration_since(woken.since) > POLLED_WITHIN;
        while self.woken.front().is_some_and(is_late) {
            self.remove_woken(0);
        }
        self.woken.len() < before
    }

    /// Lets a call wait: at its place if it still has one, else behind all others. Returns its former waker, to be dropped without
    /// a lock.
    pub(super) fn add(&mut self, place: &mut Option<Place>, bytes: usize, waker: Waker) -> Option<Waker> {
        if let Some(mine) = *place {
            if let Ok(at) = self.find_waiting(mine) {
                return Some(std::mem::replace(&mut self.waiting[at].waker, waker));
            }
            if let Ok(at) = self.find_woken(mine) {
                self.remove_woken(at);
                let at = self.find_waiting(mine).unwrap_or_else(|at| at);
                self.waiting.insert(at, Waiting { place: mine, bytes, waker });
                return None;
            }
        }
        self.next += 1;
        let new = Place(self.next);
        *place = Some(new);
        self.waiting.push_back(Waiting { place: new, bytes, waker });
        None
    }

    /// Removes a call. Returns its waker, to be dropped without a lock.
    pub(super) fn remove(&mut self, place: Option<Place>) -> Option<Waker> {
        let place = place?;
        if let Ok(at) = self.find_woken(place) {
            self.remove_woken(at);
            return None;
        }
        let at = self.find_waiting(place).ok()?;
        self.waiting.remove(at).map(|waiting| waiting.waker)
    }

    /// The wakers of the first calls for which `free` bytes are enough, to be woken without a lock.
    pub(super) fn wake(&mut self, free: usize, now: Instant) -> Vec<Waker> {
        self.prune(now);
        let mut wakers = Vec::new();
        while self.waiting.front().is_some_and(|first| self.promised.saturating_add(first.bytes) <= free) {
            let Some(Waiting { place, bytes, waker }) = self.waiting.pop_front() else {
                break;
            };
            self.promised += bytes;
            self.woken.push_back(Woken { place, bytes, since: now });
            wakers.push(waker);
        }
        wakers
    }

    /// Refuses every call from now on. Returns the wakers of those that wait, to be woken without a lock.
    pub(super) fn close(&mut self) -> Vec<Waker> {
        self.closed = true;
        self.woken.clear();
        self.promised = 0;
        std::mem::take(&mut self.waiting).into_iter().map(|waiting| waiting.waker).collect()
    }

    fn remove_woken(&mut self, at: usize) {
        if let Some(woken) = self.woken.remove(at) {
            self.promised -= woken.bytes;
        }
    }

    fn find_waiting(&self, place: Place) -> Result<usize, usize> {
        self.waiting.binary_search_by_key(&place, |waiting| waiting.place)
    }

    fn find_woken(&self, place: Place) -> Result<usize, usize> {
        self.woken.binary_search_by_key(&place, |woken| woken.place)
    }
}
