//! How fast the producer goes: delays before retries, and the rate limit.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::clock::scaled;
use crate::config::ProducerConfig;
use crate::error::{Error, Retry};
use crate::resilience::{Backoff, RateLimiter, RetryBudget};

#[derive(Debug)]
pub(crate) struct Pacing {
    backoff: Backoff,
    max_backoff: Duration,
    budget: Mutex<RetryBudget>,
    limiter: Option<Mutex<RateLimiter>>,
    random: Mutex<fastrand::Rng>,
}

impl Pacing {
    pub(crate) fn new(config: &ProducerConfig, now: Instant) -> Self {
        Self {
            backoff: Backoff::new(config.retry.backoff, config.retry.max_backoff),
            max_backoff: config.retry.max_backoff,
            budget: Mutex::new(RetryBudget::new(now)),
            limiter: RateLimiter::new(&config.rate_limit, now).map(Mutex::new),
            random: Mutex::new(config.random.generator("pacing")),
        }
    }

    /// The delay before retry number `failures` of a request without messages.
    pub(crate) fn backoff(&self, failures: u32) -> Duration {
        self.backoff.delay(failures, &mut self.random.lock())
    }

    /// The delay before a batch is sent again.
    pub(crate) fn retry_delay(&self, attempts: u32, error: &Error, retry: Retry, now: Instant) -> Duration {
        let mut random = self.random.lock();
        let delay = match retry {
            Retry::Soon => self.backoff.soon(attempts, &mut random),
            _ => self.backoff.delay(attempts, &mut random),
        };
        // An empty budget stretches the delay; it never fails a message that still has time.
        let delay = match self.budget.lock().withdraw(now) {
            true => delay,
            false => delay.max(self.max_backoff),
        };
        delay.max(error.retry_after().unwrap_or_default())
    }

    /// Between a half and the whole of `pause`, at random.
    pub(crate) fn jitter(&self, pause: Duration) -> Duration {
        scaled(pause, 0.5 + self.random.lock().f64() / 2.0)
    }

    /// How long the rate limit delays the next request.
    pub(crate) fn rate_wait(&self, now: Instant) -> Duration {
        self.limiter.as_ref().map_or(Duration::ZERO, |limiter| limiter.lock().wait(now))
    }

    /// Counts a request against the rate limit; retries pay again, as the broker's quota counts them too. `size` returns
    /// records and bytes.
    pub(crate) fn charge(&self, size: impl FnOnce() -> (usize, usize), now: Instant) {
        if let Some(limiter) = &self.limiter {
            let (records, bytes) = size();
            limiter.lock().charge(records, bytes, now);
        }
    }

    /// A broker throttled this producer: an adaptive rate limit gets lower.
    pub(crate) fn throttled(&self, now: Instant) {
        if let Some(limiter) = &self.limiter {
            limiter.lock().throttled(now);
        }
    }

    /// A request succeeded, which earns retries.
    pub(crate) fn succeeded(&self, now: Instant) {
        self.budget.lock().deposit(now);
    }
}
