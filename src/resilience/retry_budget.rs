//! Retries in proportion to successes, so that they cannot multiply an outage.
//!
//! One success in five earns a retry, and ten a second are always there. An empty budget does not fail a message
//! that still has time, as it would a remote call; its delay is stretched instead.

use tokio::time::Instant;

/// Part of a retry that one success earns.
const PER_SUCCESS: f64 = 0.2;
const PER_SECOND: f64 = 10.0;
/// What ten seconds of rest save up.
const MOST: f64 = 100.0;

#[derive(Debug)]
pub(crate) struct RetryBudget {
    tokens: f64,
    at: Instant,
}

impl RetryBudget {
    pub(crate) fn new(now: Instant) -> Self {
        Self { tokens: MOST, at: now }
    }

    pub(crate) fn deposit(&mut self, now: Instant) {
        self.refill(now);
        self.tokens = (self.tokens + PER_SUCCESS).min(MOST);
    }

    /// Whether a retry may come as soon as it likes.
    pub(crate) fn withdraw(&mut self, now: Instant) -> bool {
        self.refill(now);
        let granted = self.tokens >= 1.0;
        if granted {
            self.tokens -= 1.0;
        }
        granted
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * PER_SECOND).min(MOST);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_outage_is_not_multiplied() {
        let start = Instant::now();
        let mut budget = RetryBudget::new(start);
        let granted = (0..1_000).filter(|_| budget.withdraw(start)).count();
        assert_eq!(granted, 100);
        let a_second_later = start + Duration::from_secs(1);
        let granted = (0..1_000).filter(|_| budget.withdraw(a_second_later)).count();
        assert_eq!(granted, 10);
    }

    #[test]
    fn five_successes_earn_a_retry() {
        let start = Instant::now();
        let mut budget = RetryBudget::new(start);
        while budget.withdraw(start) {}
        for _ in 0..25 {
            budget.deposit(start);
        }
        let granted = (0..100).filter(|_| budget.withdraw(start)).count();
        assert!((4..=5).contains(&granted), "{granted}");
    }
}
