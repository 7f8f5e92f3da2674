//! Many messages in one call: looked up, admitted and appended in runs, each with the outcome of a single call.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::Instant;

use super::Producer;
use super::accept::{Offer, To};
use super::send::{as_deadline, not_sent};
use crate::accumulator::{Arrival, Delivery, Receipt, Receipts};
use crate::clock::recently;
use crate::context::Context;
use crate::core::Core;
use crate::error::callback::Kept;
use crate::error::{Error, Result};
use crate::message::Message;
use crate::record::message_footprint;
use crate::telemetry::Operation;

/// Messages that are taken from the iterator, and appended, at a time: enough to share the cost of a lookup, few enough to stay
/// in the cache and to hold a partition's lock for some microseconds only.
const RUN: usize = 128;

impl Producer {
    /// Sends messages and waits until each is stored or has failed. The results are in the order of the messages.
    ///
    /// The same as [`send`](Self::send) for each of them at the same time, in order, at less cost: messages are looked up,
    /// admitted and appended in runs. One that is rejected or fails does not keep the others from being stored.
    ///
    /// The iterator is read as buffer space allows. If messages have waited for space for `buffer.max_wait` in vain, those
    /// that come after them are accepted only if that is possible without waiting.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send), one for each message that was not stored.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the messages that were accepted are sent nevertheless and the others are not; which ones is
    /// unknown. To withdraw what has not been sent, cancel `ctx` instead.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::{Context, Message, Producer};
    ///
    /// # async fn example(producer: Producer, lines: Vec<String>) -> rskafka_producer::Result<()> {
    /// let ctx = Context::timeout(Duration::from_secs(30));
    /// let messages = lines.into_iter().map(|line| Message::new(line).to("lines"));
    /// for (number, result) in producer.send_all(&ctx, messages).await.into_iter().enumerate() {
    ///     match result {
    ///         Ok(delivery) => println!("line {number}: offset {:?}", delivery.offset()),
    ///         Err(error) => eprintln!("line {number}: {error}"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send_all(
        &self,
        ctx: &Context,
        messages: impl IntoIterator<Item = Message>,
    ) -> Vec<Result<Delivery>> {
        self.core().send_all(To::Named, ctx, messages).await
    }

    /// Hands over messages and returns once each is accepted or rejected; the [`Receipts`] resolve when they are stored.
    ///
    /// The same as [`enqueue`](Self::enqueue) for each of them, in order, at less cost: messages are looked up, admitted
    /// and appended in runs. Those that are rejected (too large, no buffer space in time, …) are reported one by one;
    /// the others stay accepted, also those that came after them.
    ///
    /// The iterator is read as buffer space allows. If messages have waited for space for `buffer.max_wait` in vain, those
    /// that come after them are accepted only if that is possible without waiting.
    ///
    /// # Errors
    ///
    /// Those of [`enqueue`](Self::enqueue), one for each message that was not accepted.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the messages that were accepted by then are sent nevertheless and the others are not.
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::{Context, Message, Producer};
    ///
    /// # async fn example(producer: Producer) -> rskafka_producer::Result<()> {
    /// let messages = (0..1_000).map(|number| Message::new(number.to_string()).to("numbers"));
    /// let receipts = producer.enqueue_all(&Context::background(), messages).await;
    /// // Other work.
    /// for result in receipts.await {
    ///     result?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn enqueue_all(&self, ctx: &Context, messages: impl IntoIterator<Item = Message>) -> Receipts {
        self.core().enqueue_all(To::Named, ctx, messages).await
    }
}

