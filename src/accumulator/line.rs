//! The calls that wait for buffer space, first come, first served.
//!
//! Space is never set aside for a call that waits: it is woken, and takes the space when it is polled. A call that was woken
//! and is not polled loses its place, so that no other call waits behind it; it is added anew when it is polled again.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

/// A call that is not polled within this time after it was woken loses its place.
pub(crate) const POLLED_WITHIN: Duration = Duration::from_millis(100);

/// A place in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u64);

#[derive(Debug)]
struct Waiting {
    place: Place,
    bytes: usize,
    /// Taken when the call is woken.
    waker: Option<Waker>,
    woken: Option<Instant>,
}

#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: VecDeque<Waiting>,
    next: u64,
    /// Every call is refused.
    pub(super) closed: bool,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Removes calls that lost their place.
    pub(super) fn prune(&mut self, now: Instant) {
        let is_late = |woken: Instant| now.saturating_duration_since(woken) > POLLED_WITHIN;
        self.waiting.retain(|waiting| !waiting.woken.is_some_and(is_late));
    }

    /// Adds a call, unless it still has its place. Returns its former waker, to be dropped without a lock.
    pub(super) fn add(&mut self, place: &mut Option<Place>, bytes: usize, waker: Waker) -> Option<Waker> {
        if let Some(mine) = self.waiting.iter_mut().find(|waiting| Some(waiting.place) == *place) {
            mine.woken = None;
            return mine.waker.replace(waker);
        }
        self.next += 1;
        let new = Place(self.next);
        *place = Some(new);
        self.waiting.push_back(Waiting { place: new, bytes, waker: Some(waker), woken: None });
        None
    }

    pub(super) fn is_first(&self, place: Option<Place>) -> bool {
        self.waiting.front().map(|first| first.place) == place
    }

    /// Removes a call. Returns its waker, to be dropped without a lock.
    pub(super) fn remove(&mut self, place: Option<Place>) -> Option<Waker> {
        let at = self.waiting.iter().position(|waiting| Some(waiting.place) == place)?;
        self.waiting.remove(at)?.waker
    }

    /// The wakers of the first calls for which `free` bytes are enough, to be woken without a lock.
    pub(super) fn wake(&mut self, mut free: usize, now: Instant) -> Vec<Waker> {
        self.prune(now);
        let mut wakers = Vec::new();
        for waiting in &mut self.waiting {
            let Some(left) = free.checked_sub(waiting.bytes) else {
                break;
            };
            free = left;
            if waiting.woken.is_none() {
                waiting.woken = Some(now);
                wakers.extend(waiting.waker.take());
            }
        }
        wakers
    }

    /// Refuses every call from now on. Returns the wakers of those that wait, to be woken without a lock.
    pub(super) fn close(&mut self) -> Vec<Waker> {
        self.closed = true;
        std::mem::take(&mut self.waiting).into_iter().filter_map(|waiting| waiting.waker).collect()
    }
}
