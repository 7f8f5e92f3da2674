//! A real Apache Kafka on this machine: jars from Maven Central, Java 17, KRaft, one or three nodes.

pub(crate) mod admin;
mod builder;
mod install;
mod java_reader;
mod listener;
mod msk;
pub(crate) mod node;
pub(crate) mod reader;
pub(crate) mod wire;
mod zookeeper;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

pub use self::builder::JvmClusterBuilder;
pub use self::listener::Listener;
use self::node::Node;
pub use self::reader::{Reader, read_by_kcat};
pub use self::zookeeper::{OldKafka, ZooKeeperCluster, ZooKeeperClusterBuilder};
use crate::availability::Availability;
use crate::{Certificates, FaultProxy, Mechanism};

/// Version of Apache Kafka that is run.
const VERSION: &str = "4.1.1";

/// A real cluster. Dropping it ends its processes and removes its data; so does the end of this process, however it
/// comes.
#[derive(Debug)]
pub struct JvmCluster {
    nodes: Vec<Node>,
    /// Where there is no proxy.
    addresses: BTreeMap<Listener, Vec<SocketAddr>>,
    proxies: BTreeMap<Listener, Vec<FaultProxy>>,
    certificates: Option<Certificates>,
    data: PathBuf,
    libs: PathBuf,
    /// Started with the first read.
    java_reader: tokio::sync::Mutex<Option<java_reader::JavaReader>>,
}

/// Why a cluster could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JvmError {
    /// A tool is missing.
    #[error("{what} is needed to run a real Kafka: {remedy}")]
    Missing {
        /// The tool.
        what: &'static str,
        /// How to get it.
        remedy: &'static str,
    },
    /// A command failed.
    #[error("{command} failed: {output}")]
    Command {
        /// The command.
        command: String,
        /// What it said.
        output: String,
    },
    /// A broker did not become ready.
    #[error("node {node} was not ready within {limit:?}; its log ends with:\n{log}")]
    NotReady {
        /// The node.
        node: i32,
        /// The time it had.
        limit: Duration,
        /// End of its log.
        log: String,
    },
    /// A broker refused a request.
    #[error("{what}: the broker answered error {code}")]
    Refused {
        /// What was asked.
        what: String,
        /// Kafka's error code.
        code: i16,
    },
    /// Input or output failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

type Result<T, E = JvmError> = std::result::Result<T, E>;

/// How long a node may take to be ready.
const READY_LIMIT: Duration = Duration::from_secs(90);

impl JvmCluster {
    /// How to make one.
    #[must_use]
    pub fn builder() -> JvmClusterBuilder {
        JvmClusterBuilder::default()
    }

    /// Whether Java and Maven are here.
    #[must_use]
    pub fn availability() -> Availability {
        install::availability(VERSION)
    }

    /// For tests: whether to go on. Reports what is skipped where Java or Maven is missing.
    ///
    /// # Panics
    ///
    /// Instead of skipping, if `KAFKA_TESTS=required` is set.
    #[must_use]
    pub fn available_or_skip(test: &str) -> bool {
        Self::availability().or_skip(test, "a real Kafka")
    }

    /// `host:port` of every node.
    #[must_use]
    pub fn bootstrap(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect()
    }

    /// `host:port` of every node at one of its listeners; of the proxies in front of them, if the cluster was made
    /// [`proxied`](JvmClusterBuilder::proxied). The brokers advertise the same to who comes in there.
    ///
    /// Empty if the cluster has no such listener: all but the plaintext one need
    /// [`secured`](JvmClusterBuilder::secured).
    #[must_use]
    pub fn bootstrap_at(&self, listener: Listener) -> Vec<String> {
        match self.proxies.get(&listener) {
            Some(proxies) => proxies.iter().map(|proxy| proxy.address().to_string()).collect(),
            None => self.addresses.get(&listener).into_iter().flatten().map(SocketAddr::to_string).collect(),
        }
    }

    /// `host:port` of a proxy in front of every node; the brokers advertise these to who comes through them.
    #[must_use]
    pub fn proxied_bootstrap(&self) -> Vec<String> {
        self.proxies
            .get(&Listener::Plaintext)
            .into_iter()
            .flatten()
            .map(|p| p.address().to_string())
            .collect()
    }

    /// The proxy in front of a node.
    ///
    /// # Panics
    ///
    /// If the cluster was made without [`proxied`](JvmClusterBuilder::proxied).
    #[must_use]
    pub fn proxy(&self, node: i32) -> &FaultProxy {
        self.proxy_at(Listener::Plaintext, node)
    }

    /// The proxy in front of one of a node's listeners.
    ///
    /// # Panics
    ///
    /// If the cluster was made without [`proxied`](JvmClusterBuilder::proxied), or has no such listener.
    #[must_use]
    pub fn proxy_at(&self, listener: Listener, node: i32) -> &FaultProxy {
        &self.proxies[&listener][node as usize - 1]
    }

