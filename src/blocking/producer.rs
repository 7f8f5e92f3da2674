//! The handle: creating it, sending, flushing and closing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::receipt::{Receipt, Receipts};
use super::thread::Thread;
use super::wait::Waiter;
use crate::accumulator::{self, Delivery};
use crate::config::ProducerConfig;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::message::Message;
use crate::producer;

/// A Kafka producer whose calls block: a handle that is cheap to clone and safe to share between threads.
///
/// Clones share everything: one thread, its connections, buffer and counters. Call [`close`](Self::close) before the last one is
/// dropped. Messages left behind without it are still delivered in the background, as long as `timeouts.delivery` allows, but
/// only a log event reports those that could not be delivered; and a process that ends does not wait for that.
///
/// Each call does what the call of the same name does on the async [`Producer`](crate::Producer), and blocks the calling
/// thread for as long as that one would be awaited.
///
/// # Examples
///
/// A producer in a `static`, connected by its first message:
///
/// ```no_run
/// use std::sync::LazyLock;
/// use std::time::Duration;
/// use rskafka_producer::blocking::Producer;
/// use rskafka_producer::{Context, ProducerConfig};
///
/// static PRODUCER: LazyLock<Producer> = LazyLock::new(|| {
///     Producer::new(ProducerConfig::new(["kafka-1:9092"]).topic("events")).expect("a valid configuration")
/// });
///
/// fn main() -> rskafka_producer::Result<()> {
///     let ctx = Context::timeout(Duration::from_secs(30));
///     PRODUCER.send_message(&ctx, "order-42", "paid")?;
///     PRODUCER.close(&ctx)
/// }
/// ```
#[derive(Clone)]
pub struct Producer {
    shared: Arc<Shared>,
}

/// What the clones share; its end is the end of the last of them.
struct Shared {
    producer: producer::Producer,
    thread: Thread,
    waiter: Waiter,
}

impl Producer {
    /// Creates a producer without any I/O: it connects when it is first used. Starts its thread.
    ///
    /// # Errors
    ///
    /// `KAFKA_INVALID_CONFIG` naming every invalid setting, as [`ProducerConfig::validate`] does, or if
    /// [`ProducerConfig::runtime`] is set: a blocking producer brings its runtime. `Internal` if the system starts no
    /// thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::ProducerConfig;
    /// use rskafka_producer::blocking::Producer;
    ///
    /// let producer = Producer::new(ProducerConfig::new(["kafka-1:9092"]).topic("events"))?;
    /// # Ok::<(), rskafka_producer::Error>(())
    /// ```
    pub fn new(mut config: ProducerConfig) -> Result<Self> {
        config.validate()?;
        if config.runtime.is_some() {
            let text =
                "ProducerConfig::runtime is set, but a blocking producer brings its runtime: leave it unset";
            return Err(Error::new(ErrorKind::InvalidConfig, text));
        }
        let thread = Thread::start()?;
        config.runtime = Some(thread.runtime.clone());
        let producer = producer::Producer::new(config)?;
        let core = producer.core().clone();
        core.sends_aside.store(true, Ordering::Relaxed);
        let waiter = Waiter::new(core, thread.runtime.clone());
        Ok(Self { shared: Arc::new(Shared { producer, thread, waiter }) })
    }

    /// Creates a producer and waits until it is connected, authenticated, and has the metadata of its default topic.
    ///
    /// As [`Producer::connect`](crate::Producer::connect).
    ///
    /// # Errors
    ///
    /// `KAFKA_INVALID_CONFIG` if a setting is invalid, the credentials are refused or the default topic does not exist;
    /// `KAFKA_BROKERS_UNAVAILABLE` if no broker can be reached in time; those of [`new`](Self::new).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use rskafka_producer::blocking::Producer;
    /// use rskafka_producer::{Context, ProducerConfig};
    ///
    /// let config = ProducerConfig::new(["kafka-1:9092", "kafka-2:9092"]).topic("events");
    /// let producer = Producer::connect(&Context::timeout(Duration::from_secs(10)), config)?;
    /// # Ok::<(), rskafka_producer::Error>(())
    /// ```
    pub fn connect(ctx: &Context, config: ProducerConfig) -> Result<Self> {
        let producer = Self::new(config)?;
        producer.waiter().wait(ctx, producer.asynchronous().connected(ctx))?;
        Ok(producer)
    }

