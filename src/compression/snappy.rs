use std::cell::RefCell;
use std::io;

use snap::raw::{Encoder, max_compress_len};

use super::scratch;

thread_local! {
    /// With room for what comes out, which the encoder wants to be as large as the worst case.
    static ENCODER: RefCell<(Encoder, Vec<u8>)> = RefCell::new((Encoder::new(), Vec::new()));
}

/// One raw block, which every client reads; snap's own framed format none does.
pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    ENCODER.with_borrow_mut(|(encoder, room)| {
        let most = max_compress_len(input.len());
        if room.len() < most {
            // Zeros that the system hands out cost nothing until they are touched, and few of them are.
            *room = vec![0; most];
        }
        let written = encoder.compress(input, room).map_err(io::Error::other)?;
        out.extend_from_slice(&room[..written]);
        scratch::trim(room);
        Ok(())
    })
}
