//! When to fetch, when to wait, when to use what is there: a function of the time, without a clock.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::clock::{later, scaled};
use crate::error::{Error, ErrorKind};

/// Part of its lifetime after which a token is refreshed.
const REFRESH_AFTER: f64 = 0.8;
/// At most [`MOST`] fetches begin within this time.
const WINDOW: Duration = Duration::from_secs(5);
const MOST: usize = 2;
/// Delay after the first failure; twice as long after each further one. Java's `sasl.login.retry.backoff.ms` has the same default.
const BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(10);
/// How long a login waits for a newer token while the old one is valid, at most a quarter of what it has left.
const PATIENCE: Duration = Duration::from_secs(2);
/// No token lives longer, and both clocks reach so far.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// What a server issued.
#[derive(Clone, Debug)]
pub(crate) struct Fetched<T> {
    pub(crate) value: T,
    /// Counted from the time at which it was requested.
    pub(crate) lifetime: Duration,
}

/// The time by both clocks: a frozen process sees only the second advance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) at: Instant,
    pub(super) wall: SystemTime,
}

impl Now {
    pub(super) fn read() -> Self {
        Self { at: Instant::now(), wall: SystemTime::now() }
    }

    fn later(self, wait: Duration) -> Self {
        let wait = wait.min(LONGEST);
        Self { at: later(self.at, wait), wall: self.wall.checked_add(wait).unwrap_or(self.wall) }
    }

    /// Whether `point` has come by either clock.
    fn reached(self, point: Self) -> bool {
        point.at <= self.at || point.wall <= self.wall
    }
}

/// What a caller has to do.
#[derive(Debug)]
pub(super) enum Step<T> {
    /// Take this.
    Use(T),
    /// Take this, unless a newer one comes by then.
    UseAfter(T, Instant),
    /// Begin a fetch; [`Policy::begin`] has been called.
    Begin(u64),
    /// Wait for the fetch under way, or until then.
    Wait(Option<Instant>),
    /// There is none.
    Fail(Error),
}

struct Current<T> {
    value: T,
    refresh_at: Now,
    expires_at: Now,
    /// Whether it was taken since it was fetched.
    used: bool,
}

/// What is known about the tokens of one server.
pub(super) struct Policy<T> {
    current: Option<Current<T>>,
    failed: Option<Error>,
    failures: u32,
    /// No fetch before.
    retry_at: Option<Instant>,
    /// When the last fetches began.
    begun: VecDeque<Instant>,
    in_flight: Option<Now>,
    /// Number of the last fetch.
    number: u64,
}

impl<T> Default for Policy<T> {
    fn default() -> Self {
        Self {
            current: None,
            failed: None,
            failures: 0,
            retry_at: None,
            begun: VecDeque::new(),
            in_flight: None,
            number: 0,
        }
    }
}

impl<T: Clone> Policy<T> {
    /// What somebody does who needs a token.
    pub(super) fn step(&mut self, now: Now) -> Step<T> {
        let possible = self.in_flight.is_none() && self.next_at().is_none_or(|at| at <= now.at);
        if let Some(current) = self.current.as_mut().filter(|current| !now.reached(current.expires_at)) {
            current.used = true;
            if !now.reached(current.refresh_at) {
                return Step::Use(current.value.clone());
            }
            let value = current.value.clone();
            return match self.in_flight {
                Some(begun) => {
                    let left = current.expires_at.at.saturating_duration_since(begun.at);
                    match later(begun.at, PATIENCE.min(left / 4)) {
                        until if until > now.at => Step::UseAfter(value, until),
                        _ => Step::Use(value),
                    }
                }
                None if possible => Step::Begin(self.begin(now)),
                None => Step::Use(value),
            };
        }
        match &self.failed {
            _ if self.in_flight.is_some() => Step::Wait(None),
            _ if possible => Step::Begin(self.begin(now)),
            Some(error) => Step::Fail(error.clone()),
            None => Step::Wait(self.next_at()),
        }
    }

