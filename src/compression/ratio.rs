//! How small batches become: what those before took, and what the next one may be expected to take.

/// Part of an expectation by which a batch may turn out larger and still be no surprise: no two compress alike.
const MARGIN: f64 = 1.0 / 16.0;
/// Steps towards a better ratio are this part of the way, at least. Towards a worse one it is the whole way.
const STEP: f64 = 1.0 / 8.0;

/// Compressed bytes for each byte that is compressed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratio {
    estimate: f64,
    /// Full batches that were seen: the first ones count more.
    seen: f64,
}

impl Default for Ratio {
    fn default() -> Self {
        Self { estimate: 1.0, seen: 0.0 }
    }
}

impl Ratio {
    /// Learns that `plain` bytes became `packed`. It counts as far as that was a batch of `full` bytes: small ones compress
    /// worse.
    pub(crate) fn observe(&mut self, plain: usize, packed: usize, full: usize) {
        let weight = (plain as f64 / full.max(1) as f64).min(1.0);
        let observed = (packed as f64 / plain.max(1) as f64).clamp(0.0, 1.0);
        self.seen += weight;
        // A batch that is larger than was expected is compressed in vain; one that is smaller only carries less.
        let step = if observed > self.estimate { 1.0 } else { (1.0 / self.seen).clamp(STEP, 1.0) };
        self.estimate += (observed - self.estimate) * weight * step;
    }

    /// Bytes that `plain` bytes are expected to take at most.
    pub(crate) fn packed(self, plain: usize) -> usize {
        ((plain as f64 * self.cautious()).ceil() as usize).min(plain)
    }

    /// How many bytes can be expected to take at most `packed`.
    pub(crate) fn plain(self, packed: usize) -> usize {
        // Of nothing that comes near, `as` makes the largest number.
        ((packed as f64 / self.cautious()) as usize).max(packed)
    }

    fn cautious(self) -> f64 {
        (self.estimate / (1.0 - MARGIN)).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: usize = 1_000_000;

    /// Sends batches that are as large as they may be, at most eight times `FULL`, and returns how many were too large.
    fn too_large(ratio: &mut Ratio, ratios: impl Iterator<Item = f64>) -> usize {
        let mut surprises = 0;
        for real in ratios {
            let plain = ratio.plain(FULL).min(8 * FULL);
            let packed = ((plain as f64 * real) as usize).min(plain);
            surprises += usize::from(packed > FULL);
            ratio.observe(plain, packed, FULL);
        }
        surprises
    }

    #[test]
    fn nothing_is_expected_to_shrink_until_something_has() {
        let mut ratio = Ratio::default();
        assert_eq!((ratio.packed(5_000), ratio.plain(FULL)), (5_000, FULL));
        ratio.observe(FULL, FULL, FULL);
        assert_eq!((ratio.packed(5_000), ratio.plain(FULL)), (5_000, FULL));
    }

    #[test]
    fn the_first_full_batch_says_how_large_the_next_may_be() {
        let mut ratio = Ratio::default();
        ratio.observe(FULL, FULL / 5, FULL);
        let plain = ratio.plain(FULL);
        assert!((4_600_000..5_000_000).contains(&plain), "{plain}");
        assert!(ratio.packed(plain) <= FULL);
    }

    #[test]
    fn data_that_no_longer_shrinks_surprises_once() {
        for before in [0.05, 0.2, 0.5, 0.95] {
            let mut ratio = Ratio::default();
            assert_eq!(too_large(&mut ratio, std::iter::repeat_n(before, 50)), 0);
            assert_eq!(too_large(&mut ratio, std::iter::repeat_n(1.0, 50)), usize::from(before < 0.9));
            assert_eq!(ratio.plain(FULL), FULL);
        }
    }

    #[test]
    fn batches_that_differ_a_little_never_surprise_and_those_that_differ_much_do_so_seldom() {
        for seed in 0..1_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mean = 0.13 + 0.8 * random.f64();
            let mut near = |_| mean * (0.98 + 0.04 * random.f64());
            assert_eq!(too_large(&mut Ratio::default(), (0..500).map(&mut near)), 0, "seed {seed}");
        }
        let alternating = (0..1_000).map(|n| if n % 2 == 0 { 0.2 } else { 0.4 });
        assert!(too_large(&mut Ratio::default(), alternating) <= 5);
        let mut random = fastrand::Rng::with_seed(7);
        let any = (0..1_000).map(|_| 0.13 + 0.87 * random.f64());
        assert!(too_large(&mut Ratio::default(), any) < 250);
    }

    #[test]
    fn a_few_small_batches_say_little() {
        let mut ratio = Ratio::default();
        assert_eq!(too_large(&mut ratio, std::iter::repeat_n(0.2, 20)), 0);
        (0..10).for_each(|_| ratio.observe(1_000, 1_000, FULL));
        assert!(ratio.plain(FULL) > 4 * FULL);
    }

    #[test]
    fn whatever_is_observed_expectations_are_sound() {
        for seed in 0..2_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let full = [0, 1, 400, FULL][random.usize(..4)];
            let mut ratio = Ratio::default();
            for _ in 0..100 {
                let plain = random.usize(..=8 * FULL);
                ratio.observe(plain, random.usize(..=plain), full);
                assert!((0.0..=1.0).contains(&ratio.estimate), "seed {seed}: {ratio:?}");
                let (few, more) = (random.usize(..FULL), random.usize(FULL..=8 * FULL));
                assert!(ratio.packed(few) <= ratio.packed(more) && ratio.packed(more) <= more);
                assert!(ratio.plain(few) >= few && ratio.plain(few) <= ratio.plain(more));
                let plain = ratio.plain(few);
                assert!(plain > 8 * FULL || ratio.packed(plain) <= few, "seed {seed}: {ratio:?}");
            }
        }
    }
}
