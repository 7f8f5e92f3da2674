//! The baseline engine: rskafka's stable `PartitionClient`, one connection per partition.
//!
//! What rskafka does by itself is held down to one attempt per call, within our time limit; a call that times out
//! takes its connections with it, as rskafka would keep using them. What cannot be held down: a batch that the
//! broker stored **and throttled** is sent again by rskafka until the broker stops throttling or our time limit
//! ends it. `Capabilities` declares the rest.

mod classify;
mod sasl;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use rskafka::BackoffConfig;
use rskafka::chrono::{DateTime, Utc};
use rskafka::client::partition::{Compression as Codec, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use tokio::time::Instant;

use self::classify::classify;
use super::{
    Answer, Ask, ClusterMetadata, Engine, Late, Leadership, NodeId, PartitionBatch, Produced, TopicMetadata,
};
use crate::compression::Compression;
use crate::config::{Address, ProducerConfig, SaslConfig};
use crate::error::{Error, ErrorKind, Fate, Result};
use crate::message::Message;
use crate::net::{HEAD_START, race};
use crate::record::ProducerId;

const MAX_ANSWER: usize = 16 << 20;
/// A client of this age looks again before it opens a partition: rskafka follows a leader that moved only
/// while its own metadata is fresh.
const STALE: Duration = Duration::from_secs(5);

pub(crate) struct PartitionClientEngine {
    bootstrap: Vec<Address>,
    client_id: Arc<str>,
    connect_timeout: Duration,
    request_timeout: Duration,
    codec: Codec,
    sasl: Option<SaslConfig>,
    client: tokio::sync::Mutex<Option<(Arc<Client>, Instant)>>,
    places: Mutex<Places>,
    next_node: AtomicI64,
}

/// Partitions by the nodes that stand for them: rskafka does not expose leaders, so that each partition is a
/// separate destination.
#[derive(Default)]
struct Places {
    nodes: HashMap<(Arc<str>, i32), NodeId>,
    places: HashMap<NodeId, Place>,
}

#[derive(Clone)]
struct Place {
    topic: Arc<str>,
    partition: i32,
    client: Option<Arc<PartitionClient>>,
}

impl PartitionClientEngine {
    pub(crate) fn new(config: &ProducerConfig) -> Self {
        Self {
            bootstrap: config.addresses(),
            client_id: config.client_id.as_str().into(),
            connect_timeout: config.timeouts.connect,
            request_timeout: config.timeouts.request,
            codec: codec(config.batch.compression),
            sasl: config.sasl.as_ref().map(|sasl| sasl.prepared(config)),
            client: tokio::sync::Mutex::default(),
            places: Mutex::default(),
            next_node: AtomicI64::new(0),
        }
    }

    /// The client, made if need be: every bootstrap broker is raced, as rskafka would try them one by one.
    async fn client(&self) -> Result<Arc<Client>> {
        let mut current = self.client.lock().await;
        if let Some((client, _)) = &*current {
            return Ok(client.clone());
        }
        let attempts: Vec<_> = self.bootstrap.iter().map(|address| self.build(address)).collect();
        let client = Arc::new(race(attempts, HEAD_START).await.map_err(unusable)?);
        *current = Some((client.clone(), Instant::now()));
        Ok(client)
    }

    /// A client that starts from one broker.
    async fn build(&self, address: &Address) -> Result<Client> {
        let named = |error: Error| error.with_broker(address.to_string());
        let building = async {
            let mut builder = ClientBuilder::new(vec![address.to_string()])
                .client_id(self.client_id.clone())
                .max_message_size(MAX_ANSWER)
                .backoff_config(single_attempt());
            if let Some(sasl) = &self.sasl {
                builder = builder.sasl_config(sasl::credentials(address, sasl).await?);
            }
            builder.build().await.map_err(|error| named(classify(error)))
        };
        let limit = self.connect_timeout;
        tokio::time::timeout(limit, building).await.unwrap_or_else(|_| {
            let text = format!("cannot reach {address}: no answer within {limit:?} (timeouts.connect)");
            Err(named(Error::new(ErrorKind::Unreachable, text)))
        })
    }

    /// Whatever was connected is not to be trusted any more.
    async fn drop_client(&self) {
        *self.client.lock().await = None;
        for place in self.places.lock().places.values_mut() {
            place.client = None;
        }
    }

    /// Runs one call of rskafka within `limit`; one that does not end takes all connections with it.
    async fn bounded<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, rskafka::client::error::Error>> + Send,
    ) -> Result<T> {
        let error = match tokio::time::timeout(limit, call).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => classify(error),
            Err(_) => {
                let text = format!("no answer within {limit:?} (timeouts.request)");
                Error::new(ErrorKind::ConnectionLost, text).with_fate(Fate::PossiblyPersisted)
            }
        };
        if matches!(error.kind(), ErrorKind::ConnectionLost | ErrorKind::Unreachable | ErrorKind::Protocol) {
            self.drop_client().await;
        }
        Err(error)
    }

    async fn partition_client(&self, node: NodeId) -> Result<Arc<PartitionClient>> {
        let place = self.places.lock().places.get(&node).cloned();
        let Some(place) = place else {
            return Err(Error::new(ErrorKind::Internal, "a partition that was never announced"));
        };
        if let Some(client) = place.client {
            return Ok(client);
        }
        let client = self.client().await?;
        if self.is_stale().await {
            self.bounded(self.request_timeout, client.list_topics()).await.map_err(unsent)?;
        }
        let opening = client.partition_client(&*place.topic, place.partition, UnknownTopicHandling::Error);
        let opened = Arc::new(self.bounded(self.connect_timeout, opening).await.map_err(unsent)?);
        self.set_client(node, Some(opened.clone()));
        Ok(opened)
    }

    async fn is_stale(&self) -> bool {
        let mut current = self.client.lock().await;
        match &mut *current {
            Some((_, looked)) if looked.elapsed() > STALE => {
                *looked = Instant::now();
                true
            }
            _ => false,
        }
    }

    fn set_client(&self, node: NodeId, client: Option<Arc<PartitionClient>>) {
        if let Some(place) = self.places.lock().places.get_mut(&node) {
            place.client = client;
        }
    }

    fn node_of(&self, topic: &Arc<str>, partition: i32) -> NodeId {
        let mut places = self.places.lock();
        if let Some(node) = places.nodes.get(&(topic.clone(), partition)) {
            return *node;
        }
        let node = NodeId(self.next_node.fetch_add(1, Ordering::Relaxed));
        places.nodes.insert((topic.clone(), partition), node);
        let place = Place { topic: topic.clone(), partition, client: None };
        places.places.insert(node, place);
        node
    }
}

