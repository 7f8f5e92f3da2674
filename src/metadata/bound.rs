//! A topic that many calls are about, looked up once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::{Mutex, MutexGuard};

use super::{Metadata, Topic};

/// A topic's name, and what is known of the topic.
pub(crate) struct Bound {
    pub(crate) name: Arc<str>,
    found: Mutex<Found>,
}

/// What was found the last time, and in which version of the topics.
#[derive(Default)]
pub(crate) struct Found {
    version: Option<u64>,
    pub(crate) topic: Option<Arc<Topic>>,
}

impl Bound {
    pub(crate) fn new(name: Arc<str>) -> Self {
        Self { name, found: Mutex::default() }
    }

    /// Lends the topic, if it is known; looked up only where any topic has changed since the last time.
    #[inline]
    pub(crate) fn lend(&self, metadata: &Metadata) -> MutexGuard<'_, Found> {
        loop {
            // Before the look: what changes meanwhile is looked up again.
            let version = Some(metadata.version.load(Ordering::Acquire));
            let found = self.found.lock();
            if found.version == version {
                return found;
            }
            drop(found);
            let topic = metadata.topic(&self.name);
            let former = std::mem::replace(&mut *self.found.lock(), Found { version, topic });
            // It may hold messages, whose end may run user code: no lock is held.
            drop(former);
        }
    }
}

impl Clone for Bound {
    /// Each clone has a separate lock, so that threads that have one each do not wait for one another.
    fn clone(&self) -> Self {
        Self::new(self.name.clone())
    }
}