    /// Sends a key and a value to the default topic and waits until they are stored.
    ///
    /// Copies both, so that they may be borrowed. [`send`](Self::send) takes `Bytes` without a copy.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::Context;
    /// use rskafka_producer::blocking::Producer;
    ///
    /// # fn example(producer: Producer) -> rskafka_producer::Result<()> {
    /// let ctx = Context::timeout(Duration::from_secs(5));
    /// let delivery = producer.send_message(&ctx, "order-42", "paid")?;
    /// println!("stored in partition {}", delivery.partition());
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_message(
        &self,
        ctx: &Context,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<Delivery> {
        self.waiter().wait(ctx, self.asynchronous().send_message(ctx, key, value))
    }

    /// Sends a message and waits until it is stored.
    ///
    /// # Errors
    ///
    /// As [`Producer::send`](crate::Producer::send): the message is handed back, and its fate says whether it may be stored
    /// nevertheless.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::blocking::Producer;
    /// use rskafka_producer::{Context, Fate, Message};
    ///
    /// # fn example(producer: Producer) -> rskafka_producer::Result<()> {
    /// let ctx = Context::timeout(Duration::from_secs(5));
    /// match producer.send(&ctx, Message::new("paid").key("order-42").to("orders")) {
    ///     Ok(delivery) => println!("{}/{}", delivery.topic(), delivery.partition()),
    ///     // Sending it again cannot duplicate it.
    ///     Err(error) if error.fate() == Fate::NotPersisted => eprintln!("not stored: {error}"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn send(&self, ctx: &Context, message: Message) -> Result<Delivery> {
        self.waiter().wait(ctx, self.asynchronous().send(ctx, message))
    }

