//! Where the producer's own tasks run.

use std::future::Future;

use parking_lot::Mutex;
use tokio::runtime::Handle;

/// The runtime that was seen last: a message may be handed over, and the last handle be dropped, on a thread that has
/// none.
#[derive(Debug, Default)]
pub(crate) struct Runtime {
    last: Mutex<Option<Handle>>,
}

impl Runtime {
    /// The runtime of this thread, else the one that was seen last.
    pub(crate) fn here(&self) -> Option<Handle> {
        let mut last = self.last.lock();
        if let Ok(here) = Handle::try_current() {
            *last = Some(here);
        }
        last.clone()
    }

    /// Runs `task` there. Where there is no runtime it is dropped, as one that has ended drops it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = self.here() {
            drop(runtime.spawn(task));
        }
    }
}
