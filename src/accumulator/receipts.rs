//! The receipts of messages that were handed over together.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::delivery::Delivery;
use super::receipt::Receipt;
use crate::error::{Error, Result, Wait};

/// The receipts of [`enqueue_all`](crate::Producer::enqueue_all): one for each message, in the order of the messages.
///
/// Awaited, it resolves once every message is stored or has failed, to one [`Result`] for each. Iterated over, it yields
/// the single [`Receipt`]s, and the errors of messages that were not accepted. Dropping it cancels nothing.
///
/// # Cancel safety
///
/// Awaiting it by reference (`(&mut receipts).await`) can be cancelled and resumed.
///
/// # Examples
///
/// ```
/// use rskafka_producer::{Context, Message, Producer};
///
/// # async fn example(producer: Producer) -> rskafka_producer::Result<()> {
/// let messages = (0..1_000).map(|number| Message::new(number.to_string()).to("numbers"));
/// let receipts = producer.enqueue_all(&Context::background(), messages).await;
/// for (place, error) in receipts.rejected() {
///     eprintln!("message {place} was not accepted: {error}");
/// }
/// let stored = receipts.await.iter().filter(|result| result.is_ok()).count();
/// println!("{stored} stored");
/// # Ok(())
/// # }
/// ```
#[must_use = "messages may fail; await the receipts, or say `drop(receipts)` where that does not matter"]
#[derive(Default)]
pub struct Receipts {
    each: Vec<Result<Receipt>>,
    /// The outcomes of the first of them.
    settled: Vec<Result<Delivery>>,
}

impl Receipts {
    pub(crate) fn push(&mut self, result: Result<Receipt>) {
        self.each.push(result);
    }

    pub(crate) fn reserve(&mut self, messages: usize) {
        self.each.reserve(messages);
    }

    /// How many messages there are, accepted or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.each.len()
    }

    /// Whether there are no messages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// The messages that were not accepted: their places, counted from 0, and the errors.
    pub fn rejected(&self) -> impl Iterator<Item = (usize, &Error)> {
        let each = self.each.iter().enumerate();
        each.filter_map(|(place, result)| result.as_ref().err().map(|error| (place, error)))
    }

    /// What the first message that is neither stored nor failed waits for; `None` once there is no such message.
    ///
    /// Takes a few locks: meant for diagnostics.
    #[must_use]
    pub fn waiting_for(&self) -> Option<Wait> {
        self.each.iter().flatten().find_map(Receipt::waiting_for)
    }
}

impl Future for Receipts {
    type Output = Vec<Result<Delivery>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { each, settled } = &mut *self;
        settled.reserve(each.len() - settled.len());
        // One waker at a time: most messages of a batch are settled together.
        while let Some(next) = each.get_mut(settled.len()) {
            settled.push(match next {
                Ok(receipt) => match Pin::new(receipt).poll(cx) {
                    Poll::Ready(result) => result,
                    Poll::Pending => return Poll::Pending,
                },
                Err(error) => Err(error.clone()),
            });
        }
        each.clear();
        Poll::Ready(std::mem::take(settled))
    }
}

impl IntoIterator for Receipts {
    type Item = Result<Receipt>;
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.each.into_iter()
    }
}

debug_as!(receipts: Receipts { messages: receipts.len(), rejected: receipts.rejected().count(), .. });