    /// Hands over a message and returns once it is accepted; [`Receipt::wait`] returns when it is stored.
    ///
    /// Waits for buffer space, and for the metadata of a topic that was not used before, for at most `buffer.max_wait`. A
    /// deadline of `ctx` is also the message's: its receipt resolves by then. Cancelling `ctx` only ends the wait here.
    ///
    /// # Errors
    ///
    /// As [`Producer::enqueue`](crate::Producer::enqueue): the message was not accepted, is `NotPersisted` and handed back.
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::blocking::Producer;
    /// use rskafka_producer::{Context, Message};
    ///
    /// # fn example(producer: Producer) -> rskafka_producer::Result<()> {
    /// let mut receipts = Vec::new();
    /// for number in 0..1_000 {
    ///     receipts.push(producer.enqueue(&Context::background(), Message::new(number.to_string()).to("numbers"))?);
    /// }
    /// for receipt in receipts {
    ///     receipt.wait()?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn enqueue(&self, ctx: &Context, message: Message) -> Result<Receipt> {
        let accepted = self.waiter().wait(ctx, self.asynchronous().enqueue(ctx, message));
        accepted.map(|receipt| self.receipt(receipt))
    }

    /// Hands over a message if that is possible without blocking.
    ///
    /// If the topic's metadata is not cached, starts fetching it and returns `UnknownTopic` with a `retry_after`.
    ///
    /// # Errors
    ///
    /// As [`enqueue`](Self::enqueue); `BufferFull` if there is no buffer space. The message is handed back.
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::blocking::Producer;
    /// use rskafka_producer::Message;
    ///
    /// # fn example(producer: Producer) {
    /// if let Err(error) = producer.try_enqueue(Message::new("reading").to("sensors")) {
    ///     eprintln!("dropped: {error}");
    /// }
    /// # }
    /// ```
    pub fn try_enqueue(&self, message: Message) -> Result<Receipt> {
        self.asynchronous().try_enqueue(message).map(|receipt| self.receipt(receipt))
    }

    /// Sends messages and waits until each is stored or has failed. The results are in the order of the messages.
    ///
    /// As [`Producer::send_all`](crate::Producer::send_all).
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send), one for each message that was not stored.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::blocking::Producer;
    /// use rskafka_producer::{Context, Message};
    ///
    /// # fn example(producer: Producer, lines: Vec<String>) {
    /// let ctx = Context::timeout(Duration::from_secs(30));
    /// let messages = lines.into_iter().map(|line| Message::new(line).to("lines"));
    /// for error in producer.send_all(&ctx, messages).into_iter().filter_map(Result::err) {
    ///     eprintln!("{error}");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn send_all(
        &self,
        ctx: &Context,
        messages: impl IntoIterator<Item = Message>,
    ) -> Vec<Result<Delivery>> {
        self.waiter().wait(ctx, self.asynchronous().send_all(ctx, messages))
    }

    /// Hands over messages and returns once each is accepted or rejected.
    ///
    /// As [`Producer::enqueue_all`](crate::Producer::enqueue_all).
    ///
    /// # Errors
    ///
    /// Those of [`enqueue`](Self::enqueue), one for each message that was not accepted.
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
    /// // Other work.
    /// for result in receipts.wait() {
    ///     result?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn enqueue_all(&self, ctx: &Context, messages: impl IntoIterator<Item = Message>) -> Receipts {
        let receipts = self.waiter().wait(ctx, self.asynchronous().enqueue_all(ctx, messages));
        Receipts::new(receipts, self.waiter().clone())
    }

    /// Waits until every message that was accepted before this call is stored or has failed, as its receipt reports.
    /// Lingering batches are sent at once.
    ///
    /// # Errors
    ///
    /// `DeadlineExceeded` or `Cancelled` when `ctx` ends first. The messages are not affected.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::Context;
    /// use rskafka_producer::blocking::Producer;
    ///
    /// # fn example(producer: Producer) -> rskafka_producer::Result<()> {
    /// producer.flush(&Context::timeout(Duration::from_secs(10)))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn flush(&self, ctx: &Context) -> Result<()> {
        self.waiter().wait(ctx, self.asynchronous().flush(ctx))
    }

    /// Refuses new messages, delivers those that were accepted, and closes all connections.
    ///
    /// As [`Producer::close`](crate::Producer::close). The thread ends with the last handle.
    ///
    /// # Errors
    ///
    /// `DeadlineExceeded` or `Cancelled`, with the number of messages that failed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::Context;
    /// use rskafka_producer::blocking::Producer;
    ///
    /// # fn example(producer: Producer) {
    /// if let Err(error) = producer.close(&Context::timeout(Duration::from_secs(10))) {
    ///     eprintln!("not everything was delivered: {error}");
    /// }
    /// # }
    /// ```
    pub fn close(&self, ctx: &Context) -> Result<()> {
        self.waiter().wait(ctx, self.asynchronous().close(ctx))
    }

    /// Makes the thread panic, for tests of this crate.
    #[doc(hidden)]
    pub fn panic_thread(&self) {
        self.shared.thread.panic();
    }

    pub(super) fn asynchronous(&self) -> &producer::Producer {
        &self.shared.producer
    }

    pub(super) fn waiter(&self) -> &Waiter {
        &self.shared.waiter
    }

    pub(super) fn receipt(&self, receipt: accumulator::Receipt) -> Receipt {
        Receipt::new(receipt, self.waiter().clone())
    }
}

/// The last handle is gone: what was accepted is still delivered, by the thread, which ends then.
impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(delivering) = self.producer.core().left_behind() {
            self.thread.finish(delivering);
        }
    }
}

debug_as!(producer: Producer { config: producer.asynchronous().core().config, .. });
