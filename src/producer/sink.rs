//! A producer as the end of a stream.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};

use futures_sink::Sink;

use super::Producer;
use super::accept::{Offer, To};
use super::send::handed_over;
use crate::accumulator::Receipt;
use crate::context::Context;
use crate::error::callback::Kept;
use crate::error::{Error, Result};
use crate::message::Message;

type Accepting = Pin<Box<dyn Future<Output = Result<Receipt>> + Send>>;

/// A [`Sink`] of messages: the end of a stream, as [`StreamExt::forward`] takes it. Made by [`Producer::sink`].
///
/// It is ready when the message before was accepted, and so waits for buffer space. Flushing and closing it wait until every
/// message that went into it is stored; neither closes the producer. If a message fails, the next call on the sink returns its
/// error, with the message in it; the sink can be used further.
///
/// [`StreamExt::forward`]: https://docs.rs/futures/latest/futures/stream/trait.StreamExt.html#method.forward
///
/// # Cancel safety
///
/// A future of `SinkExt` that is dropped loses nothing: what went into the sink stays in it. Dropping the sink leaves what was
/// accepted to be sent; a message that waits for space is not sent.
pub struct ProducerSink {
    producer: Producer,
    accepting: Option<Accepting>,
    accepted: VecDeque<Receipt>,
    flushing: bool,
}

impl Producer {
    /// Returns a [`Sink`] of messages.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_util::{StreamExt, stream};
    /// use rskafka_producer::{Message, Producer};
    ///
    /// # async fn example(producer: Producer) -> rskafka_producer::Result<()> {
    /// let messages = stream::iter(0..1_000).map(|number| Message::new(number.to_string()).to("numbers"));
    /// messages.map(Ok).forward(producer.sink()).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sink(&self) -> ProducerSink {
        ProducerSink { producer: self.clone(), accepting: None, accepted: VecDeque::new(), flushing: false }
    }
}

impl ProducerSink {
    /// Waits until the last message is accepted.
    fn poll_accepted(&mut self, task: &mut Task<'_>) -> Poll<Result<()>> {
        if let Some(accepting) = &mut self.accepting {
            let accepted = ready!(accepting.as_mut().poll(task));
            self.accepting = None;
            self.accepted.push_back(accepted?);
        }
        Poll::Ready(Ok(()))
    }

    /// Takes what is settled from the front.
    fn poll_settled(&mut self, task: &mut Task<'_>) -> Poll<Result<()>> {
        while let Some(receipt) = self.accepted.front_mut() {
            let settled = ready!(Pin::new(receipt).poll(task));
            self.accepted.pop_front();
            settled?;
        }
        Poll::Ready(Ok(()))
    }
}

impl Sink<Message> for ProducerSink {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Result<()>> {
        if self.producer.core().sender_should_run() {
            task.waker().wake_by_ref();
            return Poll::Pending;
        }
        ready!(self.poll_accepted(task))?;
        // What is not settled yet holds up no message.
        match self.poll_settled(task) {
            Poll::Ready(settled) => Poll::Ready(settled),
            Poll::Pending => Poll::Ready(Ok(())),
        }
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<()> {
        let mut message = Kept::new(message);
        self.flushing = false;
        let core = self.producer.core().clone();
        if let Err(error) = core.trace(&mut message) {
            return Err(error.with_message(message.hand_back()));
        }
        match core.offer(To::Named, &message, None, None) {
            Ok(Offer::Accepted(receipt)) => self.accepted.push_back(handed_over(Ok(receipt), message)?),
            Ok(waiting) => {
                self.accepting = Some(Box::pin(async move {
                    let (ctx, limit) = (Context::background(), core.config.buffer.max_wait);
                    let slowly = core.enqueue_slowly(&ctx, To::Named, &message, waiting, limit);
                    handed_over(slowly.await, message)
                }));
            }
            Err(error) => return Err(error.with_message(message.hand_back())),
        }
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Result<()>> {
        ready!(self.poll_accepted(task))?;
        if !std::mem::replace(&mut self.flushing, true) {
            // Nothing lingers.
            drop(self.producer.core().seal());
        }
        let settled = ready!(self.poll_settled(task));
        self.flushing = settled.is_err();
        Poll::Ready(settled)
    }

    fn poll_close(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Result<()>> {
        self.poll_flush(task)
    }
}

debug_as!(sink: ProducerSink { unsettled: sink.accepted.len(), .. });