/// Nothing of the caller's was in that call.
fn unsent(error: Error) -> Error {
    error.with_fate(Fate::NotPersisted)
}

/// With a deadline of nothing rskafka makes exactly one attempt, and forgets a leader that refused it.
fn single_attempt() -> BackoffConfig {
    BackoffConfig {
        init_backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(1),
        base: 2.0,
        deadline: Some(Duration::ZERO),
    }
}

fn unusable(failed: Vec<Error>) -> Error {
    let list: Vec<_> = failed.iter().map(ToString::to_string).collect();
    let specific = failed.iter().find(|e| e.kind() != ErrorKind::Unreachable);
    let kind = specific.map_or(ErrorKind::Unreachable, Error::kind);
    match failed.len() {
        1 => failed.into_iter().next().unwrap_or_else(|| Error::new(kind, "no broker can be used")),
        _ => Error::new(kind, format!("no broker can be used: {}", list.join("; "))),
    }
}

fn codec(compression: Compression) -> Codec {
    match compression {
        #[cfg(feature = "gzip")]
        Compression::Gzip => Codec::Gzip,
        #[cfg(feature = "snappy")]
        Compression::Snappy => Codec::Snappy,
        // Validation lets nothing else through.
        _ => Codec::NoCompression,
    }
}

fn to_rskafka((message, timestamp): (Message, i64)) -> rskafka::record::Record {
    let headers: BTreeMap<_, _> = message
        .headers
        .iter()
        .map(|header| (header.name.clone(), header.value.as_deref().unwrap_or_default().to_vec()))
        .collect();
    rskafka::record::Record {
        key: message.key.as_deref().map(<[u8]>::to_vec),
        value: message.value.as_deref().map(<[u8]>::to_vec),
        headers,
        timestamp: DateTime::<Utc>::from_timestamp_millis(timestamp).unwrap_or_default(),
    }
}

#[async_trait]
impl Engine for PartitionClientEngine {
    async fn connect(&self) -> Result<()> {
        self.client().await.map(drop)
    }

    async fn metadata(&self, topics: &[Arc<str>], _: Ask) -> Result<ClusterMetadata> {
        let client = self.client().await?;
        let all = self.bounded(self.request_timeout, client.list_topics()).await.map_err(unsent)?;
        let found = topics.iter().map(|name| {
            let leaders = match all.iter().find(|topic| topic.name == **name) {
                Some(topic) => {
                    let count = topic.partitions.len() as i32;
                    let leader = |partition| Some(self.node_of(name, partition));
                    Ok((0..count).map(|at| Leadership { node: leader(at), epoch: -1 }).collect())
                }
                None => Err(UNKNOWN_TOPIC),
            };
            TopicMetadata { name: name.clone(), id: None, leaders }
        });
        Ok(ClusterMetadata { cluster_id: None, brokers: Vec::new(), topics: found.collect() })
    }

    async fn producer_id(&self) -> Result<ProducerId> {
        Err(Error::new(ErrorKind::InvalidConfig, "the PartitionClient engine is not idempotent"))
    }

    async fn produce(&self, node: NodeId, batches: &[PartitionBatch<'_>], _: Late<'_>) -> Result<Produced> {
        let mut answers = Vec::with_capacity(batches.len());
        for batch in batches {
            let client = self.partition_client(node).await?;
            let records = batch.records.iter().map(to_rskafka).collect();
            let produced = self.bounded(self.request_timeout, client.produce(records, self.codec)).await;
            answers.push(match produced {
                Ok(offsets) => Answer { base_offset: offsets.first().copied(), ..Answer::default() },
                Err(error) => match error.broker_error() {
                    Some(code) => {
                        self.set_client(node, None);
                        // rskafka tries again by itself, and returns no offset with an error.
                        Answer { error_code: code.code(), appended: true, ..Answer::default() }
                    }
                    None => return Err(error),
                },
            });
        }
        Ok(Produced { answers, throttle: Duration::ZERO })
    }

    async fn probe(&self, _: Option<NodeId>) -> Result<()> {
        let client = self.client().await?;
        self.bounded(self.request_timeout, client.list_topics()).await.map(drop).map_err(unsent)
    }

    fn name_of(&self, node: NodeId) -> Arc<str> {
        match self.places.lock().places.get(&node) {
            Some(place) => format!("the leader of {}/{}", place.topic, place.partition).into(),
            None => "a broker".into(),
        }
    }

    fn disconnect(&self) {
        if let Ok(mut client) = self.client.try_lock() {
            *client = None;
        }
        for place in self.places.lock().places.values_mut() {
            place.client = None;
        }
    }
}

/// `UNKNOWN_TOPIC_OR_PARTITION`
const UNKNOWN_TOPIC: i16 = 3;
