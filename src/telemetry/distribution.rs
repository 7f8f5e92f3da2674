//! How values are spread, for the price of a few atomic additions per value.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The distribution of values since the producer was created. Quantiles are accurate to 7 %.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Distribution<T> {
    /// Number of values.
    pub count: u64,
    /// Their mean.
    pub mean: T,
    /// The median.
    pub p50: T,
    /// The 90th percentile.
    pub p90: T,
    /// The 99th percentile.
    pub p99: T,
    /// The largest.
    pub max: T,
}

/// Eight buckets for each power of two.
const STEPS: u32 = 3;
const BUCKETS: usize = ((64 - STEPS as usize) << STEPS) + (1 << STEPS);

/// Values in buckets.
pub(super) struct Histogram {
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
    max: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        let buckets = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Self { buckets, sum: AtomicU64::new(0), max: AtomicU64::new(0) }
    }
}

impl Histogram {
    pub(super) fn record(&self, value: u64) {
        self.buckets[bucket(value)].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
        self.max.fetch_max(value, Relaxed);
    }

    pub(super) fn record_time(&self, time: Duration) {
        self.record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    pub(super) fn values(&self) -> Distribution<u64> {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        let count: u64 = counts.iter().sum();
        let max = self.max.load(Relaxed);
        let quantile = |part: f64| {
            let rank = (part * count as f64).ceil() as u64;
            let mut seen = 0;
            let at = counts.iter().position(|bucket| {
                seen += bucket;
                seen >= rank
            });
            at.map_or(max, |at| middle(at).min(max))
        };
        match count {
            0 => Distribution::default(),
            _ => Distribution {
                count,
                mean: self.sum.load(Relaxed) / count,
                p50: quantile(0.5),
                p90: quantile(0.9),
                p99: quantile(0.99),
                max,
            },
        }
    }

    pub(super) fn times(&self) -> Distribution<Duration> {
        let micros = self.values();
        Distribution {
            count: micros.count,
            mean: Duration::from_micros(micros.mean),
            p50: Duration::from_micros(micros.p50),
            p90: Duration::from_micros(micros.p90),
            p99: Duration::from_micros(micros.p99),
            max: Duration::from_micros(micros.max),
        }
    }
}

fn bucket(value: u64) -> usize {
    match value.checked_ilog2() {
        Some(power) if power >= STEPS => {
            let step = (value >> (power - STEPS)) & ((1 << STEPS) - 1);
            ((power - STEPS + 1) << STEPS) as usize + step as usize
        }
        _ => value as usize,
    }
}

/// The value in the middle of a bucket.
fn middle(bucket: usize) -> u64 {
    let (row, step) = ((bucket >> STEPS) as u32, (bucket & ((1 << STEPS) - 1)) as u64);
    match row.checked_sub(1) {
        None => step,
        Some(shift) => (((1 << STEPS) + step) << shift) + ((1 << shift) >> 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_a_bucket_whose_middle_is_within_seven_percent() {
        let mut values: Vec<u64> = (0..64).flat_map(|p| [1 << p, (1 << p) + (1 << p) / 3]).collect();
        values.extend([0, u64::MAX]);
        for value in values {
            let middle = middle(bucket(value)) as f64;
            let off = (middle - value as f64).abs();
            assert!(off <= 0.07 * value as f64, "{value} is reported as {middle}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let histogram = Histogram::default();
        (1..=1_000).for_each(|value| histogram.record(value));
        let shown = histogram.values();
        assert_eq!((shown.count, shown.mean, shown.max), (1_000, 500, 1_000));
        for (quantile, right) in [(shown.p50, 500.0), (shown.p90, 900.0), (shown.p99, 990.0)] {
            assert!((quantile as f64 / right - 1.0).abs() < 0.07, "{quantile} for {right}");
        }
    }

    #[test]
    fn of_nothing_everything_is_zero() {
        assert_eq!(Histogram::default().times(), Distribution::default());
    }
}
