//! A producer for one topic.

use std::sync::Arc;

use super::Producer;
use super::accept::To;
use super::send::handed_over;
use crate::accumulator::{Delivery, Receipt, Receipts};
use crate::context::Context;
use crate::error::Result;
use crate::error::callback::Kept;
use crate::message::Message;
use crate::metadata::Bound;

/// A producer for one topic: messages need not name it, and it is looked up only when the cluster's metadata changes.
///
/// Made by [`Producer::topic`]. It shares everything with the producer that it was made from, which flushes and closes it. Clones
/// are cheap; threads that send to the same topic should have one each, so that they do not share its lock.
///
/// Each call does what the call of the same name does on [`Producer`]. A message that names another topic is rejected
/// (`InvalidMessage`).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use rskafka_producer::{Context, Message, Producer};
///
/// # async fn example(producer: Producer) -> rskafka_producer::Result<()> {
/// let ctx = Context::timeout(Duration::from_secs(30));
/// let readings = producer.topic("readings");
/// for number in 0..1_000 {
///     drop(readings.enqueue(&ctx, Message::new(number.to_string())).await?);
/// }
/// producer.flush(&ctx).await
/// # }
/// ```
#[derive(Clone)]
pub struct TopicProducer {
    producer: Producer,
    topic: Bound,
}

impl Producer {
    /// Returns a producer for one topic, which costs less for each message and spares it the topic's name.
    ///
    /// Does not look whether the topic exists: the first message does, as with any topic.
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::{Context, Message, Producer};
    ///
    /// # async fn example(producer: Producer) -> rskafka_producer::Result<()> {
    /// let orders = producer.topic("orders");
    /// let delivery = orders.send(&Context::background(), Message::new("paid").key("order-42")).await?;
    /// assert_eq!(delivery.topic(), "orders");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn topic(&self, name: impl Into<Arc<str>>) -> TopicProducer {
        TopicProducer { producer: self.clone(), topic: Bound::new(name.into()) }
    }
}

impl TopicProducer {
    /// The topic's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.topic.name
    }

    /// As [`Producer::send_message`].
    ///
    /// # Errors
    ///
    /// As [`Producer::send`].
    ///
    /// # Cancel safety
    ///
    /// As [`Producer::send`].
    pub async fn send_message(
        &self,
        ctx: &Context,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<Delivery> {
        self.send(ctx, Message::copy_of(value).key_copy(key)).await
    }

    /// As [`Producer::send`].
    ///
    /// # Errors
    ///
    /// As [`Producer::send`]; `InvalidMessage` if the message names another topic.
    ///
    /// # Cancel safety
    ///
    /// As [`Producer::send`].
    pub async fn send(&self, ctx: &Context, message: Message) -> Result<Delivery> {
        self.producer.core().send(self.to(), ctx, message).await
    }

    /// As [`Producer::enqueue`].
    ///
    /// # Errors
    ///
    /// As [`Producer::enqueue`]; `InvalidMessage` if the message names another topic.
    ///
    /// # Cancel safety
    ///
    /// As [`Producer::enqueue`].
    pub async fn enqueue(&self, ctx: &Context, message: Message) -> Result<Receipt> {
        let mut message = Kept::new(message);
        let accepted = self.producer.core().enqueue(self.to(), ctx, &mut message).await;
        handed_over(accepted, message)
    }

    /// As [`Producer::try_enqueue`].
    ///
    /// # Errors
    ///
    /// As [`Producer::try_enqueue`]; `InvalidMessage` if the message names another topic.
    pub fn try_enqueue(&self, message: Message) -> Result<Receipt> {
        self.producer.core().try_enqueue(self.to(), message)
    }

    /// As [`Producer::send_all`].
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send), one for each message that was not stored.
    ///
    /// # Cancel safety
    ///
    /// As [`Producer::send_all`].
    pub async fn send_all(
        &self,
        ctx: &Context,
        messages: impl IntoIterator<Item = Message>,
    ) -> Vec<Result<Delivery>> {
        self.producer.core().send_all(self.to(), ctx, messages).await
    }

    /// As [`Producer::enqueue_all`].
    ///
    /// # Errors
    ///
    /// Those of [`enqueue`](Self::enqueue), one for each message that was not accepted.
    ///
    /// # Cancel safety
    ///
    /// As [`Producer::enqueue_all`].
    pub async fn enqueue_all(&self, ctx: &Context, messages: impl IntoIterator<Item = Message>) -> Receipts {
        self.producer.core().enqueue_all(self.to(), ctx, messages).await
    }

    fn to(&self) -> To<'_> {
        To::Topic(&self.topic)
    }
}

debug_as!(topic: TopicProducer { name: topic.name(), .. });
