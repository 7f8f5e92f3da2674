//! Who numbers the batches of a partition, and their numbers (KIP-98).

/// What `InitProducerId` answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducerId {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

impl ProducerId {
    /// The same id under the next epoch, which fences this one; `None` where epochs are used up.
    pub(crate) fn raised(self) -> Option<Self> {
        Some(Self { epoch: self.epoch.checked_add(1)?, ..self })
    }
}

/// Producer id, epoch and the first record's sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) first: i32,
}

impl Sequence {
    /// That of what follows `count` records.
    pub(crate) fn after(self, count: usize) -> Self {
        Self { first: advance(self.first, count), ..self }
    }
}

/// Sequences wrap from 2^31 - 1 to 0.
fn advance(first: i32, count: usize) -> i32 {
    ((first as u32).wrapping_add(count as u32) & 0x7fff_ffff) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap_to_zero() {
        assert_eq!(advance(0, 3), 3);
        assert_eq!(advance(i32::MAX, 1), 0);
        assert_eq!(advance(i32::MAX - 1, 3), 1);
    }
}
