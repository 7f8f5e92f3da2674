//! How large the batches of a partition may become before they are compressed, so that they are not too large afterwards.

use crate::compression::Ratio;
use crate::record::{Records, Room};

/// A batch holds at most this many times as much as one that does not shrink: its readers have to unpack it.
const MOST_TIMES: usize = 8;
/// No batch is larger: places in it are numbers of 32 bits.
const MOST: usize = 1 << 30;

/// See the [module](self). Learns from batches as they are compressed; where none is, nothing grows.
#[derive(Debug, Default)]
pub(super) struct Growth {
    ratio: Ratio,
    /// The most bytes of a batch on the wire.
    limit: usize,
    /// A broker takes less than twice as much.
    refused: Option<usize>,
    /// Bytes that a batch may hold beyond that.
    beyond: usize,
}

impl Growth {
    pub(super) fn beyond(&self) -> usize {
        self.beyond
    }

    /// Room for the batch after this one. Those that grow differ in size; with room for the largest, the memory of each
    /// suits the others.
    pub(super) fn room(&self, records: &Records, limit: usize) -> Room {
        let room = records.room();
        if records.wire_bytes() > limit { room.widened(limit + self.beyond) } else { room }
    }

    /// Bytes that a batch may take on the wire, as far as it holds more than one that does not shrink.
    pub(super) fn most_on_wire(&self) -> usize {
        self.refused.map_or(self.limit, |refused| self.limit.min(refused / 2))
    }

    /// Bytes that so many bytes are expected to take on the wire.
    pub(super) fn on_wire(&self, plain: usize) -> usize {
        self.ratio.packed(plain)
    }

    /// A batch of `plain` bytes takes `packed` on the wire, where `limit` is allowed.
    pub(super) fn compressed(&mut self, plain: usize, packed: usize, limit: usize) {
        self.ratio.observe(plain, packed, limit);
        self.limit = limit;
        self.reckon();
    }

    /// A broker refused a batch that took `packed` bytes on the wire.
    pub(super) fn too_large(&mut self, packed: usize) {
        self.refused = Some(self.refused.map_or(packed, |refused| refused.min(packed)));
        self.reckon();
    }

    fn reckon(&mut self) {
        let limit = self.limit;
        let most = self.ratio.plain(self.most_on_wire()).min(limit.saturating_mul(MOST_TIMES)).min(MOST);
        self.beyond = most.saturating_sub(limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1_000_000;

    fn learned(packed: usize) -> Growth {
        let mut growth = Growth::default();
        growth.compressed(LIMIT, packed, LIMIT);
        growth
    }

    #[test]
    fn what_does_not_shrink_does_not_grow() {
        assert_eq!(Growth::default().beyond(), 0);
        assert_eq!(learned(LIMIT).beyond(), 0);
        assert_eq!(learned(LIMIT * 95 / 100).beyond(), 0);
    }

    #[test]
    fn a_batch_grows_as_far_as_it_shrinks_and_at_most_eight_times() {
        let beyond = learned(LIMIT / 4).beyond();
        assert!((2_700_000..3_000_000).contains(&beyond), "{beyond}");
        assert_eq!(learned(LIMIT / 100).beyond(), 7 * LIMIT);
        assert_eq!(learned(0).beyond(), 7 * LIMIT);
        let mut growth = Growth::default();
        growth.compressed(MOST, 1, MOST - 1_024);
        assert_eq!(growth.beyond(), 1_024, "places have 32 bits");
        growth = Growth::default();
        growth.compressed(100, 1, 0);
        assert_eq!(growth.beyond(), 0, "each message has its own batch");
    }

    #[test]
    fn a_broker_that_takes_less_gets_half_of_what_it_refused_and_no_less_than_without_growth() {
        let mut growth = learned(LIMIT / 8);
        growth.too_large(900_000);
        let beyond = growth.beyond();
        assert!((LIMIT..3 * LIMIT).contains(&beyond), "{beyond}");
        growth.too_large(1_000);
        growth.too_large(900_000);
        assert_eq!(growth.beyond(), 0);
    }
}
