//! Copies of what is sent, on standard output.

use tokio::io::{AsyncWriteExt, BufWriter, Stdout, stdout};

/// Writes nothing where `-T` was not given, or once nobody reads standard output any more.
pub(crate) struct Tee(Option<BufWriter<Stdout>>);

impl Tee {
    pub(crate) fn new(wanted: bool) -> Self {
        Self(wanted.then(|| BufWriter::with_capacity(64 << 10, stdout())))
    }

    pub(crate) async fn copy(&mut self, record: &[u8]) {
        let Some(out) = &mut self.0 else { return };
        if out.write_all(record).await.is_err() {
            self.0 = None;
        }
    }

    pub(crate) async fn flush(&mut self) {
        let Some(out) = &mut self.0 else { return };
        if out.flush().await.is_err() {
            self.0 = None;
        }
    }
}