    /// What is there is of no use: the next caller fetches another, as soon as it may.
    pub(super) fn discard(&mut self) {
        self.current = None;
    }

    /// The next fetch after number `number`, if its token was used since, and nobody else has begun one.
    pub(super) fn refresh(&mut self, number: u64, now: Now) -> Option<u64> {
        let wanted = self.current.as_ref().is_some_and(|current| current.used);
        let possible = self.in_flight.is_none() && self.next_at().is_none_or(|at| at <= now.at);
        (number == self.number && wanted && possible).then(|| self.begin(now))
    }

    fn begin(&mut self, now: Now) -> u64 {
        self.in_flight = Some(now);
        if self.begun.len() == MOST {
            self.begun.pop_front();
        }
        self.begun.push_back(now.at);
        self.number += 1;
        self.number
    }

    /// Before when no fetch may begin.
    fn next_at(&self) -> Option<Instant> {
        let window =
            self.begun.front().filter(|_| self.begun.len() == MOST).map(|first| later(*first, WINDOW));
        self.retry_at.max(window)
    }

    /// The fetch has succeeded. Returns when to refresh.
    pub(super) fn succeeded(&mut self, fetched: Fetched<T>, now: Now) -> Instant {
        let begun = self.in_flight.take().unwrap_or(now);
        let refresh_at = begun.later(scaled(fetched.lifetime, REFRESH_AFTER));
        let expires_at = begun.later(fetched.lifetime);
        self.current = Some(Current { value: fetched.value, refresh_at, expires_at, used: false });
        (self.failed, self.failures, self.retry_at) = (None, 0, None);
        self.next_at().map_or(refresh_at.at, |at| at.max(refresh_at.at))
    }

    /// The fetch has failed. `jitter` is from 0 to 1. Returns when to try again, if what is there lasts longer.
    pub(super) fn failed(&mut self, error: Error, now: Now, jitter: f64) -> Option<Instant> {
        self.in_flight = None;
        // Nothing but a person can change it: a server may lock out those who try too often.
        let lasting = matches!(error.kind(), ErrorKind::Authentication | ErrorKind::InvalidConfig);
        let backoff = match lasting {
            true => MAX_BACKOFF,
            false => BACKOFF.saturating_mul(1 << self.failures.min(10)).min(MAX_BACKOFF),
        };
        self.failures = self.failures.saturating_add(1);
        self.failed = Some(error);
        self.retry_at = Some(later(now.at, scaled(backoff, 0.5 + jitter / 2.0)));
        let at = self.next_at()?;
        self.current.as_ref().is_some_and(|current| at < current.expires_at.at).then_some(at)
    }

