//! Timers that outlive the requests that they were set for.
//!
//! Nearly every request is answered long before its time is over. To set a timer for each and to take it back costs two
//! locks, and a call of the system that wakes the runtime where nothing else was due as soon. So a request that ends leaves
//! its timer as it is to the next one, whose time is later: it is set again only if it rings before that.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Poll, ready};

use parking_lot::Mutex;
use tokio::runtime::{self, Handle};
use tokio::time::{Instant, Sleep, sleep_until};

/// The timers of one connection: as many as there ever were requests in flight.
#[derive(Debug, Default)]
pub(super) struct Timers {
    kept: Mutex<Vec<Timer>>,
}

#[derive(Debug)]
struct Timer {
    sleep: Pin<Box<Sleep>>,
    /// Where it rings.
    runtime: Option<runtime::Id>,
}

/// A timer in use; it is kept when that ends.
struct Lent<'a> {
    timers: &'a Timers,
    timer: Option<Timer>,
}

impl Timers {
    /// The outcome of `work`, or `None` where there is none by then.
    pub(super) async fn until<F: Future>(&self, at: Instant, mut work: Pin<&mut F>) -> Option<F::Output> {
        let mut lent = None;
        poll_fn(|cx| {
            if let Poll::Ready(outcome) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(outcome));
            }
            let Lent { timer, .. } = lent.get_or_insert_with(|| self.lend());
            let sleep = &mut timer.get_or_insert_with(|| Timer::new(at)).sleep;
            if sleep.deadline() > at {
                sleep.as_mut().reset(at);
            }
            loop {
                ready!(sleep.as_mut().poll(cx));
                if sleep.deadline() >= at {
                    return Poll::Ready(None);
                }
                sleep.as_mut().reset(at);
            }
        })
        .await
    }

    /// A timer of the runtime that this runs on, whatever it is set to, if one is kept.
    fn lend(&self) -> Lent<'_> {
        let here = here();
        let mut kept = self.kept.lock();
        let at = kept.iter().position(|timer| timer.runtime == here);
        Lent { timers: self, timer: at.map(|at| kept.swap_remove(at)) }
    }
}

impl Timer {
    fn new(at: Instant) -> Self {
        Self { sleep: Box::pin(sleep_until(at)), runtime: here() }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.timers.kept.lock().extend(self.timer.take());
    }
}

fn here() -> Option<runtime::Id> {
    Handle::try_current().ok().map(|here| here.id())
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::pin::pin;
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    impl Timers {
        /// When each of those that are kept rings.
        fn set_to(&self) -> Vec<Instant> {
            self.kept.lock().iter().map(|timer| timer.sleep.deadline()).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_are_answered_share_a_timer_that_is_not_set_again() {
        let (timers, start) = (Timers::default(), Instant::now());
        for n in 0..100 {
            let answer = pin!(tokio::time::sleep(Duration::from_millis(5)));
            let limit = start + Duration::from_millis(5 * n) + SECOND;
            assert!(timers.until(limit, answer).await.is_some());
            assert_eq!(timers.set_to(), [start + SECOND]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_ends_at_its_time_whatever_the_timer_was_set_to() {
        let (timers, start) = (Timers::default(), Instant::now());
        for (set_to, limit) in [(1, 3), (4, 9), (20, 10)] {
            let (set_to, limit) = (start + set_to * SECOND, start + limit * SECOND);
            assert!(timers.until(set_to, pin!(tokio::task::yield_now())).await.is_some());
            assert!(timers.until(limit, pin!(pending::<()>())).await.is_none());
            assert_eq!((Instant::now(), timers.set_to()), (limit, vec![limit]));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_answered_at_once_needs_no_timer_and_each_in_flight_has_its_own() {
        let (timers, limit) = (Timers::default(), Instant::now() + SECOND);
        assert!(timers.until(limit, pin!(async {})).await.is_some());
        assert!(timers.set_to().is_empty());
        let wait = || async { timers.until(limit, pin!(pending::<()>())).await };
        tokio::join!(wait(), wait(), wait());
        assert_eq!(timers.set_to(), [limit; 3]);
    }

    #[test]
    fn a_timer_of_a_runtime_that_has_ended_serves_no_other() {
        let timers = Timers::default();
        for _ in 0..2 {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let limit = Instant::now() + Duration::from_millis(1);
                assert!(timers.until(limit, pin!(pending::<()>())).await.is_none());
            });
        }
        assert_eq!(timers.set_to().len(), 2);
    }
}
