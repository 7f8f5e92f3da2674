//! Messages without a key: uniform by bytes, in runs (KIP-794).
//!
//! A run is 16 KiB, Java's `batch.size`, where they are sent as they come; while they wait to be sent, it fills a batch,
//! which is larger here. So few messages do not all go to one partition, and many do not make small batches.
//!
//! Where the partitions' queues differ the less loaded of two random ones is taken, instead of a draw weighted by
//! all queues as in Java: the same tendency, at a cost that does not grow with the number of partitions.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// One topic's present partition, and the bytes that went there, in one word: read and raised for every message.
#[derive(Debug)]
pub(super) struct Sticky {
    /// Partition in the upper half, bytes in the lower.
    state: AtomicU64,
    run: u32,
    random: Mutex<fastrand::Rng>,
}

/// Bytes of a run, and of what waits, after which it is looked at whether the run goes on.
const STEP: u32 = 16 << 10;

/// No partition was chosen yet.
const NOWHERE: u32 = u32::MAX;

impl Sticky {
    pub(super) fn new(batch_bytes: usize, random: fastrand::Rng) -> Self {
        Self {
            state: AtomicU64::new(pack(NOWHERE, 0)),
            run: u32::try_from(batch_bytes).unwrap_or(u32::MAX).clamp(1, 1 << 30),
            random: Mutex::new(random),
        }
    }

    #[inline]
    pub(super) fn choose(
        &self,
        partitions: u32,
        led: &[u32],
        bytes: usize,
        load: impl Fn(u32) -> usize,
    ) -> u32 {
        let (partition, sent) = unpack(self.state.load(Ordering::Relaxed));
        let usable = partition < partitions && sent < self.run && has_leader(partition, partitions, led);
        if usable {
            let bytes = bytes.min(1 << 30) as u32;
            let at_a_step = sent / STEP != sent.saturating_add(bytes) / STEP && sent > 0;
            if !at_a_step || load(partition) >= STEP as usize / 2 {
                self.state.fetch_add(u64::from(bytes), Ordering::Relaxed);
                return partition;
            }
        }
        let next = self.switch(partitions, led, load);
        self.state.store(pack(next, bytes.min(1 << 30) as u32), Ordering::Relaxed);
        next
    }

    fn switch(&self, partitions: u32, led: &[u32], load: impl Fn(u32) -> usize) -> u32 {
        let mut random = self.random.lock();
        let mut draw = || match led.len() {
            0 => random.u32(..partitions),
            available => led[random.usize(..available)],
        };
        let (one, other) = (draw(), draw());
        if load(other) < load(one) { other } else { one }
    }
}

fn has_leader(partition: u32, partitions: u32, led: &[u32]) -> bool {
    led.len() == partitions as usize || led.is_empty() || led.binary_search(&partition).is_ok()
}

fn pack(partition: u32, bytes: u32) -> u64 {
    u64::from(partition) << 32 | u64::from(bytes)
}

fn unpack(state: u64) -> (u32, u32) {
    ((state >> 32) as u32, state as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_until_a_batch_is_full_and_then_spreads_evenly() {
        let (n, run) = (7, 1_000);
        let all: Vec<u32> = (0..n).collect();
        let sticky = Sticky::new(run, fastrand::Rng::with_seed(42));
        let mut bytes = vec![0usize; n as usize];
        let (mut switches, mut last) = (0, NOWHERE);
        for _ in 0..70_000 {
            let chosen = sticky.choose(n, &all, 100, |_| 0);
            switches += usize::from(chosen != last);
            last = chosen;
            bytes[chosen as usize] += 100;
        }
        assert!(switches <= 7_000, "{switches} runs of at least ten messages");
        for share in bytes {
            assert!((850_000..1_150_000).contains(&share), "{share}");
        }
    }

    /// How many of a thousand messages of 100 bytes stay with the partition of the one before, with so much waiting.
    fn stay(waiting: usize) -> usize {
        let all: Vec<u32> = (0..4).collect();
        let sticky = Sticky::new(1_000_000, fastrand::Rng::with_seed(42));
        let chosen: Vec<_> = (0..1_000).map(|_| sticky.choose(4, &all, 100, |_| waiting)).collect();
        chosen.windows(2).filter(|pair| pair[0] == pair[1]).count()
    }

    #[test]
    fn what_is_sent_as_it_comes_changes_its_partition_and_what_waits_fills_a_batch() {
        let few = 999 - stay(0);
        assert!((1..=6).contains(&few), "{few} changes in 100 kB");
        assert_eq!(stay(100_000), 999);
    }

    #[test]
    fn a_partition_without_a_leader_is_left_at_once() {
        let sticky = Sticky::new(1_000_000, fastrand::Rng::with_seed(1));
        assert_eq!(sticky.choose(3, &[1], 10, |_| 0), 1);
        assert_eq!(sticky.choose(3, &[2], 10, |_| 0), 2);
    }

    #[test]
    fn without_any_leader_a_partition_is_chosen_all_the_same() {
        assert!(Sticky::new(1_000, fastrand::Rng::with_seed(1)).choose(3, &[], 10, |_| 0) < 3);
    }

    #[test]
    fn the_less_loaded_partition_gets_more() {
        let sticky = Sticky::new(1, fastrand::Rng::with_seed(7));
        let chosen = (0..10_000).filter(|_| sticky.choose(2, &[0, 1], 1, |p| p as usize) == 0).count();
        assert!(chosen > 7_000, "{chosen}");
    }
}
