//! Kafka's variable-length integers: zigzag, then seven bits a byte, as in Protocol Buffers.

/// Appends `value`.
#[inline]
pub(crate) fn write(out: &mut Vec<u8>, value: i64) {
    let mut zigzag = zigzag(value);
    if zigzag < 0x80 {
        // Most are: lengths and differences of small records.
        return out.push(zigzag as u8);
    }
    while zigzag >= 0x80 {
        out.push(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    out.push(zigzag as u8);
}

/// Bytes that [`write`] appends.
#[inline]
pub(crate) fn len(value: i64) -> usize {
    match zigzag(value) {
        ..0x80 => 1,
        0x80..0x4000 => 2,
        large => (64 - large.leading_zeros() as usize).div_ceil(7),
    }
}

/// Takes what [`write`] appended from the front of `bytes`.
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
            let mut out = Vec::new();
            write(&mut out, value);
            assert_eq!(out, bytes, "{value}");
            assert_eq!(len(value), bytes.len(), "{value}");
            assert_eq!(read(&mut &*bytes), value);
        }
    }
}