    /// The certificates, if the cluster was made [`secured`](JvmClusterBuilder::secured).
    #[must_use]
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// Where they lie as files, see [`Certificates::write_to`].
    #[must_use]
    pub fn certificates_dir(&self) -> PathBuf {
        self.data.join("certificates")
    }

    /// Settings by which a Java client comes in as [`USER`](crate::USER); librdkafka has other names for some.
    #[must_use]
    pub fn client_properties(
        &self,
        listener: Listener,
        mechanism: Option<Mechanism>,
    ) -> BTreeMap<String, String> {
        let file = |name| self.certificates_dir().join(name).display().to_string();
        let mut properties = BTreeMap::new();
        let mut set = |key: &str, value: String| properties.insert(key.to_owned(), value);
        set("bootstrap.servers", self.bootstrap_at(listener).join(","));
        set("security.protocol", listener.protocol().into());
        if listener.has_tls() {
            set("ssl.truststore.type", "PEM".into());
            set("ssl.truststore.location", file("ca.pem"));
        }
        if listener.wants_certificate() {
            set("ssl.keystore.type", "PEM".into());
            set("ssl.keystore.location", file("client.keystore.pem"));
        }
        if let Some(mechanism) = mechanism {
            set("sasl.mechanism", mechanism.name().into());
            set("sasl.jaas.config", listener::client_jaas(mechanism));
        }
        properties
    }

    /// Where a node keeps its partitions' logs: a folder `TOPIC-PARTITION` for each.
    #[must_use]
    pub fn log_dir(&self, node: i32) -> PathBuf {
        self.data.join(format!("node-{node}")).join("data")
    }

    /// Ids of the nodes, from 1.
    pub fn node_ids(&self) -> impl Iterator<Item = i32> + use<> {
        1..=self.nodes.len() as i32
    }

    /// Kills a node as a power cut would (SIGKILL).
    ///
    /// # Errors
    ///
    /// If the signal cannot be sent.
    pub fn kill(&mut self, node: i32) -> Result<()> {
        self.node(node).kill()
    }

    /// Ends a node cleanly: leadership moves first. Returns once the process is gone.
    ///
    /// # Errors
    ///
    /// If the signal cannot be sent.
    pub async fn terminate(&mut self, node: i32) -> Result<()> {
        self.node(node).terminate().await
    }

    /// Freezes a node (SIGSTOP).
    ///
    /// # Errors
    ///
    /// If the signal cannot be sent.
    pub fn freeze(&mut self, node: i32) -> Result<()> {
        self.node(node).signal("STOP")
    }

    /// Thaws a node (SIGCONT).
    ///
    /// # Errors
    ///
    /// If the signal cannot be sent.
    pub fn thaw(&mut self, node: i32) -> Result<()> {
        self.node(node).signal("CONT")
    }

    /// Has a node's disk take nothing more, until it is restarted: every write fails (EFBIG). A node with one log
    /// directory then fails. Needs no mount and holds for root too.
    ///
    /// # Errors
    ///
    /// If `prlimit` (util-linux) is missing or refuses.
    pub fn fill_disk(&mut self, node: i32) -> Result<()> {
        self.node(node).limit_files(1)
    }

    /// Whether a node's process runs.
    #[must_use]
    pub fn is_running(&self, node: i32) -> bool {
        self.nodes[node as usize - 1].is_running()
    }

    /// Starts a node again, with its data and on its port, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// If it does not become ready.
    pub async fn restart(&mut self, node: i32) -> Result<()> {
        let libs = self.libs.clone();
        self.node(node).start(&libs)?;
        self.wait_ready(node).await
    }

    fn node(&mut self, node: i32) -> &mut Node {
        &mut self.nodes[node as usize - 1]
    }

    async fn wait_ready(&self, id: i32) -> Result<()> {
        let node = &self.nodes[id as usize - 1];
        let until = Instant::now() + READY_LIMIT;
        loop {
            let known = match admin::brokers(&format!("127.0.0.1:{}", node.port)).await {
                Ok(brokers) => brokers.contains(&id),
                Err(_) => false,
            };
            if known {
                return Ok(());
            }
            if Instant::now() > until || !node.is_running() {
                return Err(JvmError::NotReady { node: id, limit: READY_LIMIT, log: node.log_tail() });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The folder of Kafka's jars, for programs that use its client.
    #[must_use]
    pub fn libs(&self) -> PathBuf {
        self.libs.clone()
    }

    /// Runs one of Kafka's own command line tools, such as `kafka.admin.ConfigCommand`.
    ///
    /// # Errors
    ///
    /// If it fails, with what it said.
    pub async fn tool(&self, class: &str, args: &[&str]) -> Result<String> {
        node::java(&self.libs, &["-XX:TieredStopAtLevel=1", class], args).await
    }
}

impl Drop for JvmCluster {
    fn drop(&mut self) {
        self.nodes.clear();
        // What cannot be removed is in the system's folder for temporary files.
        _ = std::fs::remove_dir_all(&self.data);
    }
}
