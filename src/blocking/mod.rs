//! A producer for code without `async`: the same calls, which block the calling thread until they are done.
//!
//! [`Producer`] runs on a separate thread, with a tokio runtime that nobody else needs to know of. So its calls work on any
//! thread, also on one that runs a tokio runtime; there they block that thread like any other blocking call, so that
//! async code better uses [`rskafka_producer::Producer`](crate::Producer), or calls these in `spawn_blocking`.
//!
//! Contexts, errors and promises are those of the async producer. Callbacks that the producer's tasks call (providers of
//! credentials and tokens, connectors, a logger, a recorder of metrics) run on the producer's thread: one that blocks it holds
//! up everything but the deadlines of calls, and one that calls the same producer waits for itself.
//!
//! ```no_run
//! use std::time::Duration;
//! use rskafka_producer::blocking::Producer;
//! use rskafka_producer::{Context, Message, ProducerConfig};
//!
//! fn main() -> rskafka_producer::Result<()> {
//!     let ctx = Context::timeout(Duration::from_secs(30));
//!     let producer = Producer::connect(&ctx, ProducerConfig::new(["kafka-1:9092"]).topic("events"))?;
//!     producer.send_message(&ctx, "order-42", "paid")?;
//!
//!     let receipt = producer.enqueue(&ctx, Message::new("seen").key("order-42").to("audit"))?;
//!     println!("stored in partition {}", receipt.wait()?.partition());
//!     producer.close(&ctx)
//! }
//! ```

// rustdoc shows the methods of `Producer` in the order of these modules.
mod producer;

mod describe;

mod receipt;
mod thread;
mod topic;
mod wait;

pub use self::producer::Producer;
pub use self::receipt::{IntoIter, Receipt, Receipts};
pub use self::topic::TopicProducer;
