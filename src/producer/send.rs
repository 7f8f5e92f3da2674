//! The ways to send a message.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::task::yield_now;
use tokio::time::Instant;

use super::Producer;
use super::accept::{Offer, To};
use crate::accumulator::{Delivery, Receipt};
use crate::clock;
use crate::context::{Context, Ended};
use crate::core::{Core, ended_error, why};
use crate::error::callback::Kept;
use crate::error::{Error, ErrorKind, Fate, Result};
use crate::message::Message;
use crate::sender::waiting;
use crate::telemetry::Operation;

impl Producer {
    /// Sends a key and a value to the default topic and waits until they are stored.
    ///
    /// Copies both, so that they may be borrowed. [`send`](Self::send) takes `Bytes` without a copy.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::{Context, Producer};
    ///
    /// # async fn example(producer: Producer) -> rskafka_producer::Result<()> {
    /// let order = String::from("order-42");
    /// let ctx = Context::timeout(Duration::from_secs(5));
    /// let delivery = producer.send_message(&ctx, &order, "paid").await?;
    /// println!("stored in partition {}", delivery.partition());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send_message(
        &self,
        ctx: &Context,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<Delivery> {
        self.send(ctx, Message::copy_of(value).key_copy(key)).await
    }

    /// Sends a message and waits until it is stored.
    ///
    /// # Errors
    ///
    /// `KAFKA_SEND_FAILED`, or `KAFKA_BROKERS_UNAVAILABLE` if no broker could be reached. [`kind`](Error::kind) is the cause,
    /// [`fate`](Error::fate) whether the message may be stored nevertheless, and [`into_message`](Error::into_message) returns
    /// it. When `ctx` ends, a message that has not been sent is withdrawn (`NotPersisted`); one that has been sent is left in
    /// flight (`PossiblyPersisted`).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the message was accepted, nothing is sent; afterwards it is sent nevertheless. To
    /// withdraw a message, cancel `ctx` instead.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::{Context, Fate, Message, Producer};
    ///
    /// # async fn example(producer: Producer) -> rskafka_producer::Result<()> {
    /// let ctx = Context::timeout(Duration::from_secs(5));
    /// let message = Message::new("paid").key("order-42").to("orders").header("source", "checkout");
    /// match producer.send(&ctx, message).await {
    ///     Ok(delivery) => println!("{}/{}", delivery.topic(), delivery.partition()),
    ///     // Sending it again cannot duplicate it.
    ///     Err(error) if error.fate() == Fate::NotPersisted => eprintln!("not stored: {error}"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send(&self, ctx: &Context, message: Message) -> Result<Delivery> {
        self.core().send(To::Named, ctx, message).await
    }

    /// Hands over a message and returns once it is accepted; the [`Receipt`] resolves when it is stored.
    ///
    /// Waits for buffer space, and for the metadata of a topic that was not used before, for at most `buffer.max_wait`. A
    /// deadline of `ctx` is also the message's: its receipt resolves by then. Cancelling `ctx` only ends the wait here.
    ///
    /// # Errors
    ///
    /// The message was not accepted, is `NotPersisted` and handed back: `kind` is one of `NoTopic`, `InvalidTopic`,
    /// `UnknownTopic`, `UnknownPartition`, `MessageTooLarge`, `InvalidMessage`, `BufferFull`, `CircuitOpen`,
    /// `DeadlineExceeded`, `Cancelled`, `Closed`, or why metadata could not be fetched.
    ///
    /// # Cancel safety
    ///
    /// If the future does not resolve, the message was not accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::{Context, Message, Producer};
    ///
    /// # async fn example(producer: Producer) -> rskafka_producer::Result<()> {
    /// let ctx = Context::timeout(Duration::from_secs(30));
    /// let mut receipts = Vec::new();
    /// for number in 0..1_000 {
    ///     receipts.push(producer.enqueue(&ctx, Message::new(number.to_string()).to("numbers")).await?);
    /// }
    /// for receipt in receipts {
    ///     receipt.await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn enqueue(&self, ctx: &Context, message: Message) -> Result<Receipt> {
        let mut message = Kept::new(message);
        let accepted = self.core().enqueue(To::Named, ctx, &mut message).await;
        handed_over(accepted, message)
    }

    /// Hands over a message if that is possible without waiting.
    ///
    /// If the topic's metadata is not cached, starts fetching it and returns `UnknownTopic` with a `retry_after`. The
    /// default topic's is cached after [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// As [`enqueue`](Self::enqueue); `BufferFull` if there is no buffer space. The message is handed back.
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::{ErrorKind, Message, Producer};
    ///
    /// # async fn example(producer: Producer) {
    /// match producer.try_enqueue(Message::new("reading").to("sensors")) {
    ///     Ok(receipt) => drop(receipt),
    ///     Err(error) if error.kind() == ErrorKind::BufferFull => eprintln!("dropped: {error}"),
    ///     Err(error) => eprintln!("{error}"),
    /// }
    /// # }
    /// ```
    pub fn try_enqueue(&self, message: Message) -> Result<Receipt> {
        self.core().try_enqueue(To::Named, message)
    }
}

