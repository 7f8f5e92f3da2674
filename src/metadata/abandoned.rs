//! Topics that are gone, and topics that are no longer used.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Metadata, Topic};
use crate::accumulator::Queue;
use crate::core::Core;
use crate::engine::TopicMetadata;
use crate::error::{Error, ErrorKind, Retry, row};
use crate::sender::Partition;

impl Metadata {
    /// Abandons a topic that the cluster refuses for good, or has denied for long enough: its messages fail.
    pub(super) fn abandon_if_gone(&self, core: &Arc<Core>, metadata: &TopicMetadata, code: i16) {
        let _turn = self.learning.lock();
        let Some(topic) = self.topic(&metadata.name) else {
            return;
        };
        let row = row(code);
        let fatal = row.retry == Retry::No;
        let denied = || topic.history().denied(topic.progress().1, Instant::now());
        let gone = fatal || (row.kind == ErrorKind::UnknownTopic && denied());
        if !gone {
            return;
        }
        let error = Error::for_topic(code, &metadata.name);
        self.remove(core, &topic, |partition| {
            core.settle(partition, &error, |queue, settlement| queue.abandon(&error, settlement));
        });
    }

    /// Forgets topics that were not used for `timeouts.metadata_idle`, so that they are no longer requested. A later
    /// message requests them again.
    pub(super) fn forget_unused(&self, core: &Arc<Core>, now: Instant) {
        let _turn = self.learning.lock();
        let unused = |topic: &Arc<Topic>| {
            let unused_for = topic.history().unused_for(topic.progress().0, now);
            unused_for >= self.settings.metadata_idle && topic.is_idle()
        };
        for topic in self.topics().into_iter().filter(unused) {
            self.remove(core, &topic, |partition| partition.queue(Queue::close));
            core.stats.forget_topic(&topic.name);
        }
    }

    /// Removes a topic; `end` ends each of its partitions.
    fn remove(&self, core: &Core, topic: &Topic, end: impl Fn(&Partition)) {
        self.change(|topics| topics.remove(&topic.name));
        self.leaving.add(&topic.partitions.all, Instant::now());
        for partition in &topic.partitions.all {
            end(partition);
            // If the topic is used again, its sequence numbers begin above those that brokers remember, and above those of
            // batches that are still on their way.
            if let Some(used) = partition.queue(|queue| queue.producer_id()) {
                core.producer_id.outgrow(used);
            }
        }
    }
}
