//! The time as of a moment ago, for those who ask with every message.
//!
//! A look at the system's clock costs as much as encoding a small record. The processor's counter costs half of it, and
//! says that the last look of this thread is recent enough. A process that was frozen finds the counter far ahead.

use std::any::TypeId;
use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use quanta::Clock;
use tokio::time::Instant;

/// A look at the clock is used again for a quarter of a millisecond.
const RECENT_NANOS: u64 = 250_000;

/// Messages of a producer after which the counter is calibrated, which may take a fifth of a second of a processor: only a
/// long flood saves more than that.
const LONG_FLOOD: u64 = 4_000_000;

/// The processor's counter, once it is calibrated.
static COUNTER: OnceLock<Clock> = OnceLock::new();
static CALIBRATES: AtomicBool = AtomicBool::new(false);

thread_local! {
    static LAST: Cell<Option<Look>> = const { Cell::new(None) };
}

/// A look at the clock, and what the counter was just before.
#[derive(Clone, Copy, Debug)]
struct Look {
    counter: u64,
    at: Instant,
}

/// The present time, or that of at most a quarter of a millisecond ago.
#[inline]
pub(crate) fn recently() -> Instant {
    match COUNTER.get() {
        Some(counter) => LAST.with(|last| look(counter, last, Instant::now)),
        None => Instant::now(),
    }
}

/// A producer has accepted messages: how many, which is asked until it was very many. Then the counter is used, if it can be
/// trusted.
pub(crate) fn accepted(messages: impl FnOnce() -> u64) {
    if CALIBRATES.load(Ordering::Relaxed) || messages() < LONG_FLOOD {
        return;
    }
    if !CALIBRATES.swap(true, Ordering::Relaxed) && !clock_may_be_paused() {
        // Without a thread nothing is lost.
        let calibrate = || drop(COUNTER.set(Clock::new()));
        drop(std::thread::Builder::new().name("calibrate the clock".into()).spawn(calibrate));
    }
}

#[inline]
fn look(counter: &Clock, last: &Cell<Option<Look>>, clock: impl FnOnce() -> Instant) -> Instant {
    let now = counter.raw();
    if let Some(Look { counter: then, at }) = last.get() {
        // Between processors it may go backwards.
        if then <= now && counter.delta_as_nanos(then, now) < RECENT_NANOS {
            return at;
        }
    }
    let at = clock();
    last.set(Some(Look { counter: now, at }));
    at
}

/// Whether tokio was built with `test-util`: its clock may then stand still, or jump, which the counter does not show.
fn clock_may_be_paused() -> bool {
    struct Missing;
    #[allow(dead_code, reason = "unless tokio lacks it")]
    fn pause() -> Missing {
        Missing
    }
    fn returns_nothing<T: 'static>(_: fn() -> T) -> bool {
        TypeId::of::<T>() == TypeId::of::<()>()
    }
    {
        #[allow(unused_imports, reason = "has the name only with `test-util`")]
        use tokio::time::*;
        returns_nothing(pause)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_look_at_the_clock_serves_for_a_quarter_of_a_millisecond() {
        let (counter, mock) = Clock::mock();
        let (last, start) = (Cell::new(None), Instant::now());
        let mut looks = 0;
        let mut look = |mock_time: u64| {
            mock.increment(mock_time.saturating_sub(mock.value()));
            mock.decrement(mock.value().saturating_sub(mock_time));
            look(&counter, &last, || {
                looks += 1;
                start + Duration::from_nanos(mock_time)
            })
        };
        let at = |nanos| start + Duration::from_nanos(nanos);
        assert_eq!(look(1_000_000), at(1_000_000));
        assert_eq!(look(1_249_999), at(1_000_000));
        assert_eq!(look(1_250_000), at(1_250_000));
        assert_eq!(look(9_000_000_000), at(9_000_000_000), "the process was frozen");
        assert_eq!(look(5_000_000), at(5_000_000), "on another processor, whose counter is behind");
        assert_eq!(looks, 4);
    }

    #[test]
    fn it_is_never_ahead_of_the_clock_nor_a_millisecond_behind() {
        let (counter, last) = (Clock::new(), Cell::new(None));
        for _ in 0..100_000 {
            let before = Instant::now();
            let recent = look(&counter, &last, Instant::now);
            assert!(recent <= Instant::now());
            assert!(before.saturating_duration_since(recent) < Duration::from_millis(1));
        }
    }

    #[test]
    fn a_clock_that_may_be_paused_is_read_every_time() {
        assert!(clock_may_be_paused(), "tests are built with it");
    }
}
