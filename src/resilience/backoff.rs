//! Delays between attempts: they double, and half of each is random ("equal jitter"), which spreads a herd and
//! still never hammers.

use std::time::Duration;

/// A retry that only waits for a leader's election comes this soon.
const SOON: std::ops::Range<u64> = 20..50;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// Before retry number `n`, from 1.
    pub(crate) fn delay(&self, n: u32, random: &mut fastrand::Rng) -> Duration {
        let doubled = self.first.saturating_mul(2u32.saturating_pow(n.saturating_sub(1)));
        doubled.min(self.longest).mul_f64(0.5 + random.f64() / 2.0)
    }

    /// Before the first retry where leadership moved.
    pub(crate) fn soon(&self, random: &mut fastrand::Rng) -> Duration {
        Duration::from_millis(random.u64(SOON)).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_lie_in_their_upper_half() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let mut random = fastrand::Rng::with_seed(3);
        for (n, full) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1_000), (40, 1_000), (u32::MAX, 1_000)]
        {
            for _ in 0..100 {
                let delay = backoff.delay(n, &mut random).as_secs_f64() * 1_000.0;
                assert!((f64::from(full) / 2.0..=f64::from(full)).contains(&delay), "{n}: {delay}");
            }
        }
    }
}