    /// The fetch has ended without an outcome: its runtime has shut down, or it panicked.
    pub(super) fn vanished(&mut self, number: u64) {
        if number == self.number {
            self.in_flight = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn token(lifetime: u32) -> Fetched<u32> {
        Fetched { value: lifetime, lifetime: S * lifetime }
    }

    fn unreachable() -> Error {
        Error::new(ErrorKind::Unreachable, "gone")
    }

    #[test]
    fn a_token_is_used_until_four_fifths_and_then_refreshed() {
        let (mut policy, start) = (Policy::default(), Now::read());
        assert!(matches!(policy.step(start), Step::Begin(1)));
        assert!(matches!(policy.step(start), Step::Wait(None)));
        assert_eq!(policy.succeeded(token(100), start.later(S)), start.later(80 * S).at);
        assert!(matches!(policy.step(start.later(79 * S)), Step::Use(100)));
        assert!(matches!(policy.step(start.later(80 * S)), Step::Begin(2)));
        // While it is fetched, a login waits a little, and then takes the old one.
        let Step::UseAfter(100, until) = policy.step(start.later(81 * S)) else { panic!() };
        assert_eq!(until, start.later(82 * S).at);
        assert!(matches!(policy.step(start.later(82 * S)), Step::Use(100)));
        assert!(matches!(policy.step(start.later(100 * S)), Step::Wait(None)));
    }

    #[test]
    fn a_process_that_was_frozen_does_not_use_an_expired_token() {
        let (mut policy, start) = (Policy::default(), Now::read());
        policy.step(start);
        policy.succeeded(token(100), start);
        let thawed = Now { at: start.at + S, wall: start.wall + 101 * S };
        assert!(matches!(policy.step(thawed), Step::Begin(2)));
    }

    #[test]
    fn an_old_token_is_used_while_the_server_is_down_and_then_the_error_is_told() {
        let (mut policy, start) = (Policy::default(), Now::read());
        policy.step(start);
        policy.succeeded(token(100), start);
        let due = start.later(80 * S);
        policy.step(due);
        assert_eq!(policy.failed(unreachable(), due, 1.0), Some(due.at + BACKOFF));
        assert!(matches!(policy.step(due), Step::Use(100)));
        let late = start.later(99 * S + S * 9 / 10);
        assert!(matches!(policy.step(late), Step::Begin(3)));
        assert_eq!(policy.failed(unreachable(), late, 1.0), None);
        assert!(matches!(policy.step(late), Step::Use(100)));
        assert!(matches!(policy.step(start.later(100 * S)), Step::Fail(_)));
    }

    #[test]
    fn at_most_two_fetches_begin_within_five_seconds_whatever_happens() {
        for outcome in 0..3 {
            let (mut policy, start) = (Policy::<u32>::default(), Now::read());
            let mut begun = Vec::new();
            for tick in 0..60_000 {
                let now = start.later(Duration::from_millis(tick));
                if let Step::Begin(_) = policy.step(now) {
                    begun.push(tick);
                    match outcome {
                        0 => drop(policy.failed(unreachable(), now, 0.0)),
                        1 => drop(policy.succeeded(token(1), now)),
                        _ => policy.vanished(policy.number),
                    }
                }
            }
            assert!(begun.len() > 6, "{begun:?}");
            assert!(begun.windows(3).all(|three| three[2] - three[0] >= 5_000), "{begun:?}");
        }
    }

    #[test]
    fn a_wrong_secret_is_not_tried_again_and_again() {
        let (mut policy, start) = (Policy::<u32>::default(), Now::read());
        policy.step(start);
        policy.failed(Error::new(ErrorKind::Authentication, "wrong"), start, 1.0);
        assert!(matches!(policy.step(start.later(9 * S)), Step::Fail(_)));
        assert!(matches!(policy.step(start.later(10 * S)), Step::Begin(2)));
    }

    #[test]
    fn a_token_that_was_refused_is_replaced_as_soon_as_it_may() {
        let (mut policy, start) = (Policy::default(), Now::read());
        policy.step(start);
        policy.succeeded(token(100), start);
        for (second, number) in [(1, 2), (5, 3)] {
            policy.discard();
            let now = start.later(S * second);
            assert!(matches!(policy.step(now), Step::Begin(begun) if begun == number));
            policy.succeeded(token(100), now);
        }
        policy.discard();
        let Step::Wait(until) = policy.step(start.later(5 * S)) else { panic!() };
        assert_eq!(until, Some(start.later(6 * S).at));
    }

    #[test]
    fn an_unused_token_is_not_refreshed() {
        let (mut policy, start) = (Policy::default(), Now::read());
        policy.step(start);
        policy.succeeded(token(100), start);
        assert_eq!(policy.refresh(1, start.later(80 * S)), None);
        policy.step(start);
        assert_eq!(policy.refresh(1, start.later(80 * S)), Some(2));
        assert_eq!(policy.refresh(1, start.later(90 * S)), None, "another one was begun");
    }

    #[test]
    fn no_lifetime_is_too_long() {
        let (mut policy, start) = (Policy::default(), Now::read());
        policy.step(start);
        policy.succeeded(Fetched { value: 1, lifetime: Duration::MAX }, start);
        assert!(matches!(policy.step(start), Step::Use(1)));
    }
}
