//! Reading one record of a batch back.

use bytes::Bytes;

use super::LARGE;
use crate::message::Header;
use crate::record::{RECORD_OVERHEAD, varint};

/// Reads what [`Records::push`](super::Records::push) wrote.
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) large: &'a [(usize, Bytes)],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at(count);
        self.bytes = rest;
        taken
    }

    pub(super) fn varint(&mut self) -> i64 {
        varint::read(&mut self.bytes)
    }

    /// Passes a record's head by; how much later than the first one it is.
    pub(super) fn head(&mut self) -> i64 {
        let _length = self.varint();
        let _attributes = self.take(1);
        let delta = self.varint();
        let _index = self.varint();
        delta
    }

    /// Bytes of the buffers that the message took whose record begins here.
    pub(super) fn footprint(&mut self) -> usize {
        self.head();
        let part = |reader: &mut Self| reader.nullable(|part| part.len(), <[u8]>::len).unwrap_or_default();
        let mut bytes = RECORD_OVERHEAD + part(self) + part(self);
        for _ in 0..self.varint() {
            bytes += size_of::<Header>() + self.name().len() + part(self);
        }
        bytes
    }

    pub(super) fn name(&mut self) -> &'a [u8] {
        let length = self.varint() as usize;
        self.take(length)
    }

    pub(super) fn bytes(&mut self) -> Option<Bytes> {
        self.nullable(Bytes::clone, Bytes::copy_from_slice)
    }

    /// A key or a value, wherever it is kept.
    fn nullable<T>(&mut self, large: impl Fn(&Bytes) -> T, small: impl Fn(&[u8]) -> T) -> Option<T> {
        let length = usize::try_from(self.varint()).ok()?;
        match self.large.split_first() {
            Some(((_, part), rest)) if length > LARGE => {
                self.large = rest;
                Some(large(part))
            }
            _ => Some(small(self.take(length))),
        }
    }
}
