//! The bound of bytes that are accepted but not settled.

use std::sync::Arc;

use tokio::sync::{Semaphore, TryAcquireError};

/// Room for messages, in bytes; waiting for it is first come, first served.
#[derive(Debug)]
pub(crate) struct Buffer {
    room: Semaphore,
    capacity: usize,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// Not at the moment.
    Full,
    /// Never: the buffer was closed.
    Closed,
}

impl Buffer {
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        let capacity = capacity.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        Arc::new(Self { room: Semaphore::new(capacity), capacity })
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn used(&self) -> usize {
        self.capacity - self.room.available_permits().min(self.capacity)
    }

    /// Takes `bytes` if they are free and nobody waits.
    pub(crate) fn try_take(&self, bytes: usize) -> Result<(), NoRoom> {
        match self.room.try_acquire_many(permits(bytes)) {
            Ok(permit) => {
                permit.forget();
                Ok(())
            }
            Err(TryAcquireError::NoPermits) => Err(NoRoom::Full),
            Err(TryAcquireError::Closed) => Err(NoRoom::Closed),
        }
    }

    /// Waits in line for `bytes`. Cancel safe: what did not resolve took nothing.
    pub(crate) async fn take(&self, bytes: usize) -> Result<(), NoRoom> {
        match self.room.acquire_many(permits(bytes)).await {
            Ok(permit) => {
                permit.forget();
                Ok(())
            }
            Err(_) => Err(NoRoom::Closed),
        }
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.room.add_permits(bytes);
        }
    }

    /// Turns away everyone who waits and whoever comes.
    pub(crate) fn close(&self) {
        self.room.close();
    }
}

fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
