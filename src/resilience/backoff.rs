//! Delays between attempts: they double, and half of each is random ("equal jitter"), which spreads a herd and
//! still never hammers.

use std::time::Duration;

use crate::clock::scaled;

/// A retry that only waits to hear of a new leader comes this soon, in milliseconds.
const SOON: std::ops::Range<u64> = 20..50;
/// The next ones come no later than this: brokers may report the old leader for a while.
const SOON_AGAIN: Duration = Duration::from_millis(200);

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
        let exponential = self.first.saturating_mul(2u32.saturating_pow(n.saturating_sub(1)));
        scaled(exponential.min(self.longest), 0.5 + random.f64() / 2.0)
    }

    /// Before retry number `n` where leadership moved.
    pub(crate) fn soon(&self, n: u32, random: &mut fastrand::Rng) -> Duration {
        let wait = match n {
            0 | 1 => Duration::from_millis(random.u64(SOON)),
            _ => self.delay(n, random).min(SOON_AGAIN.mul_f64(0.5 + random.f64() / 2.0)),
        };
        wait.min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_leader_is_looked_up_at_least_five_times_a_second() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let mut random = fastrand::Rng::with_seed(3);
        assert!(backoff.soon(1, &mut random) <= Duration::from_millis(50));
        for n in 2..20 {
            let wait = backoff.soon(n, &mut random);
            assert!((Duration::from_millis(50)..=SOON_AGAIN).contains(&wait), "{n}: {wait:?}");
        }
    }

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
