//! A real Apache Kafka on this machine: jars from Maven Central, Java 17, KRaft, one or three nodes.

mod admin;
mod install;
mod node;
mod reader;
mod wire;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

pub use self::install::Availability;
use self::node::Node;
pub use self::reader::Reader;
use crate::FaultProxy;

/// Version of Apache Kafka that is run.
const VERSION: &str = "4.1.1";

/// A real cluster. Dropping it ends its processes and removes its data; so does the end of this process, however it
/// comes.
#[derive(Debug)]
pub struct JvmCluster {
    nodes: Vec<Node>,
    proxies: Vec<FaultProxy>,
    data: PathBuf,
    libs: PathBuf,
}

/// Settings of a [`JvmCluster`]; [`JvmCluster::builder`] begins one.
#[derive(Clone, Debug)]
pub struct JvmClusterBuilder {
    nodes: usize,
    config: BTreeMap<String, String>,
    heap_mb: u32,
    full_jit: bool,
    proxied: bool,
}

/// Why a cluster could not be had.
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

/// For so long a node may take to be ready.
const READY_LIMIT: Duration = Duration::from_secs(90);

impl JvmCluster {
    /// How to make one.
    #[must_use]
    pub fn builder() -> JvmClusterBuilder {
        JvmClusterBuilder { nodes: 1, config: BTreeMap::new(), heap_mb: 256, full_jit: false, proxied: false }
    }

    /// Whether Java and Maven are here.
    #[must_use]
    pub fn availability() -> Availability {
        install::availability()
    }

    /// For tests: whether to go on. Says aloud what is skipped where Java or Maven is missing.
    ///
    /// # Panics
    ///
    /// Instead of skipping, if `KAFKA_TESTS=required` is set.
    #[must_use]
    pub fn available_or_skip(test: &str) -> bool {
        let Availability::Missing { what, remedy } = Self::availability() else {
            return true;
        };
        assert!(
            std::env::var("KAFKA_TESTS").as_deref() != Ok("required"),
            "{test} needs a real Kafka, and {what} is missing: {remedy}"
        );
        // Past the test harness, which would keep it to itself.
        let said = writeln!(std::io::stderr(), "SKIPPED {test}: a real Kafka needs {what}: {remedy}");
        drop(said);
        false
    }

    /// `host:port` of every node.
    #[must_use]
    pub fn bootstrap(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect()
    }

    /// `host:port` of a proxy in front of every node; the brokers advertise these to who comes through them.
    #[must_use]
    pub fn proxied_bootstrap(&self) -> Vec<String> {
        self.proxies.iter().map(|proxy| proxy.address().to_string()).collect()
    }

