use std::cell::Cell;
use std::io;

use flate2::{Compress, Compression, FlushCompress, Status};

/// As far back as a match can reach, as a power of two: 32 kB, what every reader knows.
const WINDOW: u8 = 15;

/// For the header and the trailer, and for what is held back.
const ROOM: usize = 256;

thread_local! {
    /// With its level. To make one anew, with its 260 kB of tables, takes longer than to compress a small batch.
    static STATE: Cell<Option<(u32, Compress)>> = const { Cell::new(None) };
}

pub(super) fn compress(input: &[u8], level: u32, out: &mut Vec<u8>) -> io::Result<()> {
    // One that fails or panics is not put back.
    let known = STATE.take().filter(|(known, _)| *known == level).map(|(_, state)| state);
    let mut state = known.unwrap_or_else(|| Compress::new_gzip(Compression::new(level), WINDOW));
    loop {
        let rest = &input[state.total_in() as usize..];
        out.reserve(rest.len() / 2 + ROOM);
        if state.compress_vec(rest, out, FlushCompress::Finish)? == Status::StreamEnd {
            break;
        }
    }
    state.reset();
    STATE.set(Some((level, state)));
    Ok(())
}
