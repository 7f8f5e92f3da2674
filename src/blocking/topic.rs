//! A blocking producer for one topic.

use std::sync::Arc;

use super::producer::Producer;
use super::receipt::{Receipt, Receipts};
use crate::accumulator::Delivery;
use crate::context::Context;
use crate::error::Result;
use crate::message::Message;
use crate::producer;

/// A blocking producer for one topic: messages need not name it. Made by [`Producer::topic`].
///
/// Each call does what the call of the same name does on [`Producer`], with which it shares everything. A message that names
/// another topic is rejected (`InvalidMessage`). Clones are cheap; threads that send to the same topic should have one
/// each, so that they do not share its lock.
#[derive(Clone, Debug)]
pub struct TopicProducer {
    producer: Producer,
    topic: producer::TopicProducer,
}

impl Producer {
    /// Returns a producer for one topic, which costs less for each message and spares it the topic's name.
    ///
    /// Does not look whether the topic exists: the first message does, as with any topic.
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::blocking::Producer;
    /// use rskafka_producer::{Context, Message};
    ///
    /// # fn example(producer: Producer) -> rskafka_producer::Result<()> {
    /// let orders = producer.topic("orders");
    /// let delivery = orders.send(&Context::background(), Message::new("paid").key("order-42"))?;
    /// assert_eq!(delivery.topic(), "orders");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn topic(&self, name: impl Into<Arc<str>>) -> TopicProducer {
        TopicProducer { producer: self.clone(), topic: self.asynchronous().topic(name) }
    }
}

impl TopicProducer {
    /// The topic's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.topic.name()
    }

    /// As [`Producer::send_message`].
    ///
    /// # Errors
    ///
    /// As [`Producer::send`].
    pub fn send_message(
        &self,
        ctx: &Context,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<Delivery> {
        self.producer.waiter().wait(ctx, self.topic.send_message(ctx, key, value))
    }

    /// As [`Producer::send`].
    ///
    /// # Errors
    ///
    /// As [`Producer::send`]; `InvalidMessage` if the message names another topic.
    pub fn send(&self, ctx: &Context, message: Message) -> Result<Delivery> {
        self.producer.waiter().wait(ctx, self.topic.send(ctx, message))
    }

    /// As [`Producer::enqueue`].
    ///
    /// # Errors
    ///
    /// As [`Producer::enqueue`]; `InvalidMessage` if the message names another topic.
    pub fn enqueue(&self, ctx: &Context, message: Message) -> Result<Receipt> {
        let accepted = self.producer.waiter().wait(ctx, self.topic.enqueue(ctx, message));
        accepted.map(|receipt| self.producer.receipt(receipt))
    }

    /// As [`Producer::try_enqueue`].
    ///
    /// # Errors
    ///
    /// As [`Producer::try_enqueue`]; `InvalidMessage` if the message names another topic.
    pub fn try_enqueue(&self, message: Message) -> Result<Receipt> {
        self.topic.try_enqueue(message).map(|receipt| self.producer.receipt(receipt))
    }

    /// As [`Producer::send_all`].
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send), one for each message that was not stored.
    #[must_use]
    pub fn send_all(
        &self,
        ctx: &Context,
        messages: impl IntoIterator<Item = Message>,
    ) -> Vec<Result<Delivery>> {
        self.producer.waiter().wait(ctx, self.topic.send_all(ctx, messages))
    }

    /// As [`Producer::enqueue_all`].
    ///
    /// # Errors
    ///
    /// Those of [`enqueue`](Self::enqueue), one for each message that was not accepted.
    pub fn enqueue_all(&self, ctx: &Context, messages: impl IntoIterator<Item = Message>) -> Receipts {
        let receipts = self.producer.waiter().wait(ctx, self.topic.enqueue_all(ctx, messages));
        Receipts::new(receipts, self.producer.waiter().clone())
    }
}
