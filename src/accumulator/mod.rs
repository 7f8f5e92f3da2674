//! Where accepted messages wait: a queue of batches per partition, under one bound of bytes.

mod batch;
mod budget;
mod buffer;
mod charge;
mod completion;
mod delivery;
mod line;
mod queue;
mod receipt;
mod receipts;
mod sequencer;
mod spare;
mod waiters;

pub(crate) use batch::{Arrival, Batch};
pub(crate) use budget::{Budget, Held};
pub(crate) use buffer::{Buffer, NoRoom};
pub(crate) use completion::Completion;
pub use delivery::Delivery;
pub(crate) use line::POLLED_WITHIN;
pub(crate) use queue::{Appended, Policy, Queue, Readiness, Take, lost_track, overtaken};
pub use receipt::Receipt;
pub use receipts::Receipts;
pub(crate) use waiters::{Settlement, Woken};
