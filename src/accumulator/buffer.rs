//! The bound of bytes that are accepted but not settled.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::line::{Line, Place};
use super::spare::Spare;
use crate::error::callback::guarded;
use crate::record::{Records, Room};
use crate::telemetry::Log;

/// Room for messages, in bytes; waiting for it is first come, first served.
#[derive(Debug)]
pub(crate) struct Buffer {
    free: AtomicUsize,
    capacity: usize,
    line: Mutex<Line>,
    /// Whether a call waits, or the buffer is closed: then the line has to be looked at.
    guarded: AtomicBool,
    spare: Mutex<Spare>,
}

/// The part of a buffer that memory for the next batches may take beside it.
const SPARE: usize = 4;

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// Not at the moment.
    Full,
    /// Never: the buffer was closed.
    Closed,
}

impl Buffer {
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        let spare = Mutex::new(Spare::up_to(capacity / SPARE));
        let (free, line) = (AtomicUsize::new(capacity), Mutex::default());
        Arc::new(Self { free, capacity, line, guarded: AtomicBool::new(false), spare })
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn used(&self) -> usize {
        self.capacity - self.free.load(Ordering::SeqCst).min(self.capacity)
    }

    /// Calls that wait for space.
    pub(crate) fn waiting(&self) -> usize {
        self.line.lock().len()
    }

    /// Takes `bytes` if they are free, and no call that came earlier waits for them.
    #[inline]
    pub(crate) fn try_take(&self, bytes: usize) -> Result<(), NoRoom> {
        if self.guarded.load(Ordering::SeqCst) {
            return self.try_take_guarded(bytes);
        }
        if self.subtract(bytes, 0) { Ok(()) } else { Err(NoRoom::Full) }
    }

    fn try_take_guarded(&self, bytes: usize) -> Result<(), NoRoom> {
        let mut line = self.line.lock();
        if line.closed {
            return Err(NoRoom::Closed);
        }
        if line.is_empty() {
            self.guarded.store(false, Ordering::SeqCst);
        }
        if self.take_turn(&mut line, None, bytes) { Ok(()) } else { Err(NoRoom::Full) }
    }

    /// Takes `bytes` if they are free and it is the turn of the call at `place`.
    fn take_turn(&self, line: &mut Line, place: Option<Place>, bytes: usize) -> bool {
        let take =
            |line: &Line| line.promised_to_others(place).is_some_and(|kept| self.subtract(bytes, kept));
        // The clock is read only where a call may have lost its place.
        take(line) || (line.has_woken() && line.prune(Instant::now()) && take(line))
    }

    /// Takes `bytes`, unless fewer than `kept` were free after it.
    fn subtract(&self, bytes: usize, kept: usize) -> bool {
        let less = |free: usize| free.checked_sub(bytes).filter(|left| *left >= kept);
        self.free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
    }

    /// Waits in line for `bytes`. A call that is no longer polled delays the others by at most
    /// [`POLLED_WITHIN`](super::line::POLLED_WITHIN), if those are polled now and then.
    ///
    /// Cancel safe: a future that did not resolve took nothing.
    pub(crate) async fn take(&self, bytes: usize) -> Result<(), NoRoom> {
        let mut waiting = WaitingCall { buffer: self, place: None };
        poll_fn(|cx| self.poll_take(bytes, &mut waiting.place, cx)).await
    }

