//! What goes wrong, and when.

use std::time::Duration;

use tokio::time::Instant;

use super::{Api, Edit};

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Answered with this error code, for each partition where there are some; nothing is applied.
    Error(i16),
    /// Answered later.
    Delay(Duration),
    /// The connection is closed; nothing is applied.
    Disconnect,
    /// Never answered; nothing is applied and the connection stays.
    Silence,
    /// Applied, and never answered; what comes after it on the connection is.
    Unanswered,
    /// Applied as if nothing were wrong, and then this.
    ApplyThen(Box<Self>),
    /// Applied, and answered with this throttle time.
    Throttle(Duration),
    /// Answered with these bytes instead.
    Garbage(Vec<u8>),
    /// Applied, and answered with one field changed.
    Edit(Edit),
    /// Answered, after the answer was mangled by this seed: bytes changed, cut off or added.
    Mangle(u64),
    /// The connection is closed after so many bytes of the answer.
    CutAfter(usize),
}

impl Fault {
    /// Applied, and then this.
    #[must_use]
    pub fn after_apply(self) -> Self {
        Self::ApplyThen(Box::new(self))
    }
}

/// Which requests a fault meets, and how often.
#[derive(Clone, Debug)]
pub struct Rule {
    pub(super) api: Api,
    pub(super) node: Option<i32>,
    pub(super) topic: Option<String>,
    pub(super) times: usize,
}

impl Rule {
    /// The next request of this kind.
    #[must_use]
    pub fn on(api: Api) -> Self {
        Self { api, node: None, topic: None, times: 1 }
    }

    /// Only at this broker.
    #[must_use]
    pub fn node(mut self, node: i32) -> Self {
        self.node = Some(node);
        self
    }

    /// Only produce requests that carry this topic.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// The next so many requests.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Every request, until [`FakeCluster::heal`](super::FakeCluster::heal).
    #[must_use]
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }

    pub(super) fn meets(&self, seen: &RequestSeen) -> bool {
        self.times > 0
            && self.api == seen.api
            && self.node.is_none_or(|node| node == seen.node)
            && self.topic.as_ref().is_none_or(|topic| seen.batches.iter().any(|b| b.topic == *topic))
    }
}

/// A request as a broker received it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RequestSeen {
    /// The broker.
    pub node: i32,
    /// Number of the connection, from 1, over the whole cluster.
    pub connection: u64,
    /// What was asked.
    pub api: Api,
    /// In which version.
    pub version: i16,
    /// When.
    pub at: Instant,
    /// `acks` of a produce request.
    pub acks: Option<i16>,
    /// Batches of a produce request.
    pub batches: Vec<BatchSeen>,
    /// Topics of a metadata request.
    pub topics: Vec<String>,
}

/// A batch of a produce request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchSeen {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Number of records that it claims.
    pub records: i32,
    /// Its size on the wire.
    pub bytes: usize,
    /// Its producer id; -1 without idempotence.
    pub producer_id: i64,
    /// Its producer epoch.
    pub epoch: i16,
    /// Its first sequence number.
    pub sequence: i32,
}
