//! Record batches back to records, by an independent reader.
//!
//! Format: <https://kafka.apache.org/documentation/#recordbatch>.

use std::io::{self, Read};

use bytes::Bytes;

use crate::StoredRecord;

/// The fixed part of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchHeader {
    pub(crate) length: usize,
    pub(crate) magic: u8,
    pub(crate) crc: u32,
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: i32,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) sequence: i32,
    pub(crate) count: i32,
}

pub(crate) const HEADER: usize = 61;

impl BatchHeader {
    /// Reads the header of the batch that fills `batch`.
    pub(crate) fn read(batch: &[u8]) -> Option<Self> {
        let header = batch.get(..HEADER)?;
        let int =
            |at: usize| i32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let short = |at: usize| i16::from_be_bytes([header[at], header[at + 1]]);
        let long = |at: usize| i64::from(int(at)) << 32 | i64::from(int(at + 4) as u32);
        Some(Self {
            length: usize::try_from(int(8)).ok()?.checked_add(12)?,
            magic: header[16],
            crc: int(17) as u32,
            attributes: short(21),
            last_offset_delta: int(23),
            base_timestamp: long(27),
            max_timestamp: long(35),
            producer_id: long(43),
            epoch: short(51),
            sequence: int(53),
            count: int(57),
        })
    }

    pub(crate) fn codec(&self) -> i16 {
        self.attributes & 7
    }
}

/// The records of a stored batch. `append_time` replaces their timestamps where the topic uses it.
pub(crate) fn records(
    topic: &str,
    partition: i32,
    base_offset: i64,
    append_time: Option<i64>,
    batch: &[u8],
) -> io::Result<Vec<StoredRecord>> {
    let header = BatchHeader::read(batch).ok_or(io::ErrorKind::UnexpectedEof)?;
    let body = decompress(header.codec(), &batch[HEADER..])?;
    let mut at = Cursor(&body);
    let mut records = Vec::new();
    for _ in 0..header.count {
        let length = at.varint()?;
        let mut record = Cursor(at.take(usize::try_from(length).map_err(io::Error::other)?)?);
        let _attributes = record.take(1)?;
        let timestamp = header.base_timestamp + record.varint()?;
        let offset = base_offset + record.varint()?;
        let key = record.nullable()?;
        let value = record.nullable()?;
        let mut headers = Vec::new();
        for _ in 0..record.varint()? {
            let name = record.nullable()?.ok_or(io::ErrorKind::InvalidData)?;
            let name = String::from_utf8(name.to_vec()).map_err(io::Error::other)?;
            headers.push((name, record.nullable()?));
        }
        if !record.0.is_empty() {
            return Err(io::Error::other("bytes are left at the end of a record"));
        }
        records.push(StoredRecord {
            topic: topic.to_owned(),
            partition,
            offset,
            timestamp: append_time.unwrap_or(timestamp),
            key,
            value,
            headers,
        });
    }
    if !at.0.is_empty() {
        return Err(io::Error::other("bytes are left at the end of a batch"));
    }
    Ok(records)
}

fn decompress(codec: i16, packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    match codec {
        0 => plain.extend_from_slice(packed),
        1 => drop(flate2::read::GzDecoder::new(packed).read_to_end(&mut plain)?),
        2 => plain = snap::raw::Decoder::new().decompress_vec(packed).map_err(io::Error::other)?,
        3 => drop(lz4_flex::frame::FrameDecoder::new(packed).read_to_end(&mut plain)?),
        4 => {
            let mut decoder = ruzstd::decoding::StreamingDecoder::new(packed).map_err(io::Error::other)?;
            decoder.read_to_end(&mut plain)?;
        }
        other => return Err(io::Error::other(format!("unknown codec {other}"))),
    }
    Ok(plain)
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> io::Result<&'a [u8]> {
        if len > self.0.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> io::Result<i64> {
        let mut zigzag = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)?[0];
            zigzag |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64));
            }
        }
        Err(io::Error::other("a variable-length integer of more than ten bytes"))
    }

    fn nullable(&mut self) -> io::Result<Option<Bytes>> {
        match self.varint()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(io::Error::other)?;
                Ok(Some(Bytes::copy_from_slice(self.take(length)?)))
            }
        }
    }
}
