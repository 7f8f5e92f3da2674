//! The default engine: own sockets under rskafka's `Messenger`, one connection per broker.

mod api;
mod brokers;
mod connection;
mod dial;
mod handshake;
mod listener;
mod sasl;
mod session;
mod stream;
#[cfg(feature = "tls")]
mod tls;
mod versions;
mod watch;
mod wire;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use self::api::{InitProducerIdRequest, MetadataRequest, MetadataResponse, ProduceRequest, ProduceResponse};
use self::brokers::Brokers;
use self::connection::{Connection, Settings, unreachable};
use self::handshake::Wanted;
#[cfg(feature = "tls")]
pub(crate) use self::tls::check as check_tls;
use self::versions::Needs;
pub(crate) use self::watch::Observer;
use super::{
    Answer, Ask, CONNECTING, Engine, Leadership, Link, Metadata, NodeId, Parcel, Produced, TopicMetadata,
};
use crate::Compression;
use crate::accumulator::ProducerId;
use crate::clock::Clock;
use crate::config::{Acks, Address, ProducerConfig};
use crate::error::{Error, ErrorKind, Fate, Result};

/// Longest wait for an answer that carries no records.
const SMALL_REQUEST: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct MessengerEngine {
    brokers: Brokers,
    acks: i16,
    request_timeout: Duration,
    compression: Compression,
    allow_auto_create_topics: bool,
    first_id: Mutex<FirstId>,
}

/// The first producer id is asked for while the first connection is made, before a message needs it.
#[derive(Debug)]
enum FirstId {
    Wanted,
    Here(ProducerId),
    /// Used, or never needed: others are asked for when they are needed.
    Done,
}

impl MessengerEngine {
    pub(crate) fn new(config: &ProducerConfig, clock: Clock, observer: Observer) -> Self {
        let settings = Settings {
            client_id: config.client_id.as_str().into(),
            connect_timeout: config.timeouts.connect,
            idle: config.timeouts.idle,
            clock,
            #[cfg(feature = "tls")]
            tls: config.tls.clone().map(tls::Tls::new),
            sasl: config.sasl.clone(),
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
            compression: config.batch.compression,
            allow_auto_create_topics: config.allow_auto_create_topics,
            first_id: Mutex::new(if config.is_idempotent() { FirstId::Wanted } else { FirstId::Done }),
        }
    }

    fn clock(&self) -> &Clock {
        &self.brokers.settings().clock
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
        connection.request(self.metadata_request(topics, ask), self.small_limit(), self.clock()).await
    }

    /// A connection to any broker. One that has to be made asks for these topics as it is made.
    async fn any(
        &self,
        topics: Option<(&[Arc<str>], Ask)>,
    ) -> Result<(Arc<Connection>, Option<MetadataResponse>)> {
        let wanted = Wanted {
            metadata: topics.map(|(topics, ask)| self.metadata_request(topics, ask)),
            producer_id: matches!(*self.first_id.lock(), FirstId::Wanted),
        };
        let (connection, answered) = self.brokers.any(Some(wanted)).await?;
        if let Some(id) = answered.producer_id.filter(|answer| answer.error_code == 0) {
            let mut first = self.first_id.lock();
            if let FirstId::Wanted = *first {
                *first = FirstId::Here(ProducerId { id: id.producer_id, epoch: id.epoch });
            }
        }
        Ok((connection, answered.metadata))
    }

