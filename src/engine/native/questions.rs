//! Questions that any broker can answer: metadata, producer ids.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::api::{Broker, InitProducerIdRequest, InitProducerIdResponse, MetadataResponse};
use super::connection::Connection;
use super::handshake::Wanted;
use super::identity::Peer;
use super::{NativeEngine, REBOOTSTRAP_REQUIRED};
use crate::config::Address;
use crate::engine::{Ask, NodeId};
use crate::error::{Error, ErrorKind, Fate, Result};
use crate::record::ProducerId;

/// A broker's node and address, where it can be connected to.
pub(super) fn listed(broker: &Broker) -> Option<(NodeId, Address)> {
    let port = u16::try_from(broker.port).ok().filter(|port| *port != 0)?;
    let listed = broker.id >= 0 && !broker.host.is_empty();
    listed.then(|| (NodeId(i64::from(broker.id)), Address::new(broker.host.clone(), port)))
}

/// How long one broker may leave a request unanswered before another one gets it as well.
const HEDGE: Duration = Duration::from_secs(1);
/// Between two looks at whether a broker that was silent has answered by now.
const AGAIN: Duration = Duration::from_millis(200);
/// How often a producer id is requested that a former cluster granted too.
const TRIES_FOR_AN_ID: usize = 10;

/// The first producer id is requested while the first connection is made, before a message needs it.
#[derive(Debug)]
pub(super) enum FirstId {
    Wanted,
    Here(ProducerId),
    /// Used, or never needed: others are requested when they are needed.
    Done,
}

/// What is asked on a connection. The metadata that was answered while it was made spares a question.
type Question<'a, T> =
    dyn Fn(Arc<Connection>, Option<MetadataResponse>) -> BoxFuture<'a, Result<T>> + Send + Sync + 'a;

