//! One partition after the other.

use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    next: AtomicU32,
}

impl RoundRobin {
    /// The next partition, of those that have a leader if there are any.
    pub(super) fn next(&self, partitions: u32, led: &[u32]) -> u32 {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        match led.len() as u32 {
            0 => turn % partitions,
            available => led[(turn % available) as usize],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_with_a_leader_has_its_turn() {
        let rule = RoundRobin::default();
        let turns: Vec<_> = (0..6).map(|_| rule.next(4, &[0, 2, 3])).collect();
        assert_eq!(turns, [0, 2, 3, 0, 2, 3]);
        let nobody_leads: Vec<_> = (0..4).map(|_| RoundRobin::default().next(4, &[])).collect();
        assert_eq!(nobody_leads, [0; 4]);
    }
}
