//! The promise of an answer, to be waited for by a thread.

use std::time::{Duration, Instant};

use super::wait::Waiter;
use crate::accumulator::{self, Delivery};
use crate::context::Context;
use crate::error::{Error, Result, Wait};

/// A message that was accepted; [`wait`](Self::wait) returns when it is stored or has failed.
///
/// Every receipt resolves, as the async [`Receipt`](crate::Receipt) does. Dropping it cancels nothing.
#[must_use = "a message may fail; wait for its receipt, or say `drop(receipt)` where that does not matter"]
#[derive(Debug)]
pub struct Receipt {
    receipt: accumulator::Receipt,
    waiter: Waiter,
}

impl Receipt {
    pub(super) fn new(receipt: accumulator::Receipt, waiter: Waiter) -> Self {
        Self { receipt, waiter }
    }

    getters! { self;
        /// The topic that the message goes to.
        topic: &str => self.receipt.topic();
        /// The partition that the message goes to.
        partition: i32 => self.receipt.partition();
        /// What the message waits for at the moment; `None` once it is stored or has failed.
        waiting_for: Option<Wait> => self.receipt.waiting_for();
    }

    /// Waits until the message is stored or has failed: at the latest when `timeouts.delivery` has passed, or the deadline of
    /// the context that it was accepted with.
    ///
    /// # Errors
    ///
    /// Those of [`Producer::send`](super::Producer::send). The message is handed back.
    pub fn wait(self) -> Result<Delivery> {
        self.waiter.wait(&Context::background(), self.receipt)
    }

    /// Waits so long; `None` if the message is neither stored nor failed by then. After `Some` there is nothing to wait
    /// for.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn example(receipt: rskafka_producer::blocking::Receipt) -> rskafka_producer::Result<()> {
    /// use std::time::Duration;
    ///
    /// let mut receipt = receipt;
    /// let delivery = loop {
    ///     match receipt.wait_timeout(Duration::from_secs(5)) {
    ///         Some(result) => break result?,
    ///         None => eprintln!("still waiting: {:?}", receipt.waiting_for()),
    ///     }
    /// };
    /// # _ = delivery;
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_timeout(&mut self, limit: Duration) -> Option<Result<Delivery>> {
        match Instant::now().checked_add(limit) {
            Some(until) => self.waiter.wait_until(until, &mut self.receipt),
            None => Some(self.waiter.wait(&Context::background(), &mut self.receipt)),
        }
    }
}

/// The receipts of [`enqueue_all`](super::Producer::enqueue_all): one for each message, in the order of the messages.
///
/// [`wait`](Self::wait) returns when every message is stored or has failed. Iterated over, it yields the single
/// [`Receipt`]s, and the errors of messages that were not accepted. Dropping it cancels nothing.
///
/// # Examples
///
/// ```
/// use rskafka_producer::blocking::Producer;
/// use rskafka_producer::{Context, Message};
///
/// # fn example(producer: Producer) -> rskafka_producer::Result<()> {
/// let messages = (0..1_000).map(|number| Message::new(number.to_string()).to("numbers"));
/// let receipts = producer.enqueue_all(&Context::background(), messages);
/// for (place, error) in receipts.rejected() {
///     eprintln!("message {place} was not accepted: {error}");
/// }
/// let stored = receipts.wait().iter().filter(|result| result.is_ok()).count();
/// println!("{stored} stored");
/// # Ok(())
/// # }
/// ```
#[must_use = "messages may fail; wait for the receipts, or say `drop(receipts)` where that does not matter"]
#[derive(Debug)]
pub struct Receipts {
    receipts: accumulator::Receipts,
    waiter: Waiter,
}

impl Receipts {
    pub(super) fn new(receipts: accumulator::Receipts, waiter: Waiter) -> Self {
        Self { receipts, waiter }
    }

    getters! { self;
        /// How many messages there are, accepted or not.
        len: usize => self.receipts.len();
        /// Whether there are no messages.
        is_empty: bool => self.receipts.is_empty();
        /// What the first message that is neither stored nor failed waits for; `None` once there is no such message.
        waiting_for: Option<Wait> => self.receipts.waiting_for();
    }

    /// The messages that were not accepted: their places, counted from 0, and the errors.
    pub fn rejected(&self) -> impl Iterator<Item = (usize, &Error)> {
        self.receipts.rejected()
    }

    /// Waits until every message is stored or has failed.
    ///
    /// # Errors
    ///
    /// Those of [`Producer::send`](super::Producer::send), one for each message that was not stored.
    #[must_use]
    pub fn wait(self) -> Vec<Result<Delivery>> {
        self.waiter.wait(&Context::background(), self.receipts)
    }
}

impl IntoIterator for Receipts {
    type Item = Result<Receipt>;
    type IntoIter = IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        IntoIter { receipts: self.receipts.into_iter(), waiter: self.waiter }
    }
}

/// The single receipts of [`Receipts`].
#[derive(Debug)]
pub struct IntoIter {
    receipts: std::vec::IntoIter<Result<accumulator::Receipt>>,
    waiter: Waiter,
}

impl Iterator for IntoIter {
    type Item = Result<Receipt>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.receipts.next()?;
        Some(next.map(|receipt| Receipt::new(receipt, self.waiter.clone())))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.receipts.size_hint()
    }
}