impl Core {
    pub(super) async fn send_all(
        self: &Arc<Self>,
        to: To<'_>,
        ctx: &Context,
        messages: impl IntoIterator<Item = Message>,
    ) -> Vec<Result<Delivery>> {
        let started = Instant::now();
        let mut intake = Intake::new(self, to, ctx, true);
        // The messages are kept to be handed back should the context end while they are in flight.
        intake.kept = (!ctx.is_unbounded()).then(Vec::new);
        intake.take(messages).await;
        let Intake { mut receipts, kept, .. } = intake;
        let results = match kept {
            None => receipts.await,
            Some(kept) => match self.supervisor.bound(ctx, &mut receipts).await {
                Ok(results) => {
                    let results = results.into_iter();
                    results.map(|result| result.map_err(|e| as_deadline(e, ctx.ended()))).collect()
                }
                Err(ended) => {
                    let mut results = Vec::with_capacity(kept.len());
                    for (receipt, message) in receipts.into_iter().zip(kept) {
                        results.push(match receipt {
                            Ok(receipt) => self.settled_or_called_off(ended, receipt, message).await,
                            Err(error) => Err(error),
                        });
                    }
                    results
                }
            },
        };
        let heard = self.log.sends_are_heard();
        for result in results.iter().filter(|result| heard || result.is_err()) {
            self.log.operation(Operation::Send, started.elapsed(), result.as_ref().map(drop));
        }
        results
    }

    pub(super) async fn enqueue_all(
        self: &Arc<Self>,
        to: To<'_>,
        ctx: &Context,
        messages: impl IntoIterator<Item = Message>,
    ) -> Receipts {
        let mut intake = Intake::new(self, to, ctx, false);
        intake.take(messages).await;
        intake.receipts
    }
}

/// One call's messages on their way in.
struct Intake<'a> {
    core: &'a Arc<Core>,
    to: To<'a>,
    ctx: &'a Context,
    /// Whether the end of the context also ends what is not accepted yet.
    sends: bool,
    receipts: Receipts,
    /// The messages themselves, where they may have to be handed back.
    kept: Option<Vec<Kept>>,
    /// How long a message may wait to be accepted.
    patience: Duration,
    run: Run,
}

/// What is known of the messages of a run.
#[derive(Default)]
struct Run {
    footprints: Vec<usize>,
    /// Partition in the upper half, place in the run in the lower: sorted, each partition's messages are in order.
    routes: Vec<u64>,
    receipts: Vec<Option<Receipt>>,
    /// Why the next message was refused, if that is known.
    refused: Option<Error>,
}

impl<'a> Intake<'a> {
    fn new(core: &'a Arc<Core>, to: To<'a>, ctx: &'a Context, sends: bool) -> Self {
        Self {
            core,
            to,
            ctx,
            sends,
            receipts: Receipts::default(),
            kept: None,
            patience: core.config.buffer.max_wait,
            run: Run::default(),
        }
    }

    async fn take(&mut self, messages: impl IntoIterator<Item = Message>) {
        let mut messages = messages.into_iter();
        let (least, most) = messages.size_hint();
        self.receipts.reserve(least);
        let mut run = Vec::with_capacity(RUN.min(most.unwrap_or(RUN)));
        loop {
            let mut untraced = None;
            for message in messages.by_ref().take(RUN) {
                let mut message = Kept::new(message);
                match self.core.trace(&mut message) {
                    Ok(()) => run.push(message),
                    Err(error) => {
                        untraced = Some(error.with_message(message.hand_back()));
                        break;
                    }
                }
            }
            if run.is_empty() && untraced.is_none() {
                break;
            }
            if self.core.sender_should_run() {
                yield_now().await;
            }
            self.take_run(&mut run).await;
            if let Some(error) = untraced {
                self.receipts.push(Err(error));
                run.push(Kept::default());
            }
            match &mut self.kept {
                Some(kept) => kept.append(&mut run),
                None => run.clear(),
            }
        }
    }

    /// Takes messages in. Those that are rejected are moved to their errors.
    async fn take_run(&mut self, messages: &mut [Kept]) {
        let mut from = 0;
        while from < messages.len() {
            let ended = self.ctx.ended().filter(|_| self.sends);
            let offered = if ended.is_some() { 0 } else { self.offer(&messages[from..]) };
            // What is out of the ordinary is done as if it came alone.
            let odd = usize::from(offered == 0 || self.run.refused.is_some());
            let to = messages.len().min(from + offered + odd);
            for (place, message) in messages[from..to].iter_mut().enumerate() {
                let accepted = self.run.receipts.get_mut(place).and_then(Option::take);
                let refused = if place == offered { self.run.refused.take() } else { None };
                let result = match (accepted, refused, ended) {
                    (Some(receipt), ..) => Ok(receipt),
                    (None, Some(error), _) => Err(error),
                    (None, None, Some(ended)) => Err(not_sent(ended)),
                    (None, None, None) => self.take_one(message).await,
                };
                self.receipts
                    .push(result.map_err(|error| error.with_message(std::mem::take(&mut **message))));
            }
            from = to;
        }
    }

