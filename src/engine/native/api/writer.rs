//! Writing requests, in the plain encoding and in the flexible one (KIP-482).

/// Appends big-endian fields to a request.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Lengths are varints, and each structure ends with tagged fields, of which we send none.
    flexible: bool,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, flexible: bool) -> Self {
        Self { out, flexible }
    }

    /// Makes room for what follows.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.out.push(u8::from(value));
    }

    pub(crate) fn i16(&mut self, value: i16) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u128(&mut self, value: u128) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// Topic names, client ids and the like, which are far shorter than a length can say.
    pub(crate) fn string(&mut self, text: &str) {
        match self.flexible {
            true => self.length(text.len()),
            false => self.i16(text.len() as i16),
        }
        self.out.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn null_string(&mut self) {
        match self.flexible {
            true => self.out.push(0),
            false => self.i16(-1),
        }
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.out.extend_from_slice(bytes);
    }

    /// The length of an array, or of bytes.
    pub(crate) fn length(&mut self, len: usize) {
        match self.flexible {
            true => put_varint(self.out, len + 1),
            false => self.i32(len as i32),
        }
    }

    /// Bytes that are made in place, and about as many as `expected`.
    pub(crate) fn bytes_in_place(&mut self, expected: usize, make: impl FnOnce(&mut Vec<u8>)) {
        let start = self.out.len();
        self.length(expected);
        let body = self.out.len();
        make(self.out);
        let len = self.out.len() - body;
        if len == expected {
            return;
        }
        let mut prefix = Vec::with_capacity(5);
        Writer::new(&mut prefix, self.flexible).length(len);
        // Where both lengths take as many bytes, nothing moves.
        self.out.splice(start..body, prefix);
    }

    /// The end of a structure.
    pub(crate) fn tagged_fields(&mut self) {
        if self.flexible {
            self.out.push(0);
        }
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_made_in_place_have_their_own_length_whatever_was_expected() {
        for flexible in [false, true] {
            for len in [0, 1, 126, 127, 128, 16_382, 16_383, 70_000] {
                let made = vec![7; len];
                let mut right = vec![1, 2];
                Writer::new(&mut right, flexible).bytes(&made);
                for expected in [0, 126, 127, 16_383, 3_000_000] {
                    let mut out = vec![1, 2];
                    Writer::new(&mut out, flexible).bytes_in_place(expected, |out| out.extend(&made));
                    assert!(out == right, "{len} bytes where {expected} were expected");
                }
            }
        }
    }
}
