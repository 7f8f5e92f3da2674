use std::io::{self, Write};

use flate2::{Compression, write::GzEncoder};

/// Level 1: of the levels the one whose gain is worth its time; level 6 takes four times as long for a fifth less.
const LEVEL: u32 = 1;

pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let mut encoder = GzEncoder::new(out, Compression::new(LEVEL));
    encoder.write_all(input)?;
    encoder.finish().map(drop)
}