    fn poll_take(
        &self,
        bytes: usize,
        place: &mut Option<Place>,
        cx: &Context<'_>,
    ) -> Poll<Result<(), NoRoom>> {
        // Cloned, and dropped, without the lock: a waker is the user's.
        let waker = cx.waker().clone();
        let (taken, unused, next);
        {
            let mut line = self.line.lock();
            if line.closed {
                return Poll::Ready(Err(NoRoom::Closed));
            }
            // Before the space is looked at: whatever is given back from here on finds the waiter.
            self.guarded.store(true, Ordering::SeqCst);
            taken = self.take_turn(&mut line, *place, bytes);
            unused = if taken { line.remove(place.take()) } else { line.add(place, bytes, waker) };
            // There may be space for the next one, too.
            next = self.next(&mut line);
        }
        drop(unused);
        wake(next);
        if taken { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// The wakers of the first calls for which there is space.
    fn next(&self, line: &mut Line) -> Vec<Waker> {
        if line.has_waiting() {
            line.wake(self.free.load(Ordering::SeqCst), Instant::now())
        } else {
            Vec::new()
        }
    }

    fn wake(&self) {
        let next = self.next(&mut self.line.lock());
        wake(next);
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.free.fetch_add(bytes, Ordering::SeqCst);
        if self.guarded.load(Ordering::SeqCst) {
            self.wake();
        }
        if self.used() == 0 {
            // An idle producer holds no memory for batches.
            self.spare.lock().clear();
        }
    }

    /// Memory for a new batch.
    pub(super) fn records(&self, room: Room) -> Records {
        let spare = self.spare.lock().take(room);
        spare.unwrap_or_else(|| Records::with_room(room))
    }

    /// Takes back the memory of a batch whose messages are settled, and have given back their room.
    pub(super) fn recycle(&self, mut records: Records, log: &Log) {
        // Outside the lock: the owner of a value may run code of the user's when it is dropped.
        records.clear(log);
        let mut spare = self.spare.lock();
        if self.used() > 0 {
            spare.keep(records);
        }
    }

    /// Refuses all waiting and all future calls.
    pub(crate) fn close(&self) {
        let woken = {
            let mut line = self.line.lock();
            self.guarded.store(true, Ordering::SeqCst);
            line.close()
        };
        wake(woken);
    }
}

/// A call that waits, and leaves the line if it is dropped.
struct WaitingCall<'a> {
    buffer: &'a Buffer,
    place: Option<Place>,
}

impl Drop for WaitingCall<'_> {
    fn drop(&mut self) {
        if self.place.is_some() {
            let waker = self.buffer.line.lock().remove(self.place);
            drop(waker);
            // The next call may be served now.
            self.buffer.wake();
        }
    }
}

