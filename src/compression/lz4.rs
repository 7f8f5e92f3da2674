use std::cell::Cell;
use std::io::{self, Write};

use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};

use super::scratch;

/// Larger than the 64 kB that a match can reach back, so that each block has more to refer to than it lacks. A reader needs
/// that much room too.
const BLOCK: BlockSize = BlockSize::Max256KB;

thread_local! {
    /// With its room for what goes in and what comes out.
    static ENCODER: Cell<Option<FrameEncoder<Vec<u8>>>> = const { Cell::new(None) };
}

/// Independent blocks, and no larger than 4 MB: what Kafka reads.
pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    // One that fails or panics is not put back.
    let mut encoder = ENCODER
        .take()
        .unwrap_or_else(|| FrameEncoder::with_frame_info(FrameInfo::new().block_size(BLOCK), Vec::new()));
    encoder.get_mut().clear();
    encoder.write_all(input)?;
    encoder.try_finish().map_err(io::Error::other)?;
    out.extend_from_slice(encoder.get_ref());
    scratch::trim(encoder.get_mut());
    ENCODER.set(Some(encoder));
    Ok(())
}
