use std::io;

use structured_zstd::encoding::{CompressionLevel, compress_slice_to_vec};

/// `compress_slice_to_vec` rather than `FrameCompressor`, its reusable form, since that is generic and adds most of a
/// minute to each build of the crate that names it.
pub(super) fn compress(input: &[u8], level: u32, out: &mut Vec<u8>) -> io::Result<()> {
    out.extend_from_slice(&compress_slice_to_vec(input, CompressionLevel::Level(level as i32)));
    Ok(())
}
