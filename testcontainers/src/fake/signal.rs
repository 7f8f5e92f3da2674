//! Something that happens again and again, for those who wait for the next time.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// See the [module](self). Waiters are woken in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Signal {
    count: AtomicU64,
    raised: Notify,
}

impl Signal {
    pub(super) fn raise(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
        self.raised.notify_waiters();
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Waits until it was raised more often than that.
    pub(super) async fn beyond(&self, count: u64) {
        loop {
            let raised = self.raised.notified();
            if self.count() > count {
                return;
            }
            raised.await;
        }
    }
}