fn wake(woken: Vec<Waker>) {
    for waker in woken {
        // A panic concerns nobody else, and the panic hook has reported it.
        drop(guarded("a waker", || waker.wake()));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::message::Message;
    use crate::record::Stamp;

    /// A value whose owner looks, as it goes, whether the buffer could be used.
    struct Owner(Arc<Buffer>, std::sync::mpsc::Sender<bool>);

    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            &[0; 1_000]
        }
    }

    impl Drop for Owner {
        fn drop(&mut self) {
            self.1.send(self.0.spare.try_lock().is_some()).unwrap();
        }
    }

    #[test]
    fn a_value_whose_owner_uses_the_producer_as_it_goes_stops_nothing() {
        let buffer = Buffer::new(32 << 20);
        let (sender, was_free) = std::sync::mpsc::channel();
        let mut records = Records::with_room(Room::of(1 << 20));
        let message = Message::new(Bytes::from_owner(Owner(buffer.clone(), sender)));
        assert!(records.push(&message, Stamp { timestamp: 0, expires_after: 0 }, 10_000));
        drop(message);
        assert_eq!(buffer.try_take(1), Ok(()));
        buffer.recycle(records, &Log::ambient());
        assert_eq!(was_free.recv(), Ok(true));
    }

    type Take<'a> = std::pin::Pin<Box<dyn Future<Output = Result<(), NoRoom>> + 'a>>;

    fn poll(buffer: &Buffer, bytes: usize) -> (Poll<Result<(), NoRoom>>, Take<'_>) {
        let mut take: Take<'_> = Box::pin(buffer.take(bytes));
        (again(&mut take), take)
    }

    fn again<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
        std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_calls_are_served_in_order_and_nobody_passes() {
        let buffer = Buffer::new(100);
        assert_eq!(buffer.try_take(100), Ok(()));
        let (first, mut large) = poll(&buffer, 60);
        let (second, mut small) = poll(&buffer, 10);
        assert!(first.is_pending() && second.is_pending());
        buffer.give_back(50);
        assert_eq!(again(&mut small), Poll::Pending, "the large one is first");
        assert_eq!(buffer.try_take(1), Err(NoRoom::Full), "nobody passes a waiting call");
        buffer.give_back(10);
        assert_eq!(again(&mut large), Poll::Ready(Ok(())));
        assert_eq!(again(&mut small), Poll::Pending);
        drop(large);
        buffer.give_back(60);
        assert_eq!(again(&mut small), Poll::Ready(Ok(())));
        drop(small);
        assert_eq!(buffer.try_take(90 - 40), Ok(()));
        buffer.give_back(100);
        assert_eq!(buffer.used(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_woken_call_needs_is_left_for_it_and_the_rest_is_free() {
        let buffer = Buffer::new(100);
        assert_eq!(buffer.try_take(100), Ok(()));
        let (_, mut woken) = poll(&buffer, 60);
        buffer.give_back(70);
        assert_eq!(buffer.try_take(11), Err(NoRoom::Full));
        assert_eq!(buffer.try_take(10), Ok(()));
        let (last, mut behind) = poll(&buffer, 1);
        assert!(last.is_pending());
        assert_eq!(again(&mut woken), Poll::Ready(Ok(())));
        assert_eq!(again(&mut behind), Poll::Pending);
        assert_eq!(buffer.used(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_no_longer_polled_keeps_no_room_and_holds_up_no_other() {
        let buffer = Buffer::new(100);
        assert_eq!(buffer.try_take(100), Ok(()));
        let (_, mut alone) = poll(&buffer, 100);
        let (_, mut behind) = poll(&buffer, 100);
        buffer.give_back(100);
        assert_eq!(buffer.used(), 0, "nothing is set aside");
        assert_eq!(again(&mut behind), Poll::Pending, "the first one was called just now");
        tokio::time::advance(super::super::line::POLLED_WITHIN * 2).await;
        assert_eq!(again(&mut behind), Poll::Ready(Ok(())));
        assert_eq!(again(&mut alone), Poll::Pending, "it comes too late");
        drop(behind);
        buffer.give_back(100);
        assert_eq!(again(&mut alone), Poll::Ready(Ok(())));
        drop(alone);
        buffer.give_back(100);
        let (taken, leaked) = poll(&buffer, 70);
        assert_eq!(taken, Poll::Ready(Ok(())));
        let (_, waiting) = poll(&buffer, 70);
        std::mem::forget((leaked, waiting));
        buffer.give_back(70);
        tokio::time::advance(super::super::line::POLLED_WITHIN * 2).await;
        assert_eq!(buffer.try_take(100), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn room_is_neither_lost_nor_created_as_calls_come_and_go() {
        for seed in 0..3_000 {
            let (mut random, buffer) = (fastrand::Rng::with_seed(seed), Buffer::new(100));
            let (mut waiting, mut held) = (Vec::new(), Vec::new());
            for _ in 0..200 {
                let bytes = random.usize(1..=100);
                match random.u8(..6) {
                    0 if buffer.try_take(bytes).is_ok() => held.push(bytes),
                    1 | 2 => {
                        let (polled, take) = poll(&buffer, bytes);
                        if polled.is_ready() { held.push(bytes) } else { waiting.push((bytes, take)) }
                    }
                    3 if !held.is_empty() => buffer.give_back(held.swap_remove(random.usize(..held.len()))),
                    4 if !waiting.is_empty() => {
                        let at = random.usize(..waiting.len());
                        if again(&mut waiting[at].1).is_ready() {
                            held.push(waiting.remove(at).0);
                        }
                    }
                    5 if !waiting.is_empty() => drop(waiting.remove(random.usize(..waiting.len()))),
                    _ => {}
                }
                assert_eq!(buffer.used(), held.iter().sum::<usize>(), "seed {seed}");
            }
            held.drain(..).for_each(|bytes| buffer.give_back(bytes));
            // All who still wait are served one after the other.
            while !waiting.is_empty() {
                let (bytes, mut take) = waiting.remove(0);
                assert_eq!(again(&mut take), Poll::Ready(Ok(())), "seed {seed}");
                drop(take);
                buffer.give_back(bytes);
            }
            assert_eq!(buffer.try_take(100), Ok(()), "seed {seed}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn closing_turns_everyone_away() {
        let buffer = Buffer::new(10);
        assert_eq!(buffer.try_take(10), Ok(()));
        let (_, mut waiting) = poll(&buffer, 5);
        buffer.close();
        assert_eq!(again(&mut waiting), Poll::Ready(Err(NoRoom::Closed)));
        buffer.give_back(10);
        assert_eq!(buffer.try_take(1), Err(NoRoom::Closed));
        assert_eq!(poll(&buffer, 1).0, Poll::Ready(Err(NoRoom::Closed)));
    }

    #[test]
    fn memory_is_kept_for_the_next_batch_and_not_while_idle() {
        let buffer = Buffer::new(32 << 20);
        let large = || Records::with_room(Room::of(1 << 20));
        let kept = || buffer.spare.lock().bytes();
        assert_eq!(buffer.try_take(2_000), Ok(()));
        buffer.give_back(1_000);
        buffer.recycle(large(), &Log::ambient());
        assert!(kept() >= 1 << 20);
        assert!(buffer.records(Room::of(1 << 20)).capacity() >= 1 << 20);
        assert_eq!(kept(), 0, "taken");
        buffer.recycle(large(), &Log::ambient());
        buffer.give_back(1_000);
        assert_eq!(kept(), 0, "given back with the last message");
        buffer.recycle(large(), &Log::ambient());
        assert_eq!(kept(), 0, "not kept while idle");
        assert_eq!(buffer.try_take(1), Ok(()));
        (0..20).for_each(|_| buffer.recycle(large(), &Log::ambient()));
        assert!(kept() <= 8 << 20, "a quarter of the buffer");
    }
}
