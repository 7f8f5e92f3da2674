//! What waits, and why.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Producer;
use crate::core::Core;
use crate::error::{SILENT, Seconds, Wait, WaitReason, with_causes};
use crate::sender::waiting;

/// What waits in a producer, and why: made by [`Producer::explain`].
///
/// `Display` is one line: the three partitions that have waited longest, and so on, or "nothing is waiting". The
/// alternate form, `{:#}`, has everything, one line for each.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Explanation {
    /// Calls that wait for buffer space.
    pub buffer: Option<Wait>,
    /// Topics whose metadata is being fetched for calls that wait for it, by name.
    pub topics: Vec<TopicWait>,
    /// Partitions with messages that are neither stored nor failed, the longest wait first.
    pub partitions: Vec<PartitionWait>,
    /// Brokers that are throttling, failing or silent, by name, whether or not messages wait for them.
    pub brokers: Vec<BrokerWait>,
    /// Set while requests to the cluster as a whole (metadata, producer ids) are failing.
    pub cluster: Option<Wait>,
}

/// A topic whose metadata is being fetched.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TopicWait {
    /// Its name.
    pub topic: Arc<str>,
    /// Since when, and why it takes so long.
    pub wait: Wait,
}

/// A partition with messages that wait.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PartitionWait {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// Messages that are neither stored nor failed.
    pub messages: usize,
    /// Bytes of the buffer that they use.
    pub bytes: usize,
    /// Time since the oldest batch of them was opened.
    pub oldest: Duration,
    /// What they wait for.
    pub wait: Wait,
}

/// A broker that holds requests up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BrokerWait {
    /// `host:port`.
    pub broker: Arc<str>,
    /// How it does so.
    pub wait: Wait,
}

impl Explanation {
    /// Whether nothing waits and nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffer.is_none()
            && self.topics.is_empty()
            && self.partitions.is_empty()
            && self.brokers.is_empty()
            && self.cluster.is_none()
    }
}

impl Producer {
    /// Explains what waits at the moment, and why.
    ///
    /// Takes the lock of each partition in use for a moment: meant for diagnostics, not for each message.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(producer: rskafka_producer::Producer) {
    /// // For instance when a signal asks for it, or when `flush` has not returned for a while.
    /// println!("{:#}", producer.explain());
    /// // 12 messages for partition 0 of topic "orders", the oldest for 8.2 s: the circuit breaker of
    /// // kafka-2:9092 is open for another 3.1 s after 5 failures in a row: cannot reach kafka-2:9092: …
    /// # }
    /// ```
    #[must_use]
    pub fn explain(&self) -> Explanation {
        self.core().explain(Instant::now())
    }
}