    /// Asks any broker about these topics, and takes over what it says of the brokers.
    async fn tell_metadata(&self, topics: &[Arc<str>], ask: Ask) -> Result<MetadataResponse> {
        let mut response = match self.any(Some((topics, ask))).await? {
            (_, Some(response)) => response,
            // Metadata changes nothing, so that its loss leaves nothing in doubt.
            (connection, None) => self
                .ask_metadata(&connection, topics, ask)
                .await
                .map_err(|error| error.with_fate(Fate::NotPersisted))?,
        };
        self.brokers.learn(response.brokers.drain(..).filter_map(|broker| {
            let port = u16::try_from(broker.port).ok().filter(|port| *port != 0)?;
            Some((NodeId(i64::from(broker.id)), Address::new(broker.host, port)))
        }));
        Ok(response)
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
impl Engine for MessengerEngine {
    async fn connect(&self) -> Result<()> {
        // A listener that wants a login lets one ask for versions without; metadata it does not tell.
        self.tell_metadata(&[], Ask::Refresh).await.map(drop)
    }

    async fn metadata(&self, topics: &[Arc<str>], ask: Ask) -> Result<Metadata> {
        let asked: HashSet<&str> = topics.iter().map(|topic| &**topic).collect();
        let answered = self.tell_metadata(topics, ask).await?;
        // Of other topics nothing was asked, and nothing is kept.
        let topics = answered.topics.into_iter().filter(|topic| asked.contains(topic.name.as_str()));
        let is_listed = |node| self.brokers.address(node).is_some();
        let topics = topics.map(|topic| topic_metadata(topic, is_listed)).collect();
        Ok(Metadata { cluster_id: answered.cluster_id.map(Into::into), topics })
    }

    async fn producer_id(&self) -> Result<ProducerId> {
        if let FirstId::Here(id) = std::mem::replace(&mut *self.first_id.lock(), FirstId::Done) {
            return Ok(id);
        }
        let (connection, _) = self.brokers.any(None).await?;
        let answer = connection
            .request(InitProducerIdRequest, self.small_limit(), self.clock())
            .await
            .map_err(|error| error.with_fate(Fate::NotPersisted))?;
        match answer.error_code {
            0 => Ok(ProducerId { id: answer.producer_id, epoch: answer.epoch }),
            code => Err(Error::from_broker(code, None).with_fate(Fate::NotPersisted)),
        }
    }

    async fn produce(&self, node: NodeId, parcels: &[Parcel]) -> Result<Produced> {
        let address = self.address(node)?;
        let limit = self.brokers.settings().connect_timeout.saturating_mul(CONNECTING);
        let connection = timeout(limit, self.brokers.connection(&address)).await.map_err(|_| {
            unreachable(&address, &format!("no connection within {limit:?}, other attempts included"))
        })??;
        let request = ProduceRequest {
            acks: self.acks,
            timeout: self.request_timeout,
            compression: self.compression,
            log: &self.brokers.settings().observer.log,
            parcels,
        };
        let response = connection.request(request, self.request_timeout, self.clock()).await?;
        Ok(Produced { throttle: response.throttle, answers: in_order(&response, parcels) })
    }

    async fn probe(&self, node: Option<NodeId>) -> Result<()> {
        let connection = match node {
            Some(node) => self.brokers.connection(&*self.address(node)?).await?,
            None => self.any(None).await?.0,
        };
        self.ask_metadata(&connection, &[], Ask::Refresh).await.map(drop)
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

    fn reset(&self) {
        self.brokers.reset();
    }

    fn close(&self) {
        self.brokers.reset();
    }
}

/// More partitions than any topic has. Each takes memory here, and a broker cannot claim more.
const MOST_PARTITIONS: usize = 100_000;

/// `is_listed`: whether a broker has an address, without which it leads nothing that could be sent.
fn topic_metadata(topic: api::Topic, is_listed: impl Fn(NodeId) -> bool) -> TopicMetadata {
    let leaders = match topic.error_code {
        // 5 (LEADER_NOT_AVAILABLE) is said of a topic whose partitions are just being created.
        0 | 5 if (1..=MOST_PARTITIONS).contains(&topic.partitions.len()) => {
            // Partitions are numbered from 0 without gaps; a broker that says otherwise has not said who leads.
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

/// Answers in the order of the parcels: Kafka re-orders them. A parcel without an answer is possibly stored.
fn in_order(response: &ProduceResponse, parcels: &[Parcel]) -> Vec<Answer> {
    let mut found: HashMap<(&str, i32), Answer> = HashMap::with_capacity(parcels.len());
    for (topic, partitions) in &response.topics {
        for (index, answer) in partitions {
            found.insert((topic, *index), answer.clone());
        }
    }
    parcels
        .iter()
        .map(|parcel| {
            let partition = &parcel.partition;
            found.remove(&(&**partition.topic(), partition.index())).unwrap_or_else(|| Answer {
                error_code: -1,
                detail: Some("the answer does not mention the partition".into()),
                ..Answer::default()
            })
        })
        .collect()
}
