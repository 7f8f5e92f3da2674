//! When requests to a failing broker are suspended.
//!
//! Failures are counted in ten buckets of one second, so that old ones are forgotten, and in a row, so that low
//! traffic trips it too. An open breaker lets probes through after a while, one at a time; a probe is a small
//! request without records, so that it can duplicate nothing. Nothing here runs by itself: states change when they
//! are looked at.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::{later, scaled};

section! {
    /// When requests to a failing broker are suspended. There is one breaker for each broker, and one for the whole
    /// cluster, which opens when metadata requests fail.
    ///
    /// Requests that are lost with one connection are one failure. Only failures of the broker count: connections that fail
    /// or break, and requests without a response. Errors in a broker's responses say nothing about its health.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::{CircuitBreakerConfig, OpenCircuit, ProducerConfig};
    ///
    /// let circuit_breaker = CircuitBreakerConfig::default()
    ///     .consecutive_failures(3)
    ///     .open_for(Duration::from_secs(2))
    ///     .when_open(OpenCircuit::FailFast);
    /// let config = ProducerConfig::new(["kafka-1:9092"]).circuit_breaker(circuit_breaker);
    /// assert!(config.validate().is_ok());
    /// ```
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub struct CircuitBreakerConfig {
        /// Default on.
        pub enabled: bool = true,
        /// Number of failures in a row after which it opens. Default 5.
        pub consecutive_failures: u32 = 5,
        /// Fraction of failed requests within ten seconds above which it opens. Default 0.5 (resilience4j:
        /// `failureRateThreshold`). After it has closed, it counts for ten seconds before this applies again.
        pub failure_rate: f64 = 0.5,
        /// Minimum number of requests for [`failure_rate`](Self::failure_rate). Default 10 (resilience4j:
        /// `minimumNumberOfCalls`).
        pub min_requests: u32 = 10,
        /// How long it stays open at first; twice as long each time it opens again without having closed. Default 5 s.
        pub open_for: Duration = Duration::from_secs(5),
        /// Longest time that it stays open. Default 15 s, so that a recovered broker is used while the messages that wait
        /// for it still have time.
        pub max_open_for: Duration = Duration::from_secs(15),
        /// Successful probes in a row after which it closes. Default 2.
        pub probes: u32 = 2,
        /// What happens to messages while it is open. Default [`OpenCircuit::Wait`].
        pub when_open: OpenCircuit = OpenCircuit::Wait,
    }
}

/// What happens to messages for a broker whose breaker is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpenCircuit {
    /// They wait, within `timeouts.delivery`.
    #[default]
    Wait,
    /// They fail at once with `CircuitOpen`, not persisted, and with a `retry_after`.
    FailFast,
}

impl CircuitBreakerConfig {
    pub(crate) fn validate(&self, problems: &mut Vec<String>) {
        for (name, value) in [
            ("consecutive_failures", self.consecutive_failures),
            ("min_requests", self.min_requests),
            ("probes", self.probes),
        ] {
            if value == 0 {
                problems.push(format!("circuit_breaker.{name} is 0; expected at least 1"));
            }
        }
        if self.probes > MOST_PROBES {
            problems.push(format!(
                "circuit_breaker.probes is {}; expected at most {MOST_PROBES}, as each is a request",
                self.probes
            ));
        }
        if !(self.failure_rate > 0.0 && self.failure_rate <= 1.0) {
            problems.push(format!(
                "circuit_breaker.failure_rate is {}; expected more than 0 and at most 1",
                self.failure_rate
            ));
        }
        if self.open_for.is_zero() || self.open_for > self.max_open_for {
            problems
                .push("circuit_breaker.open_for is zero, or longer than circuit_breaker.max_open_for".into());
        }
    }
}

names! {
    /// State of a circuit breaker.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum BreakerState {
        /// Requests are sent.
        #[default]
        Closed = "closed",
        /// No requests are sent.
        Open = "open",
        /// Only probes are sent.
        HalfOpen = "half-open",
        /// Requests are sent, and failures are not counted.
        Disabled = "disabled",
    }

    /// Its name in reports.
    as_str;

    /// Every state.
    ALL;
}

/// A change of state that is worth an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Opened { failures: u32 },
    Closed,
}

const BUCKETS: usize = 10;
/// A breaker that wants more would be half open for as long as its broker is up.
const MOST_PROBES: u32 = 100;

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// Which second it counts.
    second: u64,
    good: u32,
    bad: u32,
}

#[derive(Debug)]
pub(crate) struct Breaker {
    config: CircuitBreakerConfig,
    start: Instant,
    buckets: [Bucket; BUCKETS],
    in_a_row: u32,
    /// When the last failure was counted.
    failed: Option<Instant>,
    /// Set while it is not closed.
    open: Option<Opened>,
    /// When it last closed.
    closed: Option<Instant>,
    random: fastrand::Rng,
}

