//! The bound of bytes that are accepted but not settled.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, TryAcquireError};

use super::spare::Spare;
use crate::logging::Log;
use crate::record::{Records, Room};

/// Room for messages, in bytes; waiting for it is first come, first served.
#[derive(Debug)]
pub(crate) struct Buffer {
    room: Semaphore,
    capacity: usize,
    spare: Mutex<Spare>,
}

/// The part of a buffer that memory for the next batches may take beside it.
const SPARE: usize = 4;

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
        let spare = Mutex::new(Spare::up_to(capacity / SPARE));
        Arc::new(Self { room: Semaphore::new(capacity), capacity, spare })
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
            if self.used() == 0 {
                // An idle producer holds no memory for batches.
                self.spare.lock().clear();
            }
        }
    }

    /// Memory for a new batch.
    pub(super) fn records(&self, room: Room) -> Records {
        let spare = self.spare.lock().take(room);
        spare.unwrap_or_else(|| Records::with_room(room))
    }

    /// Takes back the memory of a batch whose messages are settled, and have given back their room.
    pub(super) fn recycle(&self, mut records: Records, log: &Log) {
        // Outside the lock: the owner of a value may run code of the user's when it is let go.
        records.clear(log);
        let mut spare = self.spare.lock();
        if self.used() > 0 {
            spare.keep(records);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use bytes::Bytes;

    use super::*;
    use crate::Message;
    use crate::record::Stamp;

    /// A value whose owner looks, as it goes, whether the buffer could be used.
    struct Owner(Arc<Buffer>, std::sync::mpsc::Sender<bool>);

    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            &[0; 1_000]
        }
    }

    impl Drop for Owner {
        fn drop(&mut self) {
            self.1.send(self.0.spare.try_lock().is_some()).unwrap();
        }
    }

    #[test]
    fn a_value_whose_owner_uses_the_producer_as_it_goes_stops_nothing() {
        let buffer = Buffer::new(32 << 20);
        let (told, was_free) = std::sync::mpsc::channel();
        let mut records = Records::with_room(Room::of(1 << 20));
        let message = Message::new(Bytes::from_owner(Owner(buffer.clone(), told)));
        assert!(records.push(&message, Stamp { timestamp: 0, expires_after: 0 }, 10_000));
        drop(message);
        assert_eq!(buffer.try_take(1), Ok(()));
        buffer.recycle(records, &Log::ambient());
        assert_eq!(was_free.recv(), Ok(true));
    }

    #[test]
    fn memory_is_kept_for_the_next_batch_and_not_while_idle() {
        let buffer = Buffer::new(32 << 20);
        let large = || Records::with_room(Room::of(1 << 20));
        let kept = || buffer.spare.lock().bytes();
        assert_eq!(buffer.try_take(2_000), Ok(()));
        buffer.give_back(1_000);
        buffer.recycle(large(), &Log::ambient());
        assert!(kept() >= 1 << 20);
        assert!(buffer.records(Room::of(1 << 20)).capacity() >= 1 << 20);
        assert_eq!(kept(), 0, "taken");
        buffer.recycle(large(), &Log::ambient());
        buffer.give_back(1_000);
        assert_eq!(kept(), 0, "given back with the last message");
        buffer.recycle(large(), &Log::ambient());
        assert_eq!(kept(), 0, "not kept while idle");
        assert_eq!(buffer.try_take(1), Ok(()));
        (0..20).for_each(|_| buffer.recycle(large(), &Log::ambient()));
        assert!(kept() <= 8 << 20, "a quarter of the buffer");
    }
}