/// A round trip to a broker, generously.
const ASK_AGAIN: std::time::Duration = std::time::Duration::from_millis(50);

impl Core {
    pub(super) async fn send(
        self: &Arc<Self>,
        to: To<'_>,
        ctx: &Context,
        message: Message,
    ) -> Result<Delivery> {
        let started = Instant::now();
        let mut message = Kept::new(message);
        let result = match self.trace(&mut message) {
            Ok(()) => self.deliver(to, ctx, message).await,
            Err(error) => Err(error.with_message(message.hand_back())),
        };
        if result.is_err() || self.log.sends_are_heard() {
            self.log.operation(Operation::Send, started.elapsed(), result.as_ref().map(drop));
        }
        result
    }

    #[inline]
    pub(super) async fn enqueue(
        self: &Arc<Self>,
        to: To<'_>,
        ctx: &Context,
        message: &mut Message,
    ) -> Result<Receipt> {
        if self.sender_should_run() {
            // Before anything is accepted: a future that is dropped here has done nothing.
            yield_now().await;
        }
        self.trace(message)?;
        match self.offer(to, message, ctx.deadline(), None)? {
            Offer::Accepted(receipt) => Ok(receipt),
            waiting => self.enqueue_slowly(ctx, to, message, waiting, self.config.buffer.max_wait).await,
        }
    }

    pub(super) fn try_enqueue(self: &Arc<Self>, to: To<'_>, message: Message) -> Result<Receipt> {
        let mut message = Kept::new(message);
        if let Err(error) = self.trace(&mut message) {
            return Err(error.with_message(message.hand_back()));
        }
        let error = match self.offer(to, &message, None, None) {
            Ok(Offer::Accepted(receipt)) => return Ok(receipt),
            Ok(Offer::NoRoom(topic, bytes)) => self.no_room(&topic, bytes),
            Ok(Offer::UnknownTopic(topic)) => {
                self.ask_for(topic.clone());
                let problem = format!(
                    "topic {topic:?} was not used before, and its metadata is being fetched: try again soon"
                );
                Error::new(ErrorKind::UnknownTopic, problem)
                    .with_topic(topic)
                    .with_retry_after(Some(ASK_AGAIN))
            }
            Err(error) => error,
        };
        Err(error.with_message(message.hand_back()))
    }

    /// A batch became full.
    #[cold]
    pub(super) fn sealed(&self) {
        if !self.sends_aside.load(Ordering::Relaxed) {
            self.batch_full.store(true, Ordering::Relaxed);
        }
        clock::accepted(|| self.stats.total_accepted());
    }

    /// Whether a batch became full since a caller last made way for the sender.
    #[inline]
    pub(super) fn sender_should_run(&self) -> bool {
        self.batch_full.load(Ordering::Relaxed) && self.batch_full.swap(false, Ordering::Relaxed)
    }

    /// Gives the message the headers of the current trace, where that is wanted.
    #[inline]
    pub(super) fn trace(&self, message: &mut Message) -> Result<()> {
        match &self.config.telemetry.propagator {
            Some(propagator) => propagator.inject(message),
            None => Ok(()),
        }
    }

