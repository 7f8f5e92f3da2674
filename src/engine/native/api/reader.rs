//! Reading answers without trusting them.

/// What a peer sent does not parse.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(super) &'static str);

/// Room for so many elements is made at once; for more as they are read, since an element takes more memory than the
/// fewest bytes that it can have.
pub(super) const PREALLOCATED: usize = 1 << 10;

type Result<T> = std::result::Result<T, Malformed>;

/// Reads big-endian fields off an answer. What it returns is never longer than the bytes that are there.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    left: &'a [u8],
    /// Lengths are varints, and each structure ends with tagged fields (KIP-482).
    flexible: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], flexible: bool) -> Self {
        Self { left: bytes, flexible }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.bytes(N)?.try_into().map_err(|_| Malformed("truncated"))
    }

    fn bytes(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, left) = self.left.split_at_checked(len).ok_or(Malformed("truncated"))?;
        self.left = left;
        Ok(taken)
    }

    pub(crate) fn bool(&mut self) -> Result<bool> {
        Ok(self.take::<1>()? != [0])
    }

    pub(crate) fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.take()?))
    }

    /// A length, `None` where it stands for null.
    fn length(&mut self, plain: impl FnOnce(&mut Self) -> Result<i32>) -> Result<Option<usize>> {
        if self.flexible {
            return Ok(self.unsigned_varint()?.checked_sub(1));
        }
        match plain(self)? {
            -1 => Ok(None),
            len => Ok(Some(usize::try_from(len).map_err(|_| Malformed("negative length"))?)),
        }
    }

    pub(crate) fn nullable_string(&mut self) -> Result<Option<String>> {
        let Some(len) = self.length(|r| r.i16().map(i32::from))? else {
            return Ok(None);
        };
        Ok(Some(String::from_utf8_lossy(self.bytes(len)?).into_owned()))
    }

    pub(crate) fn string(&mut self) -> Result<String> {
        self.nullable_string()?.ok_or(Malformed("null where a string is due"))
    }

    /// Null is read as empty.
    pub(crate) fn nullable_bytes(&mut self) -> Result<Vec<u8>> {
        let len = self.length(Self::i32)?.unwrap_or(0);
        Ok(self.bytes(len)?.to_vec())
    }

    pub(crate) fn u128(&mut self) -> Result<u128> {
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

    /// Passes over what later versions of the protocol added to a structure, which is at its end here.
    pub(crate) fn tagged_fields(&mut self) -> Result<()> {
        self.tagged_field(usize::MAX, |_| Ok(())).map(drop)
    }

    /// The same, and reads the field with this tag, where it is there.
    pub(crate) fn tagged_field<T>(
        &mut self,
        wanted: usize,
        mut read: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut found = None;
        if !self.flexible {
            return Ok(found);
        }
        for _ in 0..self.unsigned_varint()? {
            let tag = self.unsigned_varint()?;
            let len = self.unsigned_varint()?;
            let mut field = Reader { left: self.bytes(len)?, flexible: true };
            if tag == wanted {
                found = Some(read(&mut field)?);
                field.end()?;
            }
        }
        Ok(found)
    }

    /// Passes over the rest of the answer.
    pub(crate) fn skip_rest(&mut self) {
        self.left = &[];
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Result<()> {
        if self.left.is_empty() { Ok(()) } else { Err(Malformed("longer than it should be")) }
    }

    /// An array whose elements take at least `least` bytes each; null is read as empty.
    pub(crate) fn array<T>(
        &mut self,
        least: usize,
        mut element: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let len = self.length(Self::i32)?.unwrap_or(0);
        if len.saturating_mul(least) > self.left.len() {
            return Err(Malformed("an array longer than the answer"));
        }
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
            let read = Reader::new(&bytes, false).array(4, |r| r.i32());
            assert!(read.is_err(), "{claimed}");
        }
    }

    #[test]
    fn a_string_longer_than_the_answer_is_refused() {
        assert!(Reader::new(&[0x7f, 0xff, b'x'], false).string().is_err());
    }

    #[test]
    fn a_compact_length_that_the_bytes_do_not_cover_allocates_nothing() {
        for claimed in [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01], &[9]] {
            let claims = [claimed, &[0; 4]].concat();
            assert!(Reader::new(&claims, true).array(1, |r| r.bool()).is_err(), "{claimed:?}");
            assert!(Reader::new(&claims, true).string().is_err(), "{claimed:?}");
            let tagged = [&[1, 7], claimed].concat();
            assert!(Reader::new(&tagged, true).tagged_fields().is_err(), "{claimed:?}");
        }
    }
}
