//! The default engine: our own sockets and frames, one connection per broker.

mod api;
mod bootstrap;
mod brokers;
mod connection;
mod handshake;
mod identity;
mod listener;
mod missed;
mod net;
mod none_reachable;
mod observe;
mod pace;
mod questions;
mod recovery;
mod rotation;
mod sasl;
mod session;
mod slot;
mod timers;
mod versions;

use std::collections::{BTreeMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use self::api::{MetadataRequest, MetadataResponse, ProduceRequest, ProduceResponse, Software, TopicKey};
use self::brokers::Brokers;
use self::connection::{Connection, Settings, unreachable};
use self::identity::Peer;
pub(crate) use self::observe::Observer;
use self::pace::LATE;
use self::questions::{FirstId, listed};
use self::recovery::Recovery;
use self::rotation::Rotation;
use self::versions::Needs;
use super::{
    Answer, Ask, BrokerMetadata, CONNECTING, ClusterMetadata, Engine, Late, Leadership, Link, NodeId,
    PartitionBatch, Produced, Stage, TopicMetadata,
};
use crate::config::{Acks, Address, ProducerConfig, WallClock};
use crate::error::{Error, ErrorKind, Fate, Result};
use crate::record::ProducerId;

/// Longest wait for an answer that carries no records.
const SMALL_REQUEST: Duration = Duration::from_secs(10);

pub(crate) struct NativeEngine {
    brokers: Brokers,
    acks: i16,
    request_timeout: Duration,
    allow_auto_create_topics: bool,
    first_id: Mutex<FirstId>,
    rotation: Mutex<Rotation>,
    recovery: Recovery,
}

impl NativeEngine {
    pub(crate) fn new(config: &ProducerConfig, clock: WallClock, observer: Observer) -> Self {
        let settings = Settings {
            client_id: config.client_id.as_str().into(),
            software: Software {
                name: config.client_software_name.as_str().into(),
                version: config.client_software_version.as_str().into(),
            },
            connect_timeout: config.timeouts.connect,
            idle: config.timeouts.idle,
            clock,
            #[cfg(feature = "tls")]
            tls: config.tls.clone().map(net::tls::Tls::new),
            sasl: config.sasl.as_ref().map(|sasl| sasl.prepared(config)),
            socket: config.socket,
            dns_lookup: config.dns_lookup,
            connector: config.connector.clone(),
            proxy: config.proxy.clone(),
            needs: Needs::of(config),
            observer,
        };
        Self {
            brokers: Brokers::new(config.addresses(), settings, config.bulkhead.max_connecting),
            acks: match config.acks {
                Acks::All => -1,
                Acks::Leader => 1,
            },
            request_timeout: config.timeouts.request,
            allow_auto_create_topics: config.allow_auto_create_topics,
            first_id: Mutex::new(if config.is_idempotent() { FirstId::Wanted } else { FirstId::Done }),
            rotation: Mutex::default(),
            recovery: Recovery::new(config.timeouts.rebootstrap),
        }
    }

    fn clock(&self) -> &WallClock {
        &self.brokers.settings.clock
    }

    fn small_limit(&self) -> Duration {
        self.request_timeout.min(SMALL_REQUEST)
    }

    fn metadata_request<'a>(&self, topics: &'a [Arc<str>], ask: Ask) -> MetadataRequest<'a> {
        // A question in the background would create a topic again that an administrator has deleted.
        let create = ask == Ask::ForMessages && self.allow_auto_create_topics;
        MetadataRequest { topics, allow_auto_topic_creation: create }
    }

    async fn ask_metadata(
        &self,
        connection: &Arc<Connection>,
        topics: &[Arc<str>],
        ask: Ask,
    ) -> Result<MetadataResponse> {
        let request = self.metadata_request(topics, ask);
        let metadata = connection.request(request, self.small_limit(), self.clock()).await?;
        if metadata.error_code != 0 {
            return Err(Error::from_broker(metadata.error_code, None)
                .with_broker(connection.address.to_string())
                .with_fate(Fate::NotPersisted));
        }
        connection.meet(|| Peer::of(&connection.address, &metadata));
        Ok(metadata)
    }

    /// The connection to this address, made if need be.
    async fn reach(
        &self,
        node: NodeId,
        address: &Address,
        late: Late<'_>,
        doubt: &mut Option<Box<dyn Send>>,
    ) -> Result<Arc<Connection>> {
        let limit = self.brokers.settings.connect_timeout.saturating_mul(CONNECTING);
        let mut connecting = pin!(self.brokers.connection(address));
        let patience = LATE.min(limit);
        let mut reached = timeout(patience, &mut connecting).await;
        if reached.is_err() && patience < limit {
            self.brokers.suspect_connecting(node, address);
            *doubt = Some(late(Stage::Connecting));
            reached = timeout(limit - patience, &mut connecting).await;
        }
        reached.map_err(|_| {
            unreachable(address, &format!("no connection within {limit:?}, other attempts included"))
        })?
    }

    /// Whether messages for `node` may be sent to the broker that answers there.
    fn check_peer(&self, peer: &Peer, node: NodeId, connection: &Connection) -> Result<()> {
        let address = &connection.address;
        if !self.brokers.clusters.is_current(&peer.cluster) {
            // The next metadata request finds out which cluster it is now.
            connection.wire.retire();
            return Err(unreachable(address, "another cluster answers there"));
        }
        match peer.is_other_than(node) {
            None => Ok(()),
            Some(other) => {
                // Who answered wrongly may be asked anew, and answer otherwise.
                connection.wire.retire();
                let text = format!("it is the address of broker {} now, not of broker {}", other.0, node.0);
                Err(unreachable(address, &text))
            }
        }
    }

    /// Answers instead of the broker where a batch has a producer id that another cluster granted: there it may be
    /// another producer's, and the batch be taken for a duplicate.
    fn refused_by_another_cluster(&self, peer: &Peer, batches: &[PartitionBatch<'_>]) -> Option<Vec<Answer>> {
        let foreign = |batch: &PartitionBatch<'_>| {
            let sequence = batch.sequence;
            sequence.is_some_and(|of| !self.brokers.clusters.knows(of.producer_id, &peer.cluster))
        };
        if !batches.iter().any(foreign) {
            return None;
        }
        let answer = |batch: &PartitionBatch<'_>| match foreign(batch) {
            true => Answer {
                error_code: PRODUCER_FENCED,
                detail: Some("another cluster granted the producer id; nothing was sent".into()),
                ..Answer::default()
            },
            false => Answer {
                error_code: NOT_LEADER_OR_FOLLOWER,
                detail: Some("nothing was sent, since the request held a batch of another cluster".into()),
                ..Answer::default()
            },
        };
        Some(batches.iter().map(answer).collect())
    }

    fn address(&self, node: NodeId) -> Result<Arc<Address>> {
        self.brokers.address(node).ok_or_else(|| {
            Error::new(
                ErrorKind::Unreachable,
                format!("broker {} is not part of the cluster any more", node.0),
            )
        })
    }
}

