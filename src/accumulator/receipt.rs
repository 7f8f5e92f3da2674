//! The promise of an answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::batch::Accepted;
use super::completion::Completion;
use super::delivery::Delivery;
use crate::error::{Result, Wait};

/// Resolves when an accepted message is stored or has failed.
///
/// Every receipt resolves: at the latest when `timeouts.delivery` has passed, or the context that the message
/// was accepted with has reached its deadline. Dropping a receipt cancels nothing: the message is sent all the
/// same. A failed message comes back with its error ([`Error::into_message`](crate::Error::into_message)).
///
/// # Cancel safety
///
/// Awaiting a receipt by reference (`(&mut receipt).await`) can be cancelled and resumed.
#[must_use = "a message may fail; await its receipt, or say `drop(receipt)` where that does not matter"]
pub struct Receipt {
    pub(crate) batch: Arc<Completion>,
    pub(crate) accepted: Accepted,
}

impl Receipt {
    pub(crate) fn new(batch: Arc<Completion>, accepted: Accepted) -> Self {
        Self { batch, accepted }
    }

    /// The topic that the message goes to.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.batch.topic
    }

    /// The partition that the message goes to.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.batch.partition
    }

    /// What the message waits for at the moment; `None` once it is stored or has failed.
    ///
    /// Takes a few locks: meant for diagnostics, not for each message.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(receipt: rskafka_producer::Receipt) -> rskafka_producer::Result<()> {
    /// use std::time::Duration;
    ///
    /// let mut receipt = receipt;
    /// let delivery = loop {
    ///     match tokio::time::timeout(Duration::from_secs(5), &mut receipt).await {
    ///         Ok(result) => break result?,
    ///         Err(_) => {
    ///             if let Some(wait) = receipt.waiting_for() {
    ///                 eprintln!("still waiting: {wait}");
    ///             }
    ///         }
    ///     }
    /// };
    /// # _ = delivery;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn waiting_for(&self) -> Option<Wait> {
        self.batch.waiting_for(self.accepted.index)
    }
}

impl Future for Receipt {
    type Output = Result<Delivery>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut polled = self.batch.poll(self.accepted.index, cx.waker());
        if polled.is_pending() && !self.batch.attend() {
            polled = self.batch.poll(self.accepted.index, cx.waker());
        }
        polled.map_ok(|stored| Delivery::new(&self.batch, self.accepted, stored))
    }
}

impl Drop for Receipt {
    #[inline]
    fn drop(&mut self) {
        self.batch.forget(self.accepted.index);
    }
}

debug_as!(receipt: Receipt { topic: receipt.topic(), partition: receipt.partition(), .. });
