//! Records and record batches in Kafka's format, version 2.
//!
//! A record is encoded when it is accepted, in the order of its batch. Until the batch is settled its records are
//! kept as these bytes, from which it is sent again or divided, and a failed message handed back.
//!
//! Format: <https://kafka.apache.org/documentation/#recordbatch>.

mod encode;
mod records;
mod sequence;
mod varint;

use bytes::Bytes;

pub(crate) use encode::{BATCH_OVERHEAD, Encoded, encode_head};
use records::contents_len;
pub(crate) use records::{Records, Room, Stamp};
pub(crate) use sequence::{ProducerId, Sequence};

use crate::message::{Header, Message};

/// Bytes of a produce request beside its batches, and what belongs to the first of them: header, client id, topic, sizes.
pub(crate) const REQUEST_OVERHEAD: usize = 1_024;

/// Bytes that one more batch adds to a produce request: the batch, its sizes and tags, and the name of its topic.
pub(crate) fn bytes_in_request(batch: usize, topic: &str) -> usize {
    const SIZES: usize = 16;
    batch.saturating_add(SIZES + topic.len())
}

/// Bytes of memory that one record takes beside its payload.
pub(crate) const RECORD_OVERHEAD: usize = 64;

/// Bytes of memory that `message` takes until it is settled.
#[inline]
pub(crate) fn message_footprint(message: &Message) -> usize {
    let len = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
    let headers: usize =
        message.headers.iter().map(|h| size_of::<Header>() + h.name.len() + len(&h.value)).sum();
    RECORD_OVERHEAD + len(&message.key) + len(&message.value) + headers
}

/// A bound of the bytes that a message without headers takes on the wire, alone in a batch. Quicker than
/// [`max_encoded_len`], and not as close.
#[inline]
pub(crate) fn most_encoded_len(footprint: usize) -> usize {
    // More than all of its numbers at their longest.
    const NUMBERS: usize = 64;
    footprint.saturating_add(BATCH_OVERHEAD + NUMBERS)
}

/// The most bytes that `message` can take on the wire, alone in a batch.
pub(crate) fn max_encoded_len(message: &Message) -> usize {
    // length, attributes, timestamp and offset delta at their longest
    const FRAME: usize = 5 + 1 + 10 + 5;
    BATCH_OVERHEAD + FRAME + contents_len(message)
}
