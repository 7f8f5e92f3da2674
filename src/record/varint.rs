//! Kafka's variable-length integers: zigzag, then seven bits a byte, as in Protocol Buffers.

/// Writes `value` at `at`, where there has to be room for ten bytes. Returns where it ends.
#[inline]
pub(crate) fn put<const N: usize>(out: &mut [u8; N], at: usize, value: i64) -> usize {
    let zigzag = zigzag(value);
    // Most are short: lengths and differences of small records.
    if zigzag < 0x80 {
        out[at] = zigzag as u8;
        return at + 1;
    }
    if zigzag < 0x4000 {
        out[at] = zigzag as u8 | 0x80;
        out[at + 1] = (zigzag >> 7) as u8;
        return at + 2;
    }
    put_long(out, at, zigzag)
}

#[cold]
fn put_long(out: &mut [u8], mut at: usize, mut zigzag: u64) -> usize {
    while zigzag >= 0x80 {
        out[at] = zigzag as u8 | 0x80;
        zigzag >>= 7;
        at += 1;
    }
    out[at] = zigzag as u8;
    at + 1
}

/// Bytes that [`put`] writes.
#[inline]
pub(crate) fn len(value: i64) -> usize {
    match zigzag(value) {
        ..0x80 => 1,
        0x80..0x4000 => 2,
        large => (64 - large.leading_zeros() as usize).div_ceil(7),
    }
}

/// Takes what [`put`] wrote from the front of `bytes`.
pub(crate) fn read(bytes: &mut &[u8]) -> i64 {
    let (mut zigzag, mut shift) = (0_u64, 0);
    while let Some((byte, rest)) = bytes.split_first() {
        *bytes = rest;
        zigzag |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)
}

#[inline]
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocols_examples_and_both_ends_of_the_range() {
        for (value, bytes) in [
            (0, vec![0x00]),
            (-1, vec![0x01]),
            (1, vec![0x02]),
            (63, vec![0x7e]),
            (-64, vec![0x7f]),
            (64, vec![0x80, 0x01]),
            (i64::MAX, vec![0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
            (i64::MIN, vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ] {
            let mut out = [0; 10];
            let written = put(&mut out, 0, value);
            assert_eq!(out[..written], bytes, "{value}");
            assert_eq!(len(value), bytes.len(), "{value}");
            assert_eq!(read(&mut &*bytes), value);
        }
    }
}
