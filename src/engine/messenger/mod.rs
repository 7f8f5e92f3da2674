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
mod watch;
mod wire;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::timeout;

use self::api::{InitProducerIdRequest, MetadataRequest, MetadataResponse, ProduceRequest, ProduceResponse};
use self::brokers::Brokers;
use self::connection::{Connection, Settings, unreachable};
use self::handshake::Wanted;
#[cfg(feature = "tls")]
pub(crate) use self::tls::check as check_tls;
pub(crate) use self::watch::Observer;
use super::{Answer, CONNECTING, Engine, NodeId, Parcel, Produced, TopicMetadata};
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

    fn metadata_request<'a>(&self, topics: &'a [Arc<str>]) -> MetadataRequest<'a> {
        MetadataRequest { topics, allow_auto_topic_creation: self.allow_auto_create_topics }
    }

    async fn ask_metadata(
        &self,
        connection: &Arc<Connection>,
        topics: &[Arc<str>],
    ) -> Result<MetadataResponse> {
        connection.request(self.metadata_request(topics), self.small_limit(), self.clock()).await
    }

    /// A connection to any broker. One that has to be made asks for these topics as it is made.
    async fn any(&self, topics: Option<&[Arc<str>]>) -> Result<(Arc<Connection>, Option<MetadataResponse>)> {
        let wanted = Wanted {
            metadata: topics.map(|topics| self.metadata_request(topics)),
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
    async fn tell_metadata(&self, topics: &[Arc<str>]) -> Result<Vec<api::Topic>> {
        let response = match self.any(Some(topics)).await? {
            (_, Some(response)) => response,
            // Metadata changes nothing, so that its loss leaves nothing in doubt.
            (connection, None) => self
                .ask_metadata(&connection, topics)
                .await
                .map_err(|error| error.with_fate(Fate::NotPersisted))?,
        };
        self.brokers.learn(response.brokers.into_iter().filter_map(|broker| {
            let port = u16::try_from(broker.port).ok().filter(|port| *port != 0)?;
            Some((NodeId(i64::from(broker.id)), Address::new(broker.host, port)))
        }));
        Ok(response.topics)
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
        self.tell_metadata(&[]).await.map(drop)
    }

    async fn metadata(&self, topics: &[Arc<str>]) -> Result<Vec<TopicMetadata>> {
        let asked: HashSet<&str> = topics.iter().map(|topic| &**topic).collect();
        let answered = self.tell_metadata(topics).await?;
        // Of other topics nothing was asked, and nothing is kept.
        let answered = answered.into_iter().filter(|topic| asked.contains(topic.name.as_str()));
        Ok(answered.map(topic_metadata).collect())
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
        self.ask_metadata(&connection, &[]).await.map(drop)
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

fn topic_metadata(topic: api::Topic) -> TopicMetadata {
    let leaders = match topic.error_code {
        // 5 (LEADER_NOT_AVAILABLE) is said of a topic whose partitions are just being created.
        0 | 5 if !topic.partitions.is_empty() => {
            // Partitions are numbered from 0 without gaps; a broker that says otherwise has not said who leads.
            let mut leaders = vec![None; topic.partitions.len()];
            let mut described = vec![false; leaders.len()];
            for partition in &topic.partitions {
                let place = usize::try_from(partition.index).ok().filter(|at| *at < leaders.len());
                if let Some(at) = place {
                    described[at] = true;
                    leaders[at] = (partition.leader >= 0).then(|| NodeId(i64::from(partition.leader)));
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
    TopicMetadata { name: topic.name.into(), leaders }
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
