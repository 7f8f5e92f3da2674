//! Values and wakers that notice a lock.

use std::cell::Cell;
use std::sync::Arc;
use std::task::Wake;

thread_local! {
    /// Whether a partition would hold its queue's lock.
    pub(super) static LOCKED: Cell<bool> = const { Cell::new(false) };
}

/// A value and a waker of user code, which must not be dropped or woken under the lock.
pub(super) struct Foreign;

impl Foreign {
    fn is_called(&self) {
        LOCKED.with(|locked| assert!(!locked.get(), "user code was called under the lock"));
    }
}

impl AsRef<[u8]> for Foreign {
    fn as_ref(&self) -> &[u8] {
        &[b' '; 600]
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.is_called();
    }
}

impl Wake for Foreign {
    fn wake(self: Arc<Self>) {
        self.is_called();
    }
}
