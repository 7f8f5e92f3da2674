//! Questions that a service asks: partitions and their leaders, the cluster, the size of a message.

use std::sync::Arc;

use super::Producer;
use super::accept::closed;
use crate::context::Context;
use crate::core::Core;
use crate::engine::ClusterMetadata;
use crate::error::{Error, ErrorKind, Result, WaitReason};
use crate::message::Message;
use crate::record::max_encoded_len;
use crate::topic_name;

/// A partition of a topic, as [`Producer::partitions`] describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionInfo {
    /// Index, counted from 0.
    pub partition: i32,
    /// The broker that leads it; `None` while there is none, and with the `PartitionClient` engine, which is not
    /// informed of leaders.
    pub leader: Option<BrokerInfo>,
}

/// A broker, as the cluster's metadata describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerInfo {
    /// Node id (Kafka: `node.id`, `broker.id`).
    pub id: i64,
    /// The address that it advertises to clients, `host:port` or `[ipv6]:port`.
    pub address: String,
    /// Rack or availability zone (Kafka: `broker.rack`); `None` where it has none.
    pub rack: Option<String>,
}

impl Producer {
    /// Returns the partitions of a topic by index, with the leader of each. Their number is the length of the list.
    ///
    /// The cluster is asked on each call, in one round trip; the topic is not created, and does not count as used.
    /// Without a deadline in `ctx`, it takes at most `buffer.max_wait` (Kafka: `max.block.ms`).
    ///
    /// # Errors
    ///
    /// `UnknownTopic` if the topic does not exist, `InvalidTopic` if it cannot, `Authorization` if it may not be
    /// described; `DeadlineExceeded` or `Cancelled` with the last failure as its cause when `ctx` ends first; `Closed`
    /// after [`close`](Self::close).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only ends the wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::{Context, Producer};
    ///
    /// # async fn example(producer: Producer) -> rskafka_producer::Result<()> {
    /// let partitions = producer.partitions(&Context::timeout(Duration::from_secs(5)), "orders").await?;
    /// println!("{} partitions", partitions.len());
    /// for partition in &partitions {
    ///     match &partition.leader {
    ///         Some(leader) => println!("{} is led by {} in {:?}", partition.partition, leader.address, leader.rack),
    ///         None => println!("{} has no leader at the moment", partition.partition),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn partitions(&self, ctx: &Context, topic: &str) -> Result<Vec<PartitionInfo>> {
        topic_name::check(topic).map_err(|problem| Error::new(ErrorKind::InvalidTopic, problem))?;
        let name = Arc::from(topic);
        let described = self.core().describe(ctx, Some(&name)).await?;
        Ok(partitions(&described, topic))
    }

    /// Returns the id of the cluster (Kafka: `cluster.id`); `None` where it does not report one, and with the
    /// `PartitionClient` engine, which is not informed of it.
    ///
    /// The cluster is asked on each call, in one round trip. Without a deadline in `ctx`, it takes at most
    /// `buffer.max_wait` (Kafka: `max.block.ms`).
    ///
    /// # Errors
    ///
    /// `DeadlineExceeded` or `Cancelled` with the last failure as its cause when `ctx` ends first; what refuses a login;
    /// `Closed` after [`close`](Self::close).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only ends the wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::{Context, Producer};
    ///
    /// # async fn example(producer: Producer) -> rskafka_producer::Result<()> {
    /// let id = producer.cluster_id(&Context::timeout(Duration::from_secs(5))).await?;
    /// println!("sending to cluster {}", id.as_deref().unwrap_or("(unknown)"));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn cluster_id(&self, ctx: &Context) -> Result<Option<String>> {
        let described = self.core().describe(ctx, None).await?;
        Ok(described.cluster_id.map(|id| id.to_string()))
    }

    /// Returns the most bytes that a message takes on the wire, alone in a batch and before compression.
    ///
    /// A message is accepted if this is at most `batch.max_request_bytes` (Kafka: `max.request.size`) less 1,024. In a
    /// batch with others it takes less. Headers that a [propagator](crate::TelemetryConfig::propagator) adds are not
    /// included.
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::Message;
    ///
    /// # fn example(producer: rskafka_producer::Producer) {
    /// let message = Message::new(vec![0; 2_000_000]).key("order-42");
    /// if producer.estimated_size(&message) > 1_000_000 {
    ///     println!("store it elsewhere, and send a reference to it");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn estimated_size(&self, message: &Message) -> usize {
        max_encoded_len(message)
    }
}

impl Core {
    async fn describe(self: &Arc<Self>, ctx: &Context, topic: Option<&Arc<str>>) -> Result<ClusterMetadata> {
        if !self.life.is_open() {
            return Err(closed());
        }
        let ctx = ctx.within(self.config.buffer.max_wait);
        let mut last = None;
        self.supervisor.ready()?;
        let work = self.metadata.describe(self, topic, &mut last);
        match self.supervisor.bound(&ctx, work).await {
            Ok(result) => result,
            Err(ended) => Err(self.gave_up(ended, last, "the cluster did not answer", WaitReason::NoBroker)),
        }
    }
}

fn partitions(described: &ClusterMetadata, topic: &str) -> Vec<PartitionInfo> {
    let about = described.topics.iter().find(|about| *about.name == *topic);
    let leaders = about.and_then(|about| about.leaders.as_ref().ok()).map(Vec::as_slice).unwrap_or_default();
    let broker = |node| {
        let broker = described.brokers.iter().find(|broker| broker.node == node)?;
        Some(BrokerInfo { id: node.0, address: broker.address.clone(), rack: broker.rack.clone() })
    };
    let described = leaders.iter().zip(0..);
    described.map(|(led, partition)| PartitionInfo { partition, leader: led.node.and_then(broker) }).collect()
}