    async fn take_one(&mut self, message: &Message) -> Result<Receipt> {
        match self.core.offer(self.to, message, self.ctx.deadline(), None)? {
            Offer::Accepted(receipt) => Ok(receipt),
            waiting => {
                let started = Instant::now();
                let result =
                    self.core.enqueue_slowly(self.ctx, self.to, message, waiting, self.patience).await;
                if result.is_err() && started.elapsed() >= self.patience {
                    self.patience = Duration::ZERO;
                }
                result
            }
        }
    }

    /// Offers the first of these messages that go to one topic, and leaves a receipt for each that was accepted. Returns how many
    /// were offered; those without a receipt, and the next one, are to be offered alone.
    fn offer(&mut self, messages: &[Kept]) -> usize {
        let core = self.core;
        let Run { footprints, routes, receipts, refused } = &mut self.run;
        receipts.clear();
        footprints.clear();
        routes.clear();
        let to = self.to;
        let first = messages.first().and_then(|message| core.topic_of(to, message).ok());
        let topic = first.and_then(|name| core.metadata.topic(name));
        let (Ok(()), Some(topic)) = (core.supervisor.ready(), topic) else {
            return 0;
        };
        let is_ours = |message: &Message| {
            core.topic_of(to, message)
                .is_ok_and(|name| Arc::ptr_eq(name, &topic.name) || **name == *topic.name)
        };
        for message in messages.iter().take_while(|message| is_ours(message)) {
            let footprint = message_footprint(message);
            if core.check(message, footprint).is_err() {
                break;
            }
            footprints.push(footprint);
        }
        // Where there is not enough space for all, there may be for some.
        let mut held = loop {
            match topic.budget.try_take(footprints.iter().sum()) {
                _ if footprints.is_empty() => return 0,
                Ok(held) => break held,
                Err(_) => footprints.truncate(footprints.len() / 2),
            }
        };
        for (place, (message, footprint)) in messages.iter().zip(footprints.iter()).enumerate() {
            match core.route(&topic, message, *footprint) {
                Ok(partition) => routes.push((partition.index as u64) << 32 | place as u64),
                Err(error) => {
                    *refused = Some(error);
                    break;
                }
            }
        }
        if !routes.is_sorted() {
            routes.sort_unstable();
        }
        receipts.resize_with(routes.len(), || None);
        let deadline = self.ctx.deadline();
        // A custom clock is read before a queue is locked.
        let wall = core.custom_wall_millis();
        let now = recently();
        let mut bytes = 0;
        for same in routes.chunk_by(|one, next| one >> 32 == next >> 32) {
            let place = |route: &u64| (*route & u64::from(u32::MAX)) as usize;
            let Some(partition) = topic.partitions.all.get((same[0] >> 32) as usize) else {
                continue;
            };
            let arrivals = same.iter().map(|route| Arrival {
                message: &messages[place(route)],
                footprint: footprints[place(route)],
                now,
                deadline,
            });
            let mut places = same.iter().map(place);
            let (wake, sealed) = partition.append_all(
                arrivals,
                &core.policy,
                || wall.unwrap_or_else(|| core.wall_millis()),
                |receipt| {
                    if let Some(place) = places.next() {
                        bytes += footprints[place];
                        receipts[place] = Some(receipt);
                    }
                },
            );
            if sealed {
                core.sealed();
            }
            if wake {
                partition.broker().schedule(core, partition.clone());
            }
        }
        held.keep_part(bytes);
        receipts.len()
    }
}
