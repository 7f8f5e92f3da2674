//! Records and record batches in Kafka's format, version 2.
//!
//! A record is encoded once per attempt, straight into the buffer of its request. Until it is settled the
//! message itself is kept, so that a failed one can be handed back and a batch be divided or sent again.
//!
//! Format: <https://kafka.apache.org/documentation/#recordbatch>.

mod encode;
mod varint;

use bytes::Bytes;

pub(crate) use encode::{BATCH_OVERHEAD, encode_batch};

use crate::Message;
use crate::message::Header;

/// Bytes of a produce request beyond its batches, for one batch: header, client id, topic, sizes.
pub(crate) const REQUEST_OVERHEAD: usize = 1_024;

/// Producer id, epoch and the first record's sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) first: i32,
}

/// A message that was accepted: routed, timestamped, waiting to be settled.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: Vec<Header>,
    pub(crate) timestamp: i64,
    /// Milliseconds after the opening of its batch at which it is given up; see `Batch::opened`.
    pub(crate) expires_after: u32,
    /// What the user had set, so that the message can be handed back as it came.
    pub(crate) given: Given,
}

/// Which optional parts of a message were set by the user rather than filled in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Given {
    pub(crate) topic: bool,
    pub(crate) partition: bool,
    pub(crate) timestamp: bool,
}

/// Bytes of memory that one record takes beside its payload.
pub(crate) const RECORD_OVERHEAD: usize = 112;

impl Record {
    /// Bytes of memory that this record takes.
    pub(crate) fn footprint(&self) -> usize {
        footprint(self.key.as_ref(), self.value.as_ref(), &self.headers)
    }

    /// Bytes on the wire at `index` of a batch whose first timestamp is `base`.
    #[inline]
    pub(crate) fn encoded_len(&self, index: usize, base: i64) -> usize {
        let body = self.body_len(index, base);
        varint::len(body as i64) + body
    }

    #[inline]
    fn body_len(&self, index: usize, base: i64) -> usize {
        1 + varint::len(self.timestamp.wrapping_sub(base))
            + varint::len(index as i64)
            + nullable_len(self.key.as_ref())
            + nullable_len(self.value.as_ref())
            + headers_len(&self.headers)
    }

    /// The message as its user handed it in.
    pub(crate) fn into_message(self, topic: &std::sync::Arc<str>, partition: i32) -> Message {
        Message {
            value: self.value,
            key: self.key,
            headers: self.headers,
            topic: self.given.topic.then(|| topic.clone()),
            partition: self.given.partition.then_some(partition),
            timestamp: self.given.timestamp.then_some(self.timestamp),
        }
    }
}

/// Bytes of memory that `message` takes until it is settled.
pub(crate) fn message_footprint(message: &Message) -> usize {
    footprint(message.key.as_ref(), message.value.as_ref(), &message.headers)
}

#[inline]
fn footprint(key: Option<&Bytes>, value: Option<&Bytes>, headers: &[Header]) -> usize {
    let headers: usize = headers
        .iter()
        .map(|h| size_of::<Header>() + h.name.len() + h.value.as_ref().map_or(0, Bytes::len))
        .sum();
    RECORD_OVERHEAD + key.map_or(0, Bytes::len) + value.map_or(0, Bytes::len) + headers
}

/// The most bytes that `message` can take on the wire, alone in a batch.
pub(crate) fn max_encoded_len(message: &Message) -> usize {
    // length, attributes, timestamp and offset delta at their longest
    const FRAME: usize = 5 + 1 + 10 + 5;
    BATCH_OVERHEAD
        + FRAME
        + nullable_len(message.key.as_ref())
        + nullable_len(message.value.as_ref())
        + headers_len(&message.headers)
}

#[inline]
fn nullable_len(bytes: Option<&Bytes>) -> usize {
    match bytes {
        Some(bytes) => varint::len(bytes.len() as i64) + bytes.len(),
        None => 1,
    }
}

#[inline]
fn headers_len(headers: &[Header]) -> usize {
    if headers.is_empty() {
        return 1;
    }
    varint::len(headers.len() as i64)
        + headers
            .iter()
            .map(|h| varint::len(h.name.len() as i64) + h.name.len() + nullable_len(h.value.as_ref()))
            .sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overhead_that_the_buffer_counts_covers_a_record() {
        assert!(size_of::<Record>() <= RECORD_OVERHEAD, "{}", size_of::<Record>());
    }
}