#[async_trait]
impl Engine for NativeEngine {
    async fn connect(&self) -> Result<()> {
        // A listener that wants a login lets one ask for versions without; but not for metadata.
        self.tell_metadata(&[], Ask::Refresh).await.map(drop)
    }

    async fn metadata(&self, topics: &[Arc<str>], ask: Ask) -> Result<ClusterMetadata> {
        let asked: HashSet<&str> = topics.iter().map(|topic| &**topic).collect();
        let answered = self.tell_metadata(topics, ask).await?;
        // Of other topics nothing was asked, and nothing is kept.
        let topics = answered.topics.into_iter().filter(|topic| asked.contains(topic.name.as_str()));
        let is_listed = |node| self.brokers.address(node).is_some();
        let topics = topics.map(|topic| topic_metadata(topic, is_listed)).collect();
        let described = answered.brokers.into_iter().filter_map(|broker| {
            let (node, address) = listed(&broker)?;
            Some(BrokerMetadata { node, address: address.to_string(), rack: broker.rack })
        });
        Ok(ClusterMetadata {
            cluster_id: answered.cluster_id.map(Into::into),
            brokers: described.collect(),
            topics,
        })
    }

    async fn producer_id(&self) -> Result<ProducerId> {
        self.ask_producer_id().await
    }

    fn is_granted_by(&self, id: ProducerId, cluster: Option<&Arc<str>>) -> bool {
        self.brokers.clusters.knows(id.id, &cluster.cloned())
    }

