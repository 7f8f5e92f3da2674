//! How a fake cluster is made.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use parking_lot::Mutex;

use super::api::{self, Offers};
use super::identity::new_cluster_id;
use super::node::Listening;
use super::sasl::Sasl;
use super::state::{Mode, Node, Shared, State};
use super::tls::Tls;
use super::{Api, FakeCluster};
use crate::SimNet;

/// Settings of a [`FakeCluster`]; [`FakeCluster::builder`] begins one.
#[derive(Clone, Debug)]
pub struct FakeClusterBuilder {
    brokers: usize,
    first_node_id: i32,
    only_client: Option<String>,
    port: u16,
    topics: Vec<(String, i32)>,
    auto_create: bool,
    default_partitions: i32,
    max_message_bytes: usize,
    sasl: Option<Sasl>,
    tls: Tls,
    offers: Offers,
}

impl Default for FakeClusterBuilder {
    fn default() -> Self {
        Self {
            brokers: 1,
            first_node_id: 0,
            only_client: None,
            port: 0,
            topics: Vec::new(),
            auto_create: false,
            default_partitions: 1,
            max_message_bytes: 1_048_588,
            sasl: None,
            tls: Tls::default(),
            offers: api::all(),
        }
    }
}

impl FakeClusterBuilder {
    /// Number of brokers. Default 1. Partitions are led by them in turn.
    #[must_use]
    pub fn brokers(mut self, brokers: usize) -> Self {
        self.brokers = brokers.max(1);
        self
    }

    /// Id that the first broker reports; the others follow. Default 0. Methods of the cluster count from 0 in any case.
    #[must_use]
    pub fn first_node_id(mut self, id: i32) -> Self {
        self.first_node_id = id;
        self
    }

    /// Serves clients with this id only, and closes the connections of others. Default: all. Where many clusters come and go, a
    /// client that was left over from another one may otherwise come in at a port that is used again.
    #[must_use]
    pub fn only_client(mut self, id: impl Into<String>) -> Self {
        self.only_client = Some(id.into());
        self
    }

    /// Port of the first broker; the others take the following ones. Default 0: any.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// A topic that is there from the start.
    #[must_use]
    pub fn topic(mut self, name: impl Into<String>, partitions: i32) -> Self {
        self.topics.push((name.into(), partitions));
        self
    }

    /// Whether asking for a topic may create it, with so many partitions. Default no.
    #[must_use]
    pub fn auto_create(mut self, partitions: i32) -> Self {
        self.auto_create = true;
        self.default_partitions = partitions;
        self
    }

    /// Largest batch. Default 1,048,588 bytes, as Kafka's `message.max.bytes`.
    #[must_use]
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = bytes;
        self
    }

    /// Has every broker demand SASL. Default: none.
    #[must_use]
    pub fn sasl(mut self, sasl: Sasl) -> Self {
        self.sasl = Some(sasl);
        self
    }

    /// Has every broker offer an API in these versions; see [`FakeCluster::offer`].
    #[must_use]
    pub fn offer(mut self, api: Api, versions: RangeInclusive<i16>) -> Self {
        self.offers.insert(api as i16, (*versions.start(), *versions.end()));
        self
    }

    /// Has every broker offer what a producer asks for in its newest version only; `ApiVersions`, which is how a client
    /// learns that, in all of its versions.
    #[must_use]
    pub fn only_newest(mut self) -> Self {
        for api in
            [Api::Produce, Api::Metadata, Api::InitProducerId, Api::SaslHandshake, Api::SaslAuthenticate]
        {
            if let Some((oldest, newest)) = self.offers.get_mut(&(api as i16)) {
                *oldest = *newest;
            }
        }
        self
    }

    /// Has every broker offer what a producer asks for as Kafka 0.11 does, whose versions are the oldest with record
    /// batches.
    #[must_use]
    pub fn only_oldest(self) -> Self {
        self.offer(Api::Produce, 3..=3)
            .offer(Api::Metadata, 4..=4)
            .offer(Api::InitProducerId, 0..=0)
            .offer(Api::ApiVersions, 0..=0)
            .offer(Api::SaslAuthenticate, 0..=0)
    }

    /// Has no broker offer an API.
    #[must_use]
    pub fn without(mut self, api: Api) -> Self {
        self.offers.remove(&(api as i16));
        self
    }

    /// Has every broker speak TLS with this configuration, whose crypto provider is yours. Default: plaintext.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, config: std::sync::Arc<tokio_rustls::rustls::ServerConfig>) -> Self {
        self.tls = Tls::by(config);
        self
    }

    /// Starts the cluster.
    ///
    /// # Errors
    ///
    /// If no port is available.
    pub async fn start(self) -> std::io::Result<FakeCluster> {
        self.start_on(None)
    }

    /// Starts the cluster on a network in memory.
    pub(crate) fn on(self, net: SimNet) -> std::io::Result<FakeCluster> {
        self.start_on(Some(net))
    }

    fn start_on(self, net: Option<SimNet>) -> std::io::Result<FakeCluster> {
        let mut state = State {
            net,
            first_node_id: self.first_node_id,
            only_client: self.only_client,
            auto_create: self.auto_create,
            default_partitions: self.default_partitions,
            max_message_bytes: self.max_message_bytes,
            next_producer_id: 1_000,
            sasl: self.sasl,
            tls: self.tls,
            ..State::default()
        };
        state.cluster_id = Some(new_cluster_id(&state));
        let shared = Shared::new(state);
        let mut nodes = Vec::new();
        for node in 0..self.brokers {
            let port = if self.port == 0 { 0 } else { self.port + node as u16 };
            let listening = Listening::start(&shared, node as i32, SocketAddr::from(([127, 0, 0, 1], port)))?;
            shared.lock().nodes.push(Node {
                address: listening.address(),
                mode: Mode::Up,
                fenced: false,
                rack: None,
                offers: self.offers.clone(),
                accepted: 0,
                open: 0,
            });
            nodes.push(Some(listening));
        }
        for (topic, partitions) in &self.topics {
            shared.lock().create_topic(topic, *partitions);
        }
        Ok(FakeCluster { shared, nodes: Mutex::new(nodes) })
    }
}
