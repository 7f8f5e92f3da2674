//! Where a message was stored.

use std::sync::Arc;

use super::batch::Accepted;
use super::completion::{Completion, Stored};

/// Where a message was stored, and in how many attempts.
#[derive(Clone)]
pub struct Delivery {
    batch: Arc<Completion>,
    offset: Option<i64>,
    timestamp: i64,
    attempts: u32,
}

impl Delivery {
    pub(super) fn new(batch: &Arc<Completion>, accepted: Accepted, stored: Stored) -> Self {
        Self {
            batch: batch.clone(),
            offset: stored.offset,
            timestamp: stored.append_time.unwrap_or(accepted.timestamp),
            attempts: stored.attempts,
        }
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.batch.topic
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.batch.partition
    }

    /// The offset in the partition. `None` if the broker recognized a retried batch as already stored, but no longer
    /// knew its offset.
    #[must_use]
    pub fn offset(&self) -> Option<i64> {
        self.offset
    }

    /// The timestamp that Kafka stores, in milliseconds since 1970: the message's own, or the broker's if the topic has
    /// `message.timestamp.type=LogAppendTime`.
    ///
    /// Which of the two a topic uses is learned from batches that are stored at their first attempt. A broker that
    /// confirms a batch which it had stored before says when it did so, whatever the topic uses; that time is taken only
    /// where the topic is known to use it. Where it is not known yet, or was changed since, this is the message's own.
    #[must_use]
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// How many times the message was sent. More than 1 means that an attempt failed; with idempotence the message is
    /// stored once nevertheless; without it, the log may contain it twice.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }
}

debug_as!(delivery: Delivery {
    topic: delivery.topic(),
    partition: delivery.partition(),
    offset: delivery.offset(),
    timestamp: delivery.timestamp(),
    attempts: delivery.attempts(),
});
