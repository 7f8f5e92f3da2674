//! Room in the buffers that is given back once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::buffer::Buffer;

/// Bytes of the buffers that messages take. They are given back by [`release`](Self::release), at the latest when this is
/// dropped.
#[derive(Debug, Default)]
pub(super) struct Charge {
    bytes: AtomicUsize,
    buffers: [Option<Arc<Buffer>>; 2],
}

impl Charge {
    pub(super) fn of(bytes: usize, buffers: &[Option<Arc<Buffer>>; 2]) -> Self {
        Self { bytes: AtomicUsize::new(bytes), buffers: buffers.clone() }
    }

    pub(super) fn release(&self) {
        let bytes = self.bytes.swap(0, Ordering::AcqRel);
        self.buffers.iter().flatten().for_each(|buffer| buffer.give_back(bytes));
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.release();
    }
}
