//! Writing requests, in the plain encoding and in the flexible one (KIP-482).

/// The bytes of a request: its own, and between them what it borrows, so that records are not copied into it.
#[derive(Debug, Default)]
pub(crate) struct Parts<'a> {
    own: Vec<u8>,
    /// By where among its own bytes they belong.
    lent: Vec<(usize, &'a [u8])>,
    lent_bytes: usize,
}

impl<'a> Parts<'a> {
    pub(crate) fn with_capacity(own: usize) -> Self {
        Self { own: Vec::with_capacity(own), ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.own.len() + self.lent_bytes
    }

    /// The request's own bytes, to append to.
    pub(crate) fn own(&mut self) -> &mut Vec<u8> {
        &mut self.own
    }

    /// Appends bytes that stay where they are.
    pub(crate) fn lend(&mut self, bytes: &'a [u8]) {
        self.lent.push((self.own.len(), bytes));
        self.lent_bytes += bytes.len();
    }

    /// All bytes in one piece.
    pub(crate) fn joined(&self) -> Vec<u8> {
        let mut joined = Vec::with_capacity(self.len());
        self.iter().for_each(|part| joined.extend_from_slice(part));
        joined
    }

    /// All bytes in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.lent.iter().map(|(at, _)| *at));
        let between = starts.zip(&self.lent).flat_map(|(from, (at, lent))| [&self.own[from..*at], lent]);
        let end = self.lent.last().map_or(0, |(at, _)| *at);
        between.chain([&self.own[end..]]).filter(|part| !part.is_empty())
    }
}

/// Appends big-endian fields to a request.
#[derive(Debug)]
pub(crate) struct Writer<'p, 'a> {
    parts: &'p mut Parts<'a>,
    /// Lengths are varints, and each structure ends with tagged fields, of which we send none.
    flexible: bool,
}

impl<'p, 'a> Writer<'p, 'a> {
    pub(crate) fn new(parts: &'p mut Parts<'a>, flexible: bool) -> Self {
        Self { parts, flexible }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.parts.own.extend_from_slice(bytes);
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.put(&[u8::from(value)]);
    }

    pub(crate) fn i16(&mut self, value: i16) {
        self.put(&value.to_be_bytes());
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.put(&value.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.put(&value.to_be_bytes());
    }

    pub(crate) fn u128(&mut self, value: u128) {
        self.put(&value.to_be_bytes());
    }

    /// Makes room for own bytes that follow.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.parts.own.reserve(bytes);
    }

    /// Topic names, client ids and the like, which are far shorter than a length can say.
    pub(crate) fn string(&mut self, text: &str) {
        match self.flexible {
            true => self.length(text.len()),
            false => self.i16(text.len() as i16),
        }
        self.put(text.as_bytes());
    }

    pub(crate) fn null_string(&mut self) {
        match self.flexible {
            true => self.put(&[0]),
            false => self.i16(-1),
        }
    }

    /// Bytes that stay where they are.
    pub(crate) fn bytes(&mut self, bytes: &'a [u8]) {
        self.length(bytes.len());
        self.parts.lend(bytes);
    }

    /// The length of an array, or of bytes.
    pub(crate) fn length(&mut self, len: usize) {
        match self.flexible {
            true => put_varint(&mut self.parts.own, len + 1),
            false => self.i32(len as i32),
        }
    }

    /// The request's bytes, to append to.
    pub(crate) fn parts(&mut self) -> &mut Parts<'a> {
        self.parts
    }

    /// The end of a structure.
    pub(crate) fn tagged_fields(&mut self) {
        if self.flexible {
            self.put(&[0]);
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
    fn what_is_lent_stands_where_it_was_appended() {
        let mut parts = Parts::default();
        parts.lend(b"a");
        parts.own().extend(b"bc");
        parts.lend(b"");
        parts.lend(b"d");
        parts.lend(b"e");
        parts.own().extend(b"f");
        let found: Vec<_> = parts.iter().collect();
        assert_eq!(found, [&b"a"[..], b"bc", b"d", b"e", b"f"]);
    }
}
