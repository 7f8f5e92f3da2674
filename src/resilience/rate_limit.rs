//! How fast messages may leave: two buckets, records and bytes, of the generic cell rate algorithm (GCRA).
//!
//! A bucket is one number, the time until which what was sent is paid for. A request larger than the burst is
//! admitted when nothing is owed, and goes into debt.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::later;

section! {
    /// How fast messages may be sent. Every attempt counts, including retries, as in a broker's quota.
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::{RateLimitConfig, ProducerConfig};
    ///
    /// let rate_limit = RateLimitConfig::default().records_per_second(Some(10_000.0)).adaptive(true);
    /// let config = ProducerConfig::new(["kafka-1:9092"]).rate_limit(rate_limit);
    /// assert!(config.validate().is_ok());
    /// ```
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub struct RateLimitConfig {
        /// Records per second; `None`, the default, is unlimited.
        pub records_per_second: Option<f64> = None,
        /// Bytes of uncompressed batches per second; `None`, the default, is unlimited (compare Kafka's quota
        /// `producer_byte_rate`).
        pub bytes_per_second: Option<f64> = None,
        /// Slow down when a broker throttles, by three tenths each time down to a tenth of the rates, and recover within
        /// a minute. Default off.
        pub adaptive: bool = false,
    }
}

impl RateLimitConfig {
    pub(crate) fn validate(&self, problems: &mut Vec<String>) {
        for (name, rate) in [
            ("rate_limit.records_per_second", self.records_per_second),
            ("rate_limit.bytes_per_second", self.bytes_per_second),
        ] {
            if rate.is_some_and(|rate| !rate.is_finite() || rate < 1.0) {
                problems.push(format!("{name} is {}; expected at least 1", rate.unwrap_or_default()));
            }
        }
        if self.adaptive && self.records_per_second.is_none() && self.bytes_per_second.is_none() {
            problems.push("rate_limit.adaptive needs a rate to slow down from".into());
        }
    }
}

/// What may leave at once after a rest.
const BURST: Duration = Duration::from_millis(100);
const SLOWER: f64 = 0.7;
const SLOWEST: f64 = 0.1;
const RECOVERY_PER_SECOND: f64 = 0.9 / 60.0;

#[derive(Debug)]
pub(crate) struct RateLimiter {
    records: Option<Bucket>,
    bytes: Option<Bucket>,
    adaptive: bool,
    /// Part of the configured rates that is in force, and since when.
    scale: (f64, Instant),
}

#[derive(Debug)]
struct Bucket {
    rate: f64,
    /// Everything that was sent is paid for at this time.
    paid: Instant,
}

impl RateLimiter {
    /// `None` where nothing is limited.
    pub(crate) fn new(config: &RateLimitConfig, now: Instant) -> Option<Self> {
        let bucket = |rate: Option<f64>| rate.map(|rate| Bucket { rate, paid: now });
        let limiter = Self {
            records: bucket(config.records_per_second),
            bytes: bucket(config.bytes_per_second),
            adaptive: config.adaptive,
            scale: (1.0, now),
        };
        (limiter.records.is_some() || limiter.bytes.is_some()).then_some(limiter)
    }

    /// How long the next request has to wait; zero if it may go.
    pub(crate) fn wait(&self, now: Instant) -> Duration {
        let owed = [&self.records, &self.bytes].into_iter().flatten().map(|bucket| bucket.wait(now));
        owed.max().unwrap_or_default()
    }

    /// Counts what leaves.
    pub(crate) fn charge(&mut self, records: usize, bytes: usize, now: Instant) {
        let scale = self.scale(now);
        for (bucket, cost) in [(&mut self.records, records), (&mut self.bytes, bytes)] {
            if let Some(bucket) = bucket {
                bucket.charge(cost, scale, now);
            }
        }
    }

    /// A broker throttled.
    pub(crate) fn throttled(&mut self, now: Instant) {
        if self.adaptive {
            self.scale = ((self.scale(now) * SLOWER).max(SLOWEST), now);
        }
    }

    fn scale(&self, now: Instant) -> f64 {
        let (scale, since) = self.scale;
        (scale + now.saturating_duration_since(since).as_secs_f64() * RECOVERY_PER_SECOND).min(1.0)
    }
}

impl Bucket {
    fn wait(&self, now: Instant) -> Duration {
        self.paid.saturating_duration_since(now).saturating_sub(BURST)
    }

    fn charge(&mut self, cost: usize, scale: f64, now: Instant) {
        // A rest, or a frozen process, saves up no more than the burst.
        let owed = Duration::try_from_secs_f64(cost as f64 / (self.rate * scale)).unwrap_or(Duration::MAX);
        self.paid = later(self.paid.max(now), owed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(config: &RateLimitConfig, now: Instant) -> RateLimiter {
        RateLimiter::new(config, now).unwrap()
    }

    #[test]
    fn without_a_rate_there_is_no_limiter() {
        assert!(RateLimiter::new(&RateLimitConfig::default(), Instant::now()).is_none());
    }

    #[test]
    fn over_any_schedule_no_more_leaves_than_rate_times_time_plus_burst_and_one_request() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let start = Instant::now();
            let config = RateLimitConfig::default().bytes_per_second(Some(1_000_000.0));
            let mut limiter = limiter(&config, start);
            let (mut now, mut sent, mut largest) = (start, 0, 0);
            for _ in 0..500 {
                now += Duration::from_micros(random.u64(..20_000));
                if limiter.wait(now).is_zero() {
                    let bytes = random.usize(..200_000);
                    limiter.charge(1, bytes, now);
                    sent += bytes;
                    largest = largest.max(bytes);
                }
            }
            let allowed = 1_000_000.0 * ((now - start) + BURST).as_secs_f64() + largest as f64;
            assert!(sent as f64 <= allowed, "seed {seed}: {sent} of {allowed}");
        }
    }

    #[test]
    fn the_rate_is_used_to_the_full() {
        let start = Instant::now();
        let config = RateLimitConfig::default().records_per_second(Some(1_000.0));
        let mut limiter = limiter(&config, start);
        let (mut now, mut sent) = (start, 0);
        while now < start + Duration::from_secs(10) {
            now += limiter.wait(now);
            limiter.charge(50, 0, now);
            sent += 50;
        }
        assert!((9_900..=10_200).contains(&sent), "{sent}");
    }

    #[test]
    fn a_request_larger_than_the_burst_goes_into_debt_instead_of_failing() {
        let start = Instant::now();
        let config = RateLimitConfig::default().records_per_second(Some(10.0));
        let mut limiter = limiter(&config, start);
        assert!(limiter.wait(start).is_zero());
        limiter.charge(100, 0, start);
        assert_eq!(limiter.wait(start), Duration::from_secs(10) - BURST);
    }

    #[test]
    fn an_adaptive_limiter_slows_down_and_recovers() {
        let start = Instant::now();
        let config = RateLimitConfig::default().records_per_second(Some(10.0)).adaptive(true);
        let mut limiter = limiter(&config, start);
        for _ in 0..100 {
            limiter.throttled(start);
        }
        assert!((limiter.scale(start) - SLOWEST).abs() < 1e-9);
        assert!((limiter.scale(start + Duration::from_secs(61)) - 1.0).abs() < 1e-9);
    }
}
