//! A record batch: its header, and its records as they are or compressed.

use super::{Records, Sequence};
use crate::compression::{CompressError, Compression, Compressor};

/// Bytes of a batch before its first record.
pub(crate) const BATCH_OVERHEAD: usize = 61;

// Offsets of the fields that are known only once the records are written, or packed.
const LENGTH: usize = 8;
const CRC: usize = 17;
const ATTRIBUTES: usize = 21;
/// The length field counts from behind itself.
const AFTER_LENGTH: usize = 12;

/// A batch that was encoded before its request.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// Its head, and its records where compression makes them smaller.
    bytes: Vec<u8>,
    /// Its records follow as they are, so that they are sent from where they are.
    plain: bool,
    len: usize,
}

impl Encoded {
    /// Encodes a batch. Where the compressor fails it goes uncompressed, which every broker takes.
    pub(crate) fn new(
        records: &Records,
        sequence: Option<Sequence>,
        compressor: Compressor,
    ) -> (Self, Result<(), CompressError>) {
        let mut bytes = Vec::new();
        put_head(records, sequence, &mut bytes);
        let packed = pack(records, compressor, &mut bytes);
        let plain = !matches!(packed, Ok(true));
        complete(records, if plain { Compression::None } else { compressor.codec }, &mut bytes, 0);
        let len = bytes.len() + if plain { records.body_bytes() } else { 0 };
        (Self { bytes, plain, len }, packed.map(drop))
    }

    /// Bytes of the batch.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The batch, piece by piece.
    pub(crate) fn pieces<'a>(&'a self, records: &'a Records) -> impl Iterator<Item = &'a [u8]> {
        let follow = self.plain.then(|| records.pieces()).into_iter().flatten();
        std::iter::once(&self.bytes[..]).chain(follow)
    }
}

/// Appends the head of a batch whose records follow as they are: [`Records::pieces`].
pub(crate) fn encode_head(records: &Records, sequence: Option<Sequence>, out: &mut Vec<u8>) {
    let start = out.len();
    put_head(records, sequence, out);
    complete(records, Compression::None, out, start);
}

/// Without a sequence the producer id is -1, Kafka's mark of a producer that is not idempotent.
fn put_head(records: &Records, sequence: Option<Sequence>, out: &mut Vec<u8>) {
    let count = records.len() as i32;
    let sequence = sequence.unwrap_or(Sequence { producer_id: -1, epoch: -1, first: -1 });
    out.reserve(BATCH_OVERHEAD);
    let start = out.len();
    out.extend_from_slice(&[0; 8]); // base offset: the broker's to set
    out.extend_from_slice(&[0; 4]); // length
    out.extend_from_slice(&(-1i32).to_be_bytes()); // partition leader epoch: the broker's to set
    out.push(2); // magic
    out.extend_from_slice(&[0; 4]); // crc
    out.extend_from_slice(&[0; 2]); // attributes
    out.extend_from_slice(&(count - 1).to_be_bytes());
    out.extend_from_slice(&records.base.to_be_bytes());
    out.extend_from_slice(&records.newest.to_be_bytes());
    out.extend_from_slice(&sequence.producer_id.to_be_bytes());
    out.extend_from_slice(&sequence.epoch.to_be_bytes());
    out.extend_from_slice(&sequence.first.to_be_bytes());
    out.extend_from_slice(&count.to_be_bytes());
    debug_assert_eq!(out.len() - start, BATCH_OVERHEAD);
}

/// Fills in what depends on the records of the batch that begins at `start`: with a codec they are in `out`, without one
/// they follow.
fn complete(records: &Records, codec: Compression, out: &mut [u8], start: usize) {
    let plain = codec == Compression::None;
    out[start + ATTRIBUTES..][..2].copy_from_slice(&codec.id().to_be_bytes());
    let follows = if plain { records.body_bytes() } else { 0 };
    let length = (out.len() - start - AFTER_LENGTH + follows) as i32;
    out[start + LENGTH..][..4].copy_from_slice(&length.to_be_bytes());
    let mut crc = crc32c::crc32c(&out[start + ATTRIBUTES..]);
    if plain {
        crc = records.pieces().fold(crc, crc32c::crc32c_append);
    }
    out[start + CRC..][..4].copy_from_slice(&crc.to_be_bytes());
}

/// Appends the records compressed, if that makes them smaller; whether it does.
fn pack(records: &Records, compressor: Compressor, out: &mut Vec<u8>) -> Result<bool, CompressError> {
    let start = out.len();
    let done = records.in_one_piece(|plain| compressor.compress(plain, out));
    if done.is_ok() && out.len() - start < records.body_bytes() {
        return Ok(true);
    }
    out.truncate(start);
    done.map(|()| false)
}
