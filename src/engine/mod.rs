//! The seam: what the sending side asks of whatever talks to brokers.
//!
//! Only `partition_client` names `rskafka`. An engine makes **one attempt** per call and ends it within its
//! own time limit, at the latest after [`CONNECTING`] times `timeouts.connect` and one `timeouts.request`; retries,
//! order, limits and deadlines are the sender's.

mod link;
mod native;
#[cfg(feature = "partition-client")]
mod partition_client;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

pub(crate) use link::Link;
pub(crate) use native::{NativeEngine, Observer};
#[cfg(feature = "partition-client")]
pub(crate) use partition_client::PartitionClientEngine;

use crate::error::Result;
use crate::record::{Encoded, ProducerId, Records, Sequence};

/// One waits for the connection that another makes in vain, and then makes its own; the baseline has two to make.
pub(crate) const CONNECTING: u32 = 3;

/// Where batches can be sent: a broker for the engine that has one connection per broker, a partition for the
/// one that has one per partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(pub(crate) i64);

/// A batch for one partition, as it goes into a produce request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartitionBatch<'a> {
    pub(crate) topic: &'a Arc<str>,
    /// `None` where it is not known.
    pub(crate) topic_id: Option<TopicId>,
    pub(crate) partition: i32,
    pub(crate) records: &'a Records,
    /// `None` without idempotence.
    pub(crate) sequence: Option<Sequence>,
    /// The batch in Kafka's format, where it was encoded before its request: one that is compressed always is.
    pub(crate) encoded: Option<&'a Encoded>,
}

/// What a broker answered to a produce request.
#[derive(Debug)]
pub(crate) struct Produced {
    /// One answer for each batch, in their order.
    pub(crate) answers: Vec<Answer>,
    /// How long the broker wants no further request.
    pub(crate) throttle: Duration,
}

/// What a broker answered for one batch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// 0 if the batch is stored.
    pub(crate) error_code: i16,
    pub(crate) base_offset: Option<i64>,
    /// It may be in the leader's log, whatever the error.
    pub(crate) appended: bool,
    /// Set where the topic uses the time of appending.
    pub(crate) append_time: Option<i64>,
    /// The broker's own words.
    pub(crate) detail: Option<String>,
    /// The broker would say which records are to blame, as Kafka does since 2.4.
    pub(crate) names_bad_records: bool,
    /// Records that are to blame, by their place in the batch (KIP-467).
    pub(crate) bad_records: Vec<(u32, Option<String>)>,
    /// Who leads the partition by now, where the broker says so, and it can be sent to (KIP-951).
    pub(crate) leader: Option<Leadership>,
}

/// Which topic it is, whatever its name: one that is created again has another (KIP-516).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TopicId(u128);

impl TopicId {
    /// `None` for zero, which stands for no id.
    pub(crate) fn new(raw: u128) -> Option<Self> {
        (raw != 0).then_some(Self(raw))
    }

    pub(crate) fn raw(self) -> u128 {
        self.0
    }
}

/// Who leads a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leadership {
    /// `None` where there is none at the moment.
    pub(crate) node: Option<NodeId>,
    /// Counts elections; -1 where it is not known.
    pub(crate) epoch: i32,
}

/// A topic as the cluster describes it.
#[derive(Clone, Debug)]
pub(crate) struct TopicMetadata {
    pub(crate) name: Arc<str>,
    pub(crate) id: Option<TopicId>,
    /// By partition index; or the broker's error code.
    pub(crate) leaders: Result<Vec<Leadership>, i16>,
}

/// A broker as the cluster describes it.
#[derive(Clone, Debug)]
pub(crate) struct BrokerMetadata {
    pub(crate) node: NodeId,
    /// `host:port`, as it is advertised.
    pub(crate) address: String,
    pub(crate) rack: Option<String>,
}

/// What the cluster says of itself.
#[derive(Clone, Debug)]
pub(crate) struct ClusterMetadata {
    /// `None` where it does not say, as old brokers do.
    pub(crate) cluster_id: Option<Arc<str>>,
    /// Empty where the engine does not hear of them.
    pub(crate) brokers: Vec<BrokerMetadata>,
    pub(crate) topics: Vec<TopicMetadata>,
}

/// Hears of an attempt that takes much longer than usual, and how far it has come. What it returns is dropped when the
/// attempt ends.
pub(crate) type Late<'a> = &'a (dyn Fn(Stage) -> Box<dyn Send> + Send + Sync);

/// How far an attempt has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Nothing has left.
    Connecting,
    /// The request may have arrived.
    Sent,
}

/// Why metadata is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// To keep up with what is known.
    Refresh,
    /// For messages that wait for these topics, which may create them where that is allowed.
    ForMessages,
    /// Because a broker is silent: only another one is asked.
    Elsewhere,
}

#[async_trait]
pub(crate) trait Engine: Send + Sync {
    /// Reaches one broker, authenticated. Does nothing if one is connected.
    async fn connect(&self) -> Result<()>;

    /// Asks for partitions and leaders of these topics.
    async fn metadata(&self, topics: &[Arc<str>], ask: Ask) -> Result<ClusterMetadata>;

    /// Asks for a new producer id.
    async fn producer_id(&self) -> Result<ProducerId>;

    /// Whether this cluster is known to have granted the producer id.
    fn is_granted_by(&self, _id: ProducerId, _cluster: Option<&Arc<str>>) -> bool {
        false
    }

    /// Sends one request with these batches. Requests to one node leave in the order in which the returned
    /// futures are first polled.
    ///
    /// An error's fate says whether the request may have reached the broker.
    ///
    /// Calls `late` at most once, where the attempt takes much longer than usual.
    async fn produce(&self, node: NodeId, batches: &[PartitionBatch<'_>], late: Late<'_>)
    -> Result<Produced>;

    /// Ends the attempts to a node that have not come further than this.
    fn abandon(&self, _node: NodeId, _stage: Stage) {}

    /// Checks that a broker answers, without any record: this one, or any.
    async fn probe(&self, node: Option<NodeId>) -> Result<()>;

    /// What is amiss on the way to this broker, or to all of them; `None` where nothing is, or nothing is known.
    fn link(&self, _node: Option<NodeId>, _now: Instant) -> Option<Link> {
        None
    }

    /// How many numbered batches of one partition may be on their way to a broker: no more than it recognises when they
    /// are sent again.
    fn most_in_flight(&self, _node: NodeId) -> usize {
        usize::MAX
    }

    /// A name for people: `host:port` where the engine knows it.
    fn name_of(&self, node: NodeId) -> Arc<str>;

    /// Drops every connection: the producer is closed, or moves to another runtime.
    fn disconnect(&self);
}