impl NativeEngine {
    /// Asks any broker about these topics, and takes over what it says of the brokers.
    pub(super) async fn tell_metadata(&self, topics: &[Arc<str>], ask: Ask) -> Result<MetadataResponse> {
        let question = |connection: Arc<Connection>, answered| -> BoxFuture<'_, _> {
            Box::pin(async move {
                let metadata = match answered {
                    Some(metadata) => metadata,
                    None => self.ask_metadata(&connection, topics, ask).await?,
                };
                Ok((connection, metadata))
            })
        };
        let mut answer = self.ask_any(topics, ask, &question).await;
        if answer.as_ref().is_err_and(|error| self.must_start_anew(error)) {
            self.brokers.start_anew();
            answer = self.ask_any(topics, ask, &question).await;
        }
        let (_, metadata) = answer?;
        self.recovery.answered();
        self.brokers.adopt(&metadata.cluster_id.as_deref().map(Arc::from));
        self.brokers.learn(metadata.brokers.iter().filter_map(listed));
        Ok(metadata)
    }

    /// Whether the brokers that are known are of no use: one says so, or none has answered for long (KIP-1102).
    fn must_start_anew(&self, error: &Error) -> bool {
        let required = error.broker_error().is_some_and(|error| error.code() == REBOOTSTRAP_REQUIRED);
        required || self.recovery.is_due(Instant::now())
    }

    /// Asks any broker for a producer id.
    pub(super) async fn ask_producer_id(&self) -> Result<ProducerId> {
        if let FirstId::Here(id) = std::mem::replace(&mut *self.first_id.lock(), FirstId::Done) {
            return Ok(id);
        }
        let question = |connection: Arc<Connection>, _| -> BoxFuture<'_, _> {
            Box::pin(async move {
                self.brokers.adopt(&self.peer(&connection).await?.cluster);
                let limit = self.small_limit();
                let answer = connection.request(InitProducerIdRequest, limit, self.clock()).await?;
                Ok((connection, answer))
            })
        };
        for _ in 0..TRIES_FOR_AN_ID {
            let (connection, answer) = self.ask_any(&[], Ask::Refresh, &question).await?;
            match answer.error_code {
                0 => {
                    if let Some(id) = self.granted(&connection, &answer) {
                        return Ok(id);
                    }
                }
                code => return Err(Error::from_broker(code, None).with_fate(Fate::NotPersisted)),
            }
        }
        Err(Error::new(
            ErrorKind::Broker,
            "the cluster grants only producer ids that a former cluster granted too",
        ))
    }

    /// The id, unless it could belong to another cluster.
    fn granted(&self, connection: &Connection, answer: &InitProducerIdResponse) -> Option<ProducerId> {
        let cluster = &connection.peer()?.cluster;
        let id = ProducerId { id: answer.producer_id, epoch: answer.epoch };
        self.brokers.clusters.granted(id.id, cluster).then_some(id)
    }

    /// Who answers on a connection, asked where that is not known yet.
    pub(super) async fn peer<'a>(&self, connection: &'a Arc<Connection>) -> Result<&'a Peer> {
        if connection.peer().is_none() {
            self.ask_metadata(connection, &[], Ask::Refresh).await?;
        }
        connection.peer().ok_or_else(|| Error::new(ErrorKind::Internal, "no broker answers"))
    }

    /// Asks one broker, and another one where the first is silent; the first answer counts.
    async fn ask_any<'a, T>(
        &'a self,
        topics: &'a [Arc<str>],
        ask: Ask,
        question: &'a Question<'a, T>,
    ) -> Result<T> {
        let mut asked: Vec<Address> = Vec::new();
        let mut questions = FuturesUnordered::<BoxFuture<'a, Result<T>>>::new();
        let mut raced = false;
        self.brokers.bootstrap.resolve().await;
        let turn = self.rotation.lock().next(Instant::now());
        loop {
            let standing = self
                .brokers
                .standing(turn, |connection| !connection.is_silent() && !asked.contains(&connection.address));
            let mut others = true;
            if let Some(connection) = standing {
                asked.push(connection.address.clone());
                questions.push(question(connection, None));
            } else if let Some(candidates) = self.candidates(&asked).filter(|_| !raced) {
                raced = true;
                questions.push(Box::pin(async move {
                    let (connection, metadata) = self.race(&candidates, topics, ask).await?;
                    question(connection, metadata).await
                }));
            } else {
                others = false;
                if questions.is_empty() {
                    // All candidates are silent already.
                    let silent = self.brokers.standing(turn, |_| ask != Ask::Elsewhere);
                    let silent = silent
                        .ok_or_else(|| Error::new(ErrorKind::Unreachable, "there is no other broker"))?;
                    questions.push(question(silent, None));
                }
            }
            loop {
                tokio::select! {
                    biased;
                    Some(answer) = questions.next() => match answer {
                        // These questions change nothing, so that their loss leaves nothing in doubt.
                        Err(error) if questions.is_empty() => return Err(error.with_fate(Fate::NotPersisted)),
                        Err(_) => {}
                        Ok(answer) => return Ok(answer),
                    },
                    () = tokio::time::sleep(if others { HEDGE } else { AGAIN }) => break,
                }
            }
        }
    }

    /// The brokers that can be connected to, without those that are being asked or are silent.
    fn candidates(&self, asked: &[Address]) -> Option<Vec<Address>> {
        let mut candidates = self.brokers.candidates();
        candidates.retain(|address| !asked.contains(address) && !self.brokers.is_silent(address));
        (!candidates.is_empty()).then_some(candidates)
    }

    /// The first connection that can be made; it asks for these topics as it is made.
    async fn race(
        &self,
        candidates: &[Address],
        topics: &[Arc<str>],
        ask: Ask,
    ) -> Result<(Arc<Connection>, Option<MetadataResponse>)> {
        let wanted = Wanted {
            metadata: Some(self.metadata_request(topics, ask)),
            producer_id: matches!(*self.first_id.lock(), FirstId::Wanted),
        };
        let (connection, answered) = self.brokers.race(candidates, wanted).await?;
        if let Some(answer) = answered.producer_id.filter(|answer| answer.error_code == 0) {
            let mut first = self.first_id.lock();
            if let (FirstId::Wanted, Some(id)) = (&*first, self.granted(&connection, &answer)) {
                *first = FirstId::Here(id);
            }
        }
        Ok((connection, answered.metadata))
    }
}