    async fn produce(
        &self,
        node: NodeId,
        batches: &[PartitionBatch<'_>],
        late: Late<'_>,
    ) -> Result<Produced> {
        let address = self.address(node)?;
        // Dropped when the attempt ends.
        let mut doubt = None;
        // What is rare is kept apart: to connect takes much more room than to send.
        let connection = match self.brokers.standing_at(&address) {
            Some(connection) => connection,
            None => Box::pin(self.reach(node, &address, late, &mut doubt)).await?,
        };
        let peer = match connection.peer() {
            Some(peer) => peer,
            None => {
                let asked = Box::pin(self.peer(&connection)).await;
                asked.map_err(|error| error.with_fate(Fate::NotPersisted))?
            }
        };
        self.check_peer(peer, node, &connection)?;
        if let Some(answers) = self.refused_by_another_cluster(peer, batches) {
            return Ok(Produced { answers, throttle: Duration::ZERO });
        }
        let request = ProduceRequest { acks: self.acks, timeout: self.request_timeout, batches };
        let late = || {
            self.brokers.suspect_connected(node, &connection);
            // In place of what was noted while it was connected to.
            doubt = Some(late(Stage::Sent));
        };
        let response =
            connection.request_unless_late(request, self.request_timeout, self.clock(), late).await?;
        self.brokers.learn_also(response.brokers.iter().filter_map(listed));
        let is_listed = |node| self.brokers.address(node).is_some();
        Ok(Produced { throttle: response.throttle, answers: in_order(response, batches, is_listed) })
    }

    fn abandon(&self, node: NodeId, stage: Stage) {
        self.brokers.abandon(node, stage);
    }

    async fn probe(&self, node: Option<NodeId>) -> Result<()> {
        let Some(node) = node else {
            return self.tell_metadata(&[], Ask::Refresh).await.map(drop);
        };
        match self.brokers.connection_and_answer(&*self.address(node)?).await? {
            (_, Some(_)) => Ok(()),
            (connection, None) => self.ask_metadata(&connection, &[], Ask::Refresh).await.map(drop),
        }
    }

    fn link(&self, node: Option<NodeId>, now: Instant) -> Option<Link> {
        self.brokers.link(node, now)
    }

    fn most_in_flight(&self, node: NodeId) -> usize {
        match self.brokers.address(node) {
            Some(address) if !self.brokers.remembers_five_batches(&address) => 1,
            _ => usize::MAX,
        }
    }

    fn name_of(&self, node: NodeId) -> Arc<str> {
        match self.brokers.name(node) {
            Some(name) => name,
            None => format!("broker {}", node.0).into(),
        }
    }

    fn disconnect(&self) {
        self.brokers.reset();
    }
}

const NOT_LEADER_OR_FOLLOWER: i16 = 6;
const PRODUCER_FENCED: i16 = 90;
const REBOOTSTRAP_REQUIRED: i16 = 129;

/// More partitions than any topic has. Each takes memory here, and a broker cannot claim more.
const MOST_PARTITIONS: usize = 100_000;

/// `is_listed`: whether a broker has an address, without which it leads nothing that could be sent.
fn topic_metadata(topic: api::Topic, is_listed: impl Fn(NodeId) -> bool) -> TopicMetadata {
    let leaders = match topic.error_code {
        // 5 (LEADER_NOT_AVAILABLE) is said of a topic whose partitions are just being created.
        0 | 5 if (1..=MOST_PARTITIONS).contains(&topic.partitions.len()) => {
            // Partitions are numbered from 0 without gaps; a broker that says otherwise has not named the leaders.
            let nobody = Leadership { node: None, epoch: -1 };
            let mut leaders = vec![nobody; topic.partitions.len()];
            let mut described = vec![false; leaders.len()];
            for partition in &topic.partitions {
                let place = usize::try_from(partition.index).ok().filter(|at| *at < leaders.len());
                if let Some(at) = place {
                    described[at] = true;
                    let node = (partition.leader >= 0).then_some(NodeId(i64::from(partition.leader)));
                    let node = node.filter(|node| is_listed(*node));
                    leaders[at] = Leadership { node, epoch: partition.leader_epoch };
                }
            }
            match described.contains(&false) {
                false => Ok(leaders),
                true => Err(5),
            }
        }
        0 => Err(5),
        code => Err(code),
    };
    TopicMetadata { name: topic.name.into(), id: topic.id, leaders }
}

/// Answers in the order of the batches: Kafka re-orders them. A batch without an answer is possibly stored. A leader that
/// is named counts only where it `is_listed`.
fn in_order(
    mut response: ProduceResponse,
    batches: &[PartitionBatch<'_>],
    is_listed: impl Fn(NodeId) -> bool,
) -> Vec<Answer> {
    let mut found = BTreeMap::new();
    for (topic, partitions) in &mut response.topics {
        let (id, name) = match topic {
            TopicKey::Id(id) => (*id, ""),
            TopicKey::Name(name) => (None, name.as_str()),
        };
        found.extend(partitions.drain(..).map(|(index, answer)| ((id, name, index), answer)));
    }
    let unmentioned = || Answer {
        error_code: -1,
        detail: Some("the answer does not mention the partition".into()),
        ..Answer::default()
    };
    let mut answers = Vec::with_capacity(batches.len());
    for batch in batches {
        let by_id = batch.topic_id.and_then(|id| found.remove(&(Some(id), "", batch.partition)));
        let by_name = || found.remove(&(None, &**batch.topic, batch.partition));
        let mut answer = by_id.or_else(by_name).unwrap_or_else(unmentioned);
        answer.leader = answer.leader.filter(|leader| leader.node.is_some_and(&is_listed));
        answers.push(answer);
    }
    answers
}

#[cfg(test)]
mod tests;
