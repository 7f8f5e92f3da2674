//! What a call waits for until its message is accepted: metadata of a topic that was not used before, and buffer space.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::accept::{Offer, To, closed};
use crate::accumulator::{POLLED_WITHIN, Receipt};
use crate::clock::later;
use crate::context::{Context, Ended};
use crate::core::{Core, ended_error, why};
use crate::error::{Error, ErrorKind, Result, WaitReason};
use crate::message::Message;
use crate::metadata::Topic;
use crate::sender::waiting;

/// A wait for buffer space that is worth an event.
const LONG_WAIT: Duration = Duration::from_secs(1);

impl Core {
    /// Waits for what an offer lacked, within the context and `limit`.
    pub(super) async fn enqueue_slowly(
        self: &Arc<Self>,
        ctx: &Context,
        to: To<'_>,
        message: &Message,
        mut offer: Offer,
        limit: Duration,
    ) -> Result<Receipt> {
        let bounded = ctx.with_timeout(limit);
        loop {
            offer = match offer {
                Offer::Accepted(receipt) => return Ok(receipt),
                Offer::UnknownTopic(name) => {
                    let (mut last, started) = (None, Instant::now());
                    let mut goes_on = GoesOn { core: self, topic: Some(name.clone()) };
                    let resolved =
                        self.unless_closed(&bounded, self.metadata.resolve(self, &name, &mut last)).await;
                    if matches!(resolved, Ok(Ok(_)) | Err(_)) {
                        goes_on.topic = None;
                    }
                    match resolved? {
                        Ok(resolved) => resolved.map(drop)?,
                        Err(ended) => {
                            let what = format!("could not fetch the metadata of topic {name:?}");
                            let reason =
                                WaitReason::Metadata { topic: name.clone(), elapsed: started.elapsed() };
                            return Err(self.gave_up(ended, last, &what, reason).with_topic(name));
                        }
                    }
                    self.offer(to, message, ctx.deadline(), None)?
                }
                Offer::NoRoom(topic, bytes) => {
                    let started = Instant::now();
                    let room = async {
                        let _attending = self.supervisor.wait_here();
                        let mut room = pin!(topic.budget.take(bytes));
                        loop {
                            let now_and_then = later(Instant::now(), POLLED_WITHIN);
                            tokio::select! {
                                biased;
                                room = &mut room => break room,
                                // A call before it may no longer be polled.
                                () = self.supervisor.sleep_until(now_and_then) => {}
                            }
                        }
                    };
                    let waited = self.unless_closed(&bounded, room).await;
                    self.report_backpressure(started);
                    match waited? {
                        Ok(Ok(room)) => self.offer(to, message, ctx.deadline(), Some(room))?,
                        Ok(Err(_)) => return Err(closed()),
                        Err(Ended::Cancelled) => return Err(self.no_room_before(&topic, bytes)),
                        Err(Ended::Deadline) => return Err(self.no_room(&topic, bytes)),
                    }
                }
            };
        }
    }

    /// Waits for `work` until the context ends, or the producer is closed.
    async fn unless_closed<T>(
        &self,
        ctx: &Context,
        work: impl Future<Output = T>,
    ) -> Result<Result<T, Ended>> {
        tokio::select! {
            biased;
            done = self.supervisor.bound(ctx, work) => Ok(done),
            () = self.life.not_open() => Err(closed()),
        }
    }

    /// A full buffer paces a flood, which is normal; a long wait is reported.
    fn report_backpressure(&self, started: Instant) {
        let now = Instant::now();
        let waited = now.saturating_duration_since(started);
        if waited >= LONG_WAIT {
            self.log.backpressure(waited, self.buffer.used(), now);
        }
    }

    pub(super) fn no_room(&self, topic: &Topic, bytes: usize) -> Error {
        self.stats.rejected();
        let wait = self.no_room.of_room(self, topic, bytes, Instant::now());
        wait.explain("the message was not accepted", Error::new(ErrorKind::BufferFull, ""))
    }

    fn no_room_before(&self, topic: &Topic, bytes: usize) -> Error {
        let what = format!("the message was not accepted ({})", why(Ended::Cancelled));
        waiting::of_room(self, topic, bytes, Instant::now()).explain(&what, ended_error(Ended::Cancelled))
    }

    /// Asks for a topic's metadata in the background, unless that is under way.
    pub(super) fn ask_for(self: &Arc<Self>, topic: Arc<str>) {
        if self.metadata.is_resolving(&topic) {
            return;
        }
        let core = self.clone();
        self.supervisor.spawn("fetch a topic's metadata", async move {
            let limit = core.config.timeouts.request;
            // Errors are reported to the next caller.
            _ = timeout(limit, core.metadata.resolve(&core, &topic, &mut None)).await;
        });
    }
}

/// However briefly callers wait for a topic's metadata, it is fetched: once the last of them has gone, in the background.
struct GoesOn<'a> {
    core: &'a Arc<Core>,
    /// `None` once there is an answer.
    topic: Option<Arc<str>>,
}

impl Drop for GoesOn<'_> {
    fn drop(&mut self) {
        if let Some(topic) = self.topic.take() {
            self.core.ask_for(topic);
        }
    }
}
