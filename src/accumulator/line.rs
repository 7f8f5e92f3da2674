//! The calls that wait for buffer space, first come, first served.
//!
//! Room is never set aside for a call that waits: it is called, and takes the room when it is polled. One that is no longer
//! polled loses its place, so that nobody waits behind it. It stands in line anew when it is polled again.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

/// A call that does not come within this time after it was called loses its place.
pub(crate) const LEFT_ALONE: Duration = Duration::from_millis(100);

/// A place in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u64);

#[derive(Debug)]
struct Waiting {
    place: Place,
    bytes: usize,
    /// Wakes the call; taken when it is called.
    waker: Option<Waker>,
    called: Option<Instant>,
}

#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: VecDeque<Waiting>,
    next: u64,
    /// Nobody is let in any more.
    pub(super) closed: bool,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Forgets calls that lost their place.
    pub(super) fn prune(&mut self, now: Instant) {
        let is_late = |called: Instant| now.saturating_duration_since(called) > LEFT_ALONE;
        self.waiting.retain(|waiting| !waiting.called.is_some_and(is_late));
    }

    /// Has a call stand in line: where it stood, if it still does. Returns its former waker, to be dropped without a lock.
    pub(super) fn stand(&mut self, place: &mut Option<Place>, bytes: usize, waker: Waker) -> Option<Waker> {
        if let Some(mine) = self.waiting.iter_mut().find(|waiting| Some(waiting.place) == *place) {
            mine.called = None;
            return mine.waker.replace(waker);
        }
        self.next += 1;
        let new = Place(self.next);
        *place = Some(new);
        self.waiting.push_back(Waiting { place: new, bytes, waker: Some(waker), called: None });
        None
    }

    pub(super) fn is_first(&self, place: Option<Place>) -> bool {
        self.waiting.front().map(|first| first.place) == place
    }

    /// Has a call step out of the line. Returns its waker, to be dropped without a lock.
    pub(super) fn leave(&mut self, place: Place) -> Option<Waker> {
        let at = self.waiting.iter().position(|waiting| waiting.place == place)?;
        self.waiting.remove(at)?.waker
    }

    /// Calls the first ones for which `free` bytes are enough; their wakers, to be woken without a lock.
    pub(super) fn call(&mut self, mut free: usize, now: Instant) -> Vec<Waker> {
        self.prune(now);
        let mut woken = Vec::new();
        for waiting in &mut self.waiting {
            let Some(left) = free.checked_sub(waiting.bytes) else {
                break;
            };
            free = left;
            if waiting.called.is_none() {
                waiting.called = Some(now);
                woken.extend(waiting.waker.take());
            }
        }
        woken
    }

    /// Turns away everyone; their wakers, to be woken without a lock.
    pub(super) fn close(&mut self) -> Vec<Waker> {
        self.closed = true;
        std::mem::take(&mut self.waiting).into_iter().filter_map(|waiting| waiting.waker).collect()
    }
}