    async fn deliver(self: &Arc<Self>, to: To<'_>, ctx: &Context, message: Kept) -> Result<Delivery> {
        if let Some(ended) = ctx.ended() {
            return Err(not_sent(ended).with_message(message.hand_back()));
        }
        let accepted = match self.offer(to, &message, ctx.deadline(), None) {
            Ok(Offer::Accepted(receipt)) => Ok(receipt),
            Ok(waiting) => self.enqueue_slowly(ctx, to, &message, waiting, self.config.buffer.max_wait).await,
            Err(error) => Err(error),
        };
        let mut receipt = match accepted {
            Ok(receipt) => receipt,
            Err(error) => return Err(error.with_message(message.hand_back())),
        };
        if ctx.is_unbounded() {
            drop(message);
            return receipt.await;
        }
        // The message is kept to be handed back should the context end while it is in flight.
        match self.supervisor.bound(ctx, &mut receipt).await {
            Ok(result) => result.map_err(|error| as_deadline(error, ctx.ended())),
            Err(ended) => self.call_off(ended, receipt, message).await,
        }
    }

    /// The context ended: the outcome that there is already, or that of calling it off.
    pub(super) async fn settled_or_called_off(
        self: &Arc<Self>,
        ended: Ended,
        mut receipt: Receipt,
        message: Kept,
    ) -> Result<Delivery> {
        let settled = tokio::select! {
            biased;
            result = &mut receipt => Some(result),
            () = std::future::ready(()) => None,
        };
        match settled {
            Some(result) => result.map_err(|error| as_deadline(error, Some(ended))),
            None => self.call_off(ended, receipt, message).await,
        }
    }

    /// The context ended: withdraws the message if it has not left.
    async fn call_off(
        self: &Arc<Self>,
        ended: Ended,
        mut receipt: Receipt,
        message: Kept,
    ) -> Result<Delivery> {
        let partition = self.metadata.partition(receipt.topic(), receipt.partition());
        let now = Instant::now();
        let last = partition.as_ref().and_then(|p| p.queue(|queue| queue.last_error(&receipt.batch)));
        let error = ended_error(ended).with_cause(last);
        let wait = match &partition {
            Some(partition) => waiting::of(self, partition, now),
            None => waiting::of_any(self, now),
        };
        if let Some(partition) = &partition {
            let what = format!("the message was withdrawn ({})", why(ended));
            let withdrawn = wait.explain(&what, error.clone());
            if let Some(failed) = partition.withdraw(&receipt.batch, receipt.accepted.index, &withdrawn) {
                self.stats.failed(&partition.topic, failed, &withdrawn);
                return receipt.await;
            }
        }
        // It may have been settled in this very moment.
        tokio::select! {
            biased;
            result = &mut receipt => result.map_err(|error| as_deadline(error, Some(ended))),
            () = std::future::ready(()) => {
                let topic = receipt.batch.topic.clone();
                let what = format!("the message was sent, but not acknowledged ({})", why(ended));
                Err(wait.explain(&what, error)
                    .with_fate(Fate::PossiblyPersisted)
                    .with_topic(topic)
                    .with_partition(receipt.partition())
                    .with_attempts(1)
                    .with_message(message.hand_back()))
            }
        }
    }
}

/// Drops a message that was accepted; hands back one that was not.
#[inline]
pub(super) fn handed_over(accepted: Result<Receipt>, message: Kept) -> Result<Receipt> {
    accepted.map_err(|error| error.with_message(message.hand_back()))
}

/// The error of a message whose context had ended before it was sent.
pub(super) fn not_sent(ended: Ended) -> Error {
    ended_error(ended).with_text(match ended {
        Ended::Deadline => "the message was not sent: the deadline had passed before the call",
        Ended::Cancelled => "the message was not sent: the context was cancelled before the call",
    })
}

/// The error of a message that expired by its context's deadline says so.
pub(super) fn as_deadline(error: Error, ended: Option<Ended>) -> Error {
    match (error.kind(), ended) {
        (ErrorKind::DeliveryTimeout, Some(Ended::Deadline)) => error.with_kind(ErrorKind::DeadlineExceeded),
        _ => error,
    }
}
