//! Reading answers without trusting them.

use std::io::Cursor;

use rskafka::protocol::messages::ReadVersionedError;
use rskafka::protocol::traits::ReadError;

/// What a peer sent does not parse.
#[derive(Debug, thiserror::Error)]
#[error("malformed answer: {0}")]
pub(in crate::engine::messenger) struct Malformed(pub(super) &'static str);

impl From<Malformed> for ReadVersionedError {
    fn from(malformed: Malformed) -> Self {
        Self::ReadError(ReadError::Malformed(Box::new(malformed)))
    }
}

/// Room for so many elements is made at once; for more as they are read, since an element takes more memory than the
/// fewest bytes that it can have.
pub(super) const PREALLOCATED: usize = 1 << 10;

type Result<T> = std::result::Result<T, Malformed>;

/// Reads big-endian fields off an answer. What it returns is never longer than the bytes that are there.
#[derive(Debug)]
pub(in crate::engine::messenger) struct Reader<'a> {
    cursor: &'a mut Cursor<Vec<u8>>,
}

impl<'a> Reader<'a> {
    pub(in crate::engine::messenger) fn new(cursor: &'a mut Cursor<Vec<u8>>) -> Self {
        Self { cursor }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.bytes(N)?.try_into().map_err(|_| Malformed("truncated"))
    }

    fn bytes(&mut self, len: usize) -> Result<&[u8]> {
        let start = usize::try_from(self.cursor.position()).map_err(|_| Malformed("position"))?;
        let end = start.checked_add(len).ok_or(Malformed("length overflows"))?;
        self.cursor.set_position(end as u64);
        self.cursor.get_ref().get(start..end).ok_or(Malformed("truncated"))
    }

    fn remaining(&self) -> usize {
        (self.cursor.get_ref().len() as u64).saturating_sub(self.cursor.position()) as usize
    }

    pub(super) fn bool(&mut self) -> Result<bool> {
        Ok(self.take::<1>()? != [0])
    }

    pub(super) fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take()?))
    }

    pub(super) fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.take()?))
    }

    pub(super) fn nullable_string(&mut self) -> Result<Option<String>> {
        let len = self.i16()?;
        if len == -1 {
            return Ok(None);
        }
        let len = usize::try_from(len).map_err(|_| Malformed("negative length of a string"))?;
        Ok(Some(String::from_utf8_lossy(self.bytes(len)?).into_owned()))
    }

    pub(super) fn string(&mut self) -> Result<String> {
        self.nullable_string()?.ok_or(Malformed("null where a string is due"))
    }

    /// Bytes with a 32-bit length; null is read as empty.
    pub(super) fn nullable_bytes(&mut self) -> Result<Vec<u8>> {
        let len = self.i32()?;
        if len == -1 {
            return Ok(Vec::new());
        }
        let len = usize::try_from(len).map_err(|_| Malformed("negative length of bytes"))?;
        Ok(self.bytes(len)?.to_vec())
    }

    /// A string of a flexible version, whose length plus one stands as a varint.
    pub(super) fn compact_nullable_string(&mut self) -> Result<Option<String>> {
        let Some(len) = self.unsigned_varint()?.checked_sub(1) else {
            return Ok(None);
        };
        Ok(Some(String::from_utf8_lossy(self.bytes(len)?).into_owned()))
    }

    pub(super) fn u128(&mut self) -> Result<u128> {
        Ok(u128::from_be_bytes(self.take()?))
    }

    fn unsigned_varint(&mut self) -> Result<usize> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.take::<1>()?[0];
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("a varint without end"))
    }

    /// Passes over what later versions of the protocol added (KIP-482).
    pub(super) fn tagged_fields(&mut self) -> Result<()> {
        for _ in 0..self.unsigned_varint()? {
            let _tag = self.unsigned_varint()?;
            let len = self.unsigned_varint()?;
            self.bytes(len)?;
        }
        Ok(())
    }

    /// Passes over the rest of the answer.
    pub(super) fn skip_rest(&mut self) {
        self.cursor.set_position(self.cursor.get_ref().len() as u64);
    }

    /// The length of an array whose elements take at least `least` bytes each; null is read as empty.
    pub(super) fn len(&mut self, least: usize) -> Result<usize> {
        let len = self.i32()?;
        if len == -1 {
            return Ok(0);
        }
        let len = usize::try_from(len).map_err(|_| Malformed("negative length of an array"))?;
        self.covered(len, least)
    }

    /// The same in flexible versions, where the length plus one stands as a varint.
    pub(super) fn compact_len(&mut self, least: usize) -> Result<usize> {
        let len = self.unsigned_varint()?.saturating_sub(1);
        self.covered(len, least)
    }

    fn covered(&self, len: usize, least: usize) -> Result<usize> {
        match len.saturating_mul(least) > self.remaining() {
            true => Err(Malformed("an array longer than the answer")),
            false => Ok(len),
        }
    }

    /// An array whose elements take at least `least` bytes each; null is read as empty.
    pub(super) fn array<T>(
        &mut self,
        least: usize,
        element: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let len = self.len(least)?;
        self.elements(len, element)
    }

    /// The same in flexible versions, where the length plus one stands as a varint.
    pub(super) fn compact_array<T>(
        &mut self,
        least: usize,
        element: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let len = self.compact_len(least)?;
        self.elements(len, element)
    }

    fn elements<T>(&mut self, len: usize, mut element: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut elements = Vec::with_capacity(len.min(PREALLOCATED));
        for _ in 0..len {
            elements.push(element(self)?);
        }
        Ok(elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_the_bytes_do_not_cover_allocates_nothing() {
        for claimed in [i32::MAX, 1_000_000, 3, -2] {
            let mut bytes = claimed.to_be_bytes().to_vec();
            bytes.extend([0; 8]);
            let mut cursor = Cursor::new(bytes);
            let read = Reader::new(&mut cursor).array(4, |r| r.i32());
            assert!(read.is_err(), "{claimed}");
        }
    }

    #[test]
    fn a_string_longer_than_the_answer_is_refused() {
        let mut cursor = Cursor::new(vec![0x7f, 0xff, b'x']);
        assert!(Reader::new(&mut cursor).string().is_err());
    }
}
