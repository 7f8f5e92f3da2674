//! User code that misbehaves: a partitioner and owners of values.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use rskafka_producer::{Message, PartitionInput, Partitioner, Producer};

use crate::runner::ON_PURPOSE;

/// A partitioner that panics, or names a partition that is not there, as the key says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capricious;

impl Partitioner for Capricious {
    fn partition(&self, input: &PartitionInput<'_>) -> Option<u32> {
        match input.key {
            Some(b"panics") => panic!("{ON_PURPOSE}: the partitioner"),
            Some(b"strays") => Some(input.partitions + 7),
            _ => None,
        }
    }
}

/// What the owner of a value does when the value is dropped.
#[derive(Clone)]
pub(crate) enum Whim {
    Panics,
    Reenters(Producer),
}

struct Owner {
    bytes: Vec<u8>,
    armed: Arc<AtomicBool>,
    whim: Whim,
}

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if !self.armed.swap(false, Ordering::SeqCst) {
            return;
        }
        match &self.whim {
            Whim::Panics => panic!("{ON_PURPOSE}: the owner of a value"),
            // Whatever comes of it: the call must return.
            Whim::Reenters(producer) => {
                drop(producer.try_enqueue(Message::new("again").to("t0").partition(0)))
            }
        }
    }
}

/// A value with such an owner. It does nothing once `armed` is lowered.
pub(crate) fn value(bytes: Vec<u8>, whim: Whim, armed: &Arc<AtomicBool>) -> Bytes {
    Bytes::from_owner(Owner { bytes, armed: armed.clone(), whim })
}