impl Core {
    fn explain(&self, now: Instant) -> Explanation {
        let since = |at: Instant| now.saturating_duration_since(at);
        let topics = self.metadata.unresolved().into_iter().map(|(topic, begun, last)| {
            let last = last.or_else(|| waiting::of_cluster(self, now).last_error);
            let reason = WaitReason::Metadata { topic: topic.clone(), elapsed: since(begun) };
            TopicWait { topic, wait: Wait::new(reason, last) }
        });
        let partitions = self.metadata.partitions().into_iter().filter_map(|partition| {
            let load = partition.queue(|queue| queue.load());
            Some(PartitionWait {
                topic: partition.topic.clone(),
                partition: partition.index,
                messages: load.messages,
                bytes: load.bytes,
                oldest: since(load.oldest?),
                wait: waiting::of(self, &partition, now),
            })
        });
        let mut explanation = Explanation {
            buffer: self.waiting_for_room(now),
            topics: topics.collect(),
            partitions: partitions.collect(),
            brokers: self.unwell(now),
            cluster: Some(waiting::of_cluster(self, now)).filter(|wait| wait.last_error.is_some()),
        };
        explanation.topics.sort_unstable_by(|a, b| a.topic.cmp(&b.topic));
        explanation.partitions.sort_unstable_by(|a, b| {
            b.oldest.cmp(&a.oldest).then_with(|| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)))
        });
        explanation
    }

    fn waiting_for_room(&self, now: Instant) -> Option<Wait> {
        let topics = self.metadata.topics();
        let in_share =
            topics.iter().find(|topic| topic.budget.share().is_some_and(|share| share.waiting() > 0));
        if let Some(topic) = in_share {
            return Some(waiting::of_room(self, topic, usize::MAX, now));
        }
        let any = topics.first().filter(|_| self.buffer.waiting() > 0)?;
        Some(waiting::of_room(self, any, 0, now))
    }

    /// Brokers that hold requests up, by name.
    pub(super) fn unwell(&self, now: Instant) -> Vec<BrokerWait> {
        let holds_up = |wait: &Wait| match &wait.reason {
            WaitReason::Response { silent, .. } => *silent >= SILENT,
            WaitReason::Connecting { .. } => wait.last_error.is_some(),
            WaitReason::Throttled { .. }
            | WaitReason::BreakerOpen { .. }
            | WaitReason::BreakerHalfOpen { .. } => true,
            _ => false,
        };
        // A broker that nothing is sent to may well be back.
        let has_work =
            |broker| self.metadata.partitions_of(broker).iter().any(|partition| !partition.is_idle());
        let is_cut = |wait: &Wait| matches!(wait.reason, WaitReason::Disconnected { .. });
        let mut brokers: Vec<_> = self
            .brokers
            .all()
            .iter()
            .filter_map(|broker| {
                let name = self.engine.name_of(broker.node?);
                let wait = waiting::of_broker(self, broker, now);
                (holds_up(&wait) || !broker.is_well(now) || is_cut(&wait) && has_work(broker))
                    .then_some(BrokerWait { broker: name, wait })
            })
            .collect();
        brokers.sort_unstable_by(|a, b| a.broker.cmp(&b.broker));
        brokers
    }
}

/// Partitions that the short form has.
const SHOWN: usize = 3;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing is waiting");
        }
        let most = if f.alternate() { usize::MAX } else { SHOWN };
        let mut lines: Vec<String> = self.buffer.iter().map(Wait::to_string).collect();
        lines.extend(self.topics.iter().map(|topic| topic.wait.to_string()));
        lines.extend(self.partitions.iter().take(most).map(PartitionWait::to_string));
        if let Some(more @ 1..) = self.partitions.len().checked_sub(most) {
            lines.push(format!("messages wait for {more} more partitions"));
        }
        // What is said of the partitions need not be repeated for their brokers.
        let is_news = |lines: &[String], text: &str| !lines.iter().any(|line| line.contains(text));
        for text in self.brokers.iter().map(BrokerWait::to_string) {
            if is_news(&lines, &text) {
                lines.push(text);
            }
        }
        if let Some(cluster) = &self.cluster {
            let cause = cluster.last_error.as_ref().map(with_causes).unwrap_or_default();
            if is_news(&lines, &cause) {
                lines.push(cluster.to_string());
            }
        }
        f.write_str(&lines.join(if f.alternate() { "\n" } else { "; " }))
    }
}

impl fmt::Display for BrokerWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.wait.reason, &self.wait.last_error) {
            // Nothing else holds it up at the moment.
            (WaitReason::Queue { broker }, Some(error)) => {
                write!(f, "the last request to {broker} failed: {}", with_causes(error))
            }
            (WaitReason::Queue { broker }, None) => write!(f, "requests to {broker} were failing"),
            _ => self.wait.fmt(f),
        }
    }
}

impl fmt::Display for PartitionWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, messages, oldest, wait, .. } = self;
        let oldest = Seconds(*oldest);
        match messages {
            1 => write!(f, "1 message for partition {partition} of topic {topic:?} for {oldest}: {wait}"),
            _ => write!(
                f,
                "{messages} messages for partition {partition} of topic {topic:?}, the oldest for {oldest}: {wait}"
            ),
        }
    }
}
