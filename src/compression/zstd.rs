use std::io;

use structured_zstd::encoding::{CompressionLevel, FrameCompressor};

/// Level 1: the fastest, and on record batches also the smallest of the low levels.
const LEVEL: i32 = 1;

pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let mut compressor: FrameCompressor = FrameCompressor::new(CompressionLevel::Level(LEVEL));
    let mut packed = Vec::new();
    compressor.compress_independent_frame_into(input, &mut packed);
    out.extend_from_slice(&packed);
    Ok(())
}
