//! Where everything comes from that is left to chance.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;

/// Chance, or a seed from which all of it follows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RandomSource {
    seed: Option<u64>,
}

impl RandomSource {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { seed: Some(seed) }
    }

    /// A generator for one purpose. What one purpose takes from its generator changes nothing for the others.
    pub(crate) fn generator(self, purpose: impl Hash) -> fastrand::Rng {
        match self.seed {
            None => fastrand::Rng::new(),
            Some(seed) => fastrand::Rng::with_seed(FixedState::with_seed(seed).hash_one(purpose)),
        }
    }

    /// A hash of names, which cannot be chosen to collide, since nobody knows its seed.
    pub(crate) fn hasher(self) -> FixedState {
        FixedState::with_seed(self.generator("hash").u64(..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_purpose_make_the_same_numbers_and_others_make_others() {
        let number = |source: RandomSource, purpose: &str| source.generator(purpose).u64(..);
        let seeded = RandomSource::seeded;
        assert_eq!(number(seeded(1), "a"), number(seeded(1), "a"));
        assert_ne!(number(seeded(1), "a"), number(seeded(1), "b"));
        assert_ne!(number(seeded(1), "a"), number(seeded(2), "a"));
        let chance = RandomSource::default();
        assert_ne!(number(chance, "a"), number(chance, "a"));
        assert_ne!(chance.hasher().hash_one("t"), chance.hasher().hash_one("t"));
    }
}
