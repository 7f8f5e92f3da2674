//! 32-bit FNV-1a, and sarama's two ways from it to a partition.

pub(super) fn hash(key: &[u8]) -> u32 {
    key.iter().fold(0x811c_9dc5, |h, byte| (h ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// sarama's `hashPartitioner`: the absolute value of the signed remainder. Of the smallest integer that is its
/// unsigned value, where `i32::abs` would overflow.
pub(super) fn partition(key: &[u8], partitions: u32) -> u32 {
    (hash(key) as i32).unsigned_abs() % partitions
}

/// sarama's `NewReferenceHashPartitioner`.
pub(super) fn reference_partition(key: &[u8], partitions: u32) -> u32 {
    (hash(key) & 0x7fff_ffff) % partitions
}
