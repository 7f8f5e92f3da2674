//! Which partition a message goes to.

mod crc32;
mod fnv1a;
mod murmur2;
mod round_robin;
mod sticky;
#[cfg(test)]
mod vectors;

use std::sync::Arc;

use self::round_robin::RoundRobin;
use self::sticky::Sticky;
use crate::error::Result;
use crate::error::callback::guarded;

/// How a message that names no partition gets one (Kafka: `partitioner.class`).
///
/// Messages with a key go by its hash, so that a key keeps its partition for as long as the number of partitions
/// stays. Those without stick to one partition for 16 KiB, or for a batch while messages wait to be sent, then to another
/// one that has a leader (KIP-794).
///
/// Every rule is tested against vectors of the client that it stands for.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Partitioning {
    /// As the Java client, franz-go and krafka: murmur2; an empty key is hashed. librdkafka calls it
    /// `murmur2_random`.
    #[default]
    Murmur2,
    /// As sarama's default `NewHashPartitioner` and librdkafka's `fnv1a_random`: 32-bit FNV-1a, its absolute value
    /// taken.
    Fnv1a,
    /// As sarama's `NewReferenceHashPartitioner`: 32-bit FNV-1a, its sign bit cleared.
    Fnv1aReference,
    /// As librdkafka's default `consistent_random`: CRC-32; an empty key counts as none.
    Crc32,
    /// One partition after the other, whatever the key.
    RoundRobin,
    /// A custom partitioner.
    Custom(Arc<dyn Partitioner>),
}

impl Partitioning {
    /// A custom partitioner.
    pub fn custom(partitioner: impl Partitioner + 'static) -> Self {
        Self::Custom(Arc::new(partitioner))
    }
}

/// A custom partitioner.
///
/// It is called once for each message, on the task that sends: it must not block, nor call the producer. An answer that is not a partition
/// of the topic fails the message; it is never wrapped around.
pub trait Partitioner: std::fmt::Debug + Send + Sync {
    /// The partition of this message; `None` leaves it to the rule for messages without a key.
    fn partition(&self, input: &PartitionInput<'_>) -> Option<u32>;
}

/// What a [`Partitioner`] may look at.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct PartitionInput<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The message's key.
    pub key: Option<&'a [u8]>,
    /// The message's value.
    pub value: Option<&'a [u8]>,
    /// Number of partitions of the topic, at least 1.
    pub partitions: u32,
}

debug_as!(input: PartitionInput<'_> { topic: input.topic, partitions: input.partitions, .. });

/// The rule applied to one topic, and what it has to remember of it.
#[derive(Debug)]
pub(crate) struct Chooser {
    rule: Partitioning,
    sticky: Arc<Sticky>,
    round_robin: Arc<RoundRobin>,
    /// Partitions that messages without a key go to as long as there are any: those whose leader is near (KIP-1123).
    pub(crate) near: Vec<u32>,
}

impl Chooser {
    pub(crate) fn new(rule: &Partitioning, batch_bytes: usize, random: fastrand::Rng) -> Self {
        Self {
            rule: rule.clone(),
            sticky: Arc::new(Sticky::new(batch_bytes, random)),
            round_robin: Arc::default(),
            near: Vec::new(),
        }
    }

    /// The same, which remembers the same, where other partitions are near.
    pub(crate) fn towards(&self, near: Vec<u32>) -> Self {
        Self {
            rule: self.rule.clone(),
            sticky: self.sticky.clone(),
            round_robin: self.round_robin.clone(),
            near,
        }
    }

    /// Chooses for a message of `bytes`. `led` are the partitions with a leader; `load` returns the bytes that wait
    /// for one.
    #[inline]
    pub(crate) fn choose(
        &self,
        input: &PartitionInput<'_>,
        led: &[u32],
        bytes: usize,
        load: impl Fn(u32) -> usize,
    ) -> Result<u32> {
        let n = input.partitions;
        let keyed = match (&self.rule, input.key) {
            (Partitioning::Custom(rule), _) => guarded("the partitioner", || rule.partition(input))?,
            (Partitioning::RoundRobin, _) => return Ok(self.round_robin.next(n, led)),
            (Partitioning::Murmur2, Some(key)) => Some(murmur2::partition(key, n)),
            (Partitioning::Fnv1a, Some(key)) => Some(fnv1a::partition(key, n)),
            (Partitioning::Fnv1aReference, Some(key)) => Some(fnv1a::reference_partition(key, n)),
            (Partitioning::Crc32, Some(key)) if !key.is_empty() => Some(crc32::partition(key, n)),
            _ => None,
        };
        let usable = if self.near.is_empty() { led } else { &self.near };
        Ok(keyed.unwrap_or_else(|| self.sticky.choose(n, usable, bytes, load)))
    }
}
