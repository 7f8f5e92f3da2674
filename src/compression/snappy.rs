use std::io;

/// One raw block, which every client reads; snap's own framed format none does.
pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let start = out.len();
    out.resize(start + snap::raw::max_compress_len(input.len()), 0);
    let written = snap::raw::Encoder::new().compress(input, &mut out[start..]).map_err(io::Error::other)?;
    out.truncate(start + written);
    Ok(())
}