#[derive(Debug)]
struct Opened {
    until: Instant,
    /// How often it opened without closing.
    times: u32,
    good_probes: u32,
    probing: bool,
}

impl Breaker {
    pub(crate) fn new(config: CircuitBreakerConfig, random: fastrand::Rng) -> Self {
        Self {
            config,
            start: Instant::now(),
            buckets: [Bucket::default(); BUCKETS],
            in_a_row: 0,
            failed: None,
            open: None,
            closed: None,
            random,
        }
    }

    pub(crate) fn state(&self, now: Instant) -> BreakerState {
        match &self.open {
            _ if !self.config.enabled => BreakerState::Disabled,
            None => BreakerState::Closed,
            Some(open) if open.until > now => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    pub(crate) fn consecutive_failures(&self) -> u32 {
        self.in_a_row
    }

    pub(crate) fn on_success(&mut self, now: Instant) -> Option<Change> {
        self.in_a_row = 0;
        self.bucket(now).good += 1;
        None
    }

    /// Counts a failure of what was begun at `begun`. What was in flight at the last failure does not count: requests
    /// that are lost with one connection are one failure.
    pub(crate) fn on_failure(&mut self, begun: Instant, now: Instant) -> Option<Change> {
        if self.failed.is_some_and(|failed| begun <= failed) {
            return None;
        }
        self.failed = Some(now);
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.bucket(now).bad += 1;
        if !self.config.enabled || self.open.is_some() {
            return None;
        }
        let (calls, bad) = self.recent(now);
        // Where a broker comes and goes, a few calls of which half fail are no news.
        let counted = |closed| now.saturating_duration_since(closed) >= Duration::from_secs(BUCKETS as u64);
        let often = self.closed.is_none_or(counted)
            && calls >= self.config.min_requests
            && f64::from(bad) >= self.config.failure_rate * f64::from(calls);
        if self.in_a_row < self.config.consecutive_failures && !often {
            return None;
        }
        self.trip(0, now);
        Some(Change::Opened { failures: bad })
    }

    /// Whether a probe may be made now. Its outcome must be reported by
    /// [`probe_result`](Self::probe_result) or [`probe_abandoned`](Self::probe_abandoned).
    pub(crate) fn try_probe(&mut self, now: Instant) -> bool {
        match &mut self.open {
            Some(open) if open.until <= now && !open.probing => {
                open.probing = true;
                true
            }
            _ => false,
        }
    }

    pub(crate) fn probe_result(&mut self, good: bool, now: Instant) -> Option<Change> {
        let open = self.open.as_mut()?;
        open.probing = false;
        if !good {
            let times = open.times.saturating_add(1);
            self.trip(times, now);
            return None;
        }
        open.good_probes += 1;
        if open.good_probes < self.config.probes {
            return None;
        }
        self.open = None;
        self.closed = Some(now);
        self.in_a_row = 0;
        self.buckets = [Bucket::default(); BUCKETS];
        Some(Change::Closed)
    }

    pub(crate) fn probe_abandoned(&mut self) {
        if let Some(open) = &mut self.open {
            open.probing = false;
        }
    }

    /// Time until a probe may be made, while it is open.
    pub(crate) fn retry_after(&self, now: Instant) -> Option<Duration> {
        let open = self.open.as_ref()?;
        Some(open.until.saturating_duration_since(now))
    }

    fn trip(&mut self, times: u32, now: Instant) {
        let full =
            self.config.open_for.saturating_mul(2u32.saturating_pow(times)).min(self.config.max_open_for);
        self.open = Some(Opened {
            // A fifth more or less, so that many clients do not come back together.
            until: later(now, scaled(full, 0.8 + 0.4 * self.random.f64())),
            times,
            good_probes: 0,
            probing: false,
        });
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_secs()
    }

    fn bucket(&mut self, now: Instant) -> &mut Bucket {
        let second = self.second(now);
        let bucket = &mut self.buckets[(second % BUCKETS as u64) as usize];
        if bucket.second != second {
            *bucket = Bucket { second, ..Bucket::default() };
        }
        bucket
    }

    /// Calls and failures of the last ten seconds.
    fn recent(&self, now: Instant) -> (u32, u32) {
        let second = self.second(now);
        let recent = self.buckets.iter().filter(|b| b.second + (BUCKETS as u64) > second);
        recent.fold((0, 0), |(calls, bad), b| (calls + b.good + b.bad, bad + b.bad))
    }
}

#[cfg(test)]
mod tests;
