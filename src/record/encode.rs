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

/// Whether the records of a batch are behind its head already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packed {
    /// They are, compressed.
    Yes,
    /// They have to follow as they are: [`Records::pieces`].
    No,
}

/// Appends the batch to `out`: its head, and its records where compression makes them smaller. Other records have to follow,
/// so that they can be sent from where they are.
///
/// Without a sequence the producer id is -1, Kafka's mark of a producer that is not idempotent.
///
/// # Errors
///
/// The compressor failed: the batch goes uncompressed, which every broker takes.
pub(crate) fn encode_batch(
    records: &Records,
    sequence: Option<Sequence>,
    compressor: Compressor,
    out: &mut Vec<u8>,
) -> Result<Packed, CompressError> {
    let start = out.len();
    let count = records.len() as i32;
    let sequence = sequence.unwrap_or(Sequence { producer_id: -1, epoch: -1, first: -1 });

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

    let packed = match compressor.codec {
        Compression::None => Ok(Packed::No),
        _ => pack(records, compressor, out),
    };
    let follows = match packed {
        Ok(Packed::Yes) => {
            out[start + ATTRIBUTES..][..2].copy_from_slice(&compressor.codec.id().to_be_bytes());
            0
        }
        Ok(Packed::No) | Err(_) => records.body_bytes(),
    };
    let length = (out.len() - start - AFTER_LENGTH + follows) as i32;
    out[start + LENGTH..][..4].copy_from_slice(&length.to_be_bytes());
    let mut crc = crc32c::crc32c(&out[start + ATTRIBUTES..]);
    if follows > 0 {
        crc = records.pieces().fold(crc, crc32c::crc32c_append);
    }
    out[start + CRC..][..4].copy_from_slice(&crc.to_be_bytes());
    packed
}

/// Appends the records compressed, if that makes them smaller.
fn pack(records: &Records, compressor: Compressor, out: &mut Vec<u8>) -> Result<Packed, CompressError> {
    let start = out.len();
    let done = records.in_one_piece(|plain| compressor.compress(plain, out));
    if done.is_ok() && out.len() - start < records.body_bytes() {
        return Ok(Packed::Yes);
    }
    out.truncate(start);
    done.map(|()| Packed::No)
}