    /// The proxy in front of a node.
    ///
    /// # Panics
    ///
    /// If the cluster was made without [`proxied`](JvmClusterBuilder::proxied).
    #[must_use]
    pub fn proxy(&self, node: i32) -> &FaultProxy {
        &self.proxies[node as usize - 1]
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
    /// directory then gives up. Needs no mount and holds for root too.
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

impl JvmClusterBuilder {
    /// Number of nodes, each broker and controller: 1 (the default) or 3.
    #[must_use]
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes.max(1);
        self
    }

    /// A broker setting, such as `("auto.create.topics.enable", "false")`.
    #[must_use]
    pub fn config(mut self, key: &str, value: &str) -> Self {
        self.config.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Heap of each node in MB. Default 256.
    #[must_use]
    pub fn heap_mb(mut self, heap_mb: u32) -> Self {
        self.heap_mb = heap_mb;
        self
    }

    /// Lets the JVM compile fully, for benchmarks; by default it starts faster instead.
    #[must_use]
    pub fn full_jit(mut self) -> Self {
        self.full_jit = true;
        self
    }

    /// Puts a [`FaultProxy`] in front of every node, see [`JvmCluster::proxied_bootstrap`].
    #[must_use]
    pub fn proxied(mut self) -> Self {
        self.proxied = true;
        self
    }

    /// Fetches the jars if they are not here, starts every node and waits until all are ready.
    ///
    /// # Errors
    ///
    /// If a tool is missing, or a node does not become ready.
    pub async fn start(self) -> Result<JvmCluster> {
        let libs = install::libs().await?;
        let data = node::temporary_dir()?;
        let count = self.nodes;
        let ports = node::free_ports(count * 3)?;
        let (plain, rest) = ports.split_at(count);
        let (controllers, proxied) = rest.split_at(count);
        let mut cluster = JvmCluster { nodes: Vec::new(), proxies: Vec::new(), data, libs };
        if self.proxied {
            for port in proxied {
                cluster.proxies.push(FaultProxy::start(([127, 0, 0, 1], *port).into()).await?);
            }
        }
        let voters: Vec<_> =
            controllers.iter().zip(1..).map(|(port, id)| format!("{id}@127.0.0.1:{port}")).collect();
        for at in 0..count {
            let mut config = self.defaults(count);
            let mut listeners = vec![format!("PLAINTEXT://127.0.0.1:{}", plain[at])];
            let mut advertised = listeners.clone();
            let mut protocols = vec!["CONTROLLER:PLAINTEXT", "PLAINTEXT:PLAINTEXT"];
            if let Some(proxy) = cluster.proxies.get(at) {
                listeners.push(format!("PROXIED://127.0.0.1:{}", proxied[at]));
                advertised.push(format!("PROXIED://{}", proxy.address()));
                protocols.push("PROXIED:PLAINTEXT");
            }
            listeners.push(format!("CONTROLLER://127.0.0.1:{}", controllers[at]));
            config.insert("listeners".into(), listeners.join(","));
            config.insert("advertised.listeners".into(), advertised.join(","));
            config.insert("listener.security.protocol.map".into(), protocols.join(","));
            config.insert("node.id".into(), (at + 1).to_string());
            config.insert("controller.quorum.voters".into(), voters.join(","));
            config.extend(self.config.clone());
            let dir = cluster.data.join(format!("node-{}", at + 1));
            let jvm = node::Jvm { heap_mb: self.heap_mb, full_jit: self.full_jit };
            cluster.nodes.push(Node::new(dir, plain[at], config, jvm)?);
        }
        let libs = cluster.libs.clone();
        let formatting = cluster.nodes.iter().map(|node| node.format(&libs));
        for formatted in join_all(formatting).await {
            formatted?;
        }
        for node in &mut cluster.nodes {
            node.start(&libs)?;
        }
        for id in cluster.node_ids() {
            cluster.wait_ready(id).await?;
        }
        // Each knows itself; now all know one another.
        let until = Instant::now() + READY_LIMIT;
        while admin::brokers(&cluster.bootstrap()[0]).await?.len() < count && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(cluster)
    }

    fn defaults(&self, count: usize) -> BTreeMap<String, String> {
        let replicas = count.min(3).to_string();
        let in_sync = if count >= 3 { "2" } else { "1" };
        let settings = [
            ("process.roles", "broker,controller"),
            ("controller.listener.names", "CONTROLLER"),
            ("inter.broker.listener.name", "PLAINTEXT"),
            ("auto.create.topics.enable", "false"),
            ("num.partitions", "3"),
            ("default.replication.factor", &replicas),
            ("min.insync.replicas", in_sync),
            ("offsets.topic.replication.factor", &replicas),
            ("offsets.topic.num.partitions", "1"),
            ("transaction.state.log.replication.factor", &replicas),
            ("transaction.state.log.min.isr", in_sync),
            ("group.initial.rebalance.delay.ms", "0"),
            // A dead node is noticed in seconds.
            ("broker.session.timeout.ms", "3000"),
            ("broker.heartbeat.interval.ms", "500"),
            ("controlled.shutdown.enable", "true"),
        ];
        settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }
}

async fn join_all<T>(work: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut work: Vec<_> = work.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = work.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (work, done) in work.iter_mut().zip(&mut done) {
            if done.is_none() {
                if let std::task::Poll::Ready(result) = work.as_mut().poll(cx) {
                    *done = Some(result);
                }
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
