//! Keys and values that are kept as the user gave them.

use std::ops::{Deref, DerefMut};

use bytes::Bytes;

use crate::error::callback::{OWNER, guarded};
use crate::telemetry::Log;

/// Long keys and values. Their owners are user code and may panic when they are dropped: each is dropped separately,
/// since a second panic would end the process.
#[derive(Debug, Default)]
pub(super) struct Values(Vec<(usize, Bytes)>);

impl Values {
    pub(super) fn let_go(&mut self, mut drop: impl FnMut(Bytes)) {
        while let Some((_, part)) = self.0.pop() {
            drop(part);
        }
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        self.let_go(|part| {
            if let Err(panicked) = guarded(OWNER, || drop(part)) {
                Log::ambient().callback_panicked(OWNER, &panicked);
            }
        });
    }
}

impl Deref for Values {
    type Target = Vec<(usize, Bytes)>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Values {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}
