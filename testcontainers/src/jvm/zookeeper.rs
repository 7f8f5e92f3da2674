//! One broker of an old release, with its ZooKeeper.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::node::{self, Process};
use super::{JvmError, READY_LIMIT, Result, admin, install};
use crate::availability::Availability;
use crate::{PASSWORD, USER};

/// A release of Apache Kafka from before KRaft, that starts on Java 17.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum OldKafka {
    /// 0.11.0.3, of 2018: the first with record batches and idempotence.
    V0_11,
    /// 1.1.1, of 2018.
    V1_1,
    /// 2.4.1, of 2020.
    V2_4,
    /// 2.8.2, of 2022.
    V2_8,
}

impl OldKafka {
    /// The release's number.
    #[must_use]
    pub fn version(self) -> &'static str {
        match self {
            Self::V0_11 => "0.11.0.3",
            Self::V1_1 => "1.1.1",
            Self::V2_4 => "2.4.1",
            Self::V2_8 => "2.8.2",
        }
    }
}

/// One broker of an old release. It creates topics by itself, of three partitions. Dropping it ends its processes and
/// removes its data; so does the end of this process, however it comes.
#[derive(Debug)]
pub struct ZooKeeperCluster {
    port: u16,
    sasl_port: Option<u16>,
    /// The broker, and its ZooKeeper.
    processes: Vec<Process>,
    data: PathBuf,
}

/// Settings of a [`ZooKeeperCluster`]; [`ZooKeeperCluster::builder`] begins one.
#[derive(Clone, Debug)]
pub struct ZooKeeperClusterBuilder {
    kafka: OldKafka,
    sasl: bool,
}

impl ZooKeeperCluster {
    /// How to make one.
    #[must_use]
    pub fn builder(kafka: OldKafka) -> ZooKeeperClusterBuilder {
        ZooKeeperClusterBuilder { kafka, sasl: false }
    }

    /// For tests: whether to go on. Prints what is skipped where Java or Maven is missing.
    ///
    /// # Panics
    ///
    /// Instead of skipping, if `KAFKA_TESTS=required` is set.
    #[must_use]
    pub fn available_or_skip(kafka: OldKafka, test: &str) -> bool {
        install::availability(kafka.version()).or_skip(test, "an old Kafka")
    }

    /// `host:port` of the broker.
    #[must_use]
    pub fn bootstrap(&self) -> Vec<String> {
        vec![format!("127.0.0.1:{}", self.port)]
    }

    /// `host:port` of its listener with SASL/PLAIN, where there is one. The user is [`USER`](crate::USER).
    #[must_use]
    pub fn sasl_bootstrap(&self) -> Vec<String> {
        self.sasl_port.iter().map(|port| format!("127.0.0.1:{port}")).collect()
    }

    /// Creates a topic with this `cleanup.policy`, and waits until each partition has a leader.
    ///
    /// # Errors
    ///
    /// If the broker refuses.
    pub async fn create_topic(&self, name: &str, partitions: i32, cleanup_policy: &str) -> Result<()> {
        admin::create_topic_on_old(&self.bootstrap(), name, partitions, cleanup_policy).await
    }
}

impl ZooKeeperClusterBuilder {
    /// Opens a listener with SASL/PLAIN besides.
    #[must_use]
    pub fn sasl(mut self) -> Self {
        self.sasl = true;
        self
    }

    /// Fetches the jars if they are not here, starts ZooKeeper and the broker, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// If a tool is missing, or the broker does not become ready.
    pub async fn start(self) -> Result<ZooKeeperCluster> {
        let version = self.kafka.version();
        if let Availability::Missing { what, remedy } = install::availability(version) {
            return Err(JvmError::Missing { what, remedy });
        }
        let class_path = node::class_path(&install::libs(version).await?, None);
        let data = node::temporary_dir()?;
        let held = node::hold_ports(3)?;
        let [zookeeper_port, port, sasl_port] = [held[0].0, held[1].0, held[2].0];
        let sasl_port = self.sasl.then_some(sasl_port);
        let (zookeeper_dir, broker_dir) = (data.join("zookeeper"), data.join("broker"));
        fs::create_dir_all(&zookeeper_dir)?;
        fs::create_dir_all(&broker_dir)?;
        fs::write(zookeeper_dir.join("zookeeper.properties"), zookeeper_settings(zookeeper_port))?;
        fs::write(broker_dir.join("server.properties"), broker_settings(zookeeper_port, port, sasl_port))?;
        fs::write(broker_dir.join("jaas.conf"), jaas())?;
        for dir in [&zookeeper_dir, &broker_dir] {
            fs::write(dir.join("log4j.properties"), LOGGING)?;
        }
        let mut options = self.java_options();
        drop(held);
        let class = ["org.apache.zookeeper.server.quorum.QuorumPeerMain", "zookeeper.properties"];
        let zookeeper = Process::start(&zookeeper_dir, &class_path, &options, &class)?;
        let until = Instant::now() + READY_LIMIT;
        // The broker's old client does not survive that nobody listens yet.
        while TcpStream::connect(("127.0.0.1", zookeeper_port)).await.is_err() {
            if Instant::now() > until || !zookeeper.is_running() {
                let log = node::log_tail(&zookeeper_dir);
                return Err(JvmError::NotReady { node: 1, limit: READY_LIMIT, log });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        options.push("-Djava.security.auth.login.config=jaas.conf".into());
        let class = ["kafka.Kafka", "server.properties"];
        let broker = Process::start(&broker_dir, &class_path, &options, &class)?;
        while !admin::brokers(&format!("127.0.0.1:{port}")).await.is_ok_and(|known| known.contains(&1)) {
            if Instant::now() > until || !broker.is_running() {
                let log = node::log_tail(&broker_dir);
                return Err(JvmError::NotReady { node: 1, limit: READY_LIMIT, log });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(ZooKeeperCluster { port, sasl_port, processes: vec![broker, zookeeper], data })
    }

    /// What such old code needs to run on Java 17.
    fn java_options(&self) -> Vec<String> {
        let mut options = node::heap_options(256);
        options.extend(["-XX:TieredStopAtLevel=1".into(), "-Dzookeeper.sasl.client=false".into()]);
        options.push("-Dlog4j.configuration=file:log4j.properties".into());
        let opened = ["java.lang", "java.nio", "java.util", "sun.nio.ch"];
        options.extend(opened.map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED")));
        if self.kafka == OldKafka::V0_11 {
            // It reads "17" as a number with a point.
            options.push("-Djava.specification.version=9.0".into());
        }
        options
    }
}

const LOGGING: &str = "log4j.rootLogger=WARN, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\n\
                       log4j.appender.out.layout=org.apache.log4j.SimpleLayout\n";

fn zookeeper_settings(port: u16) -> String {
    format!("dataDir=data\nclientPort={port}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n")
}

fn broker_settings(zookeeper: u16, port: u16, sasl: Option<u16>) -> String {
    let mut listeners = format!("PLAINTEXT://127.0.0.1:{port}");
    if let Some(sasl) = sasl {
        listeners.push_str(&format!(",LOGIN://127.0.0.1:{sasl}"));
    }
    format!(
        "broker.id=1\nzookeeper.connect=127.0.0.1:{zookeeper}\nzookeeper.connection.timeout.ms=60000\n\
         listeners={listeners}\nadvertised.listeners={listeners}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,LOGIN:SASL_PLAINTEXT\n\
         inter.broker.listener.name=PLAINTEXT\nsasl.enabled.mechanisms=PLAIN\nlog.dirs=data\nnum.partitions=3\n\
         offsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n"
    )
}

fn jaas() -> String {
    format!(
        "KafkaServer {{ org.apache.kafka.common.security.plain.PlainLoginModule required username=\"admin\" \
         password=\"admin\" user_admin=\"admin\" user_{USER}=\"{PASSWORD}\"; }};\n"
    )
}

impl Drop for ZooKeeperCluster {
    fn drop(&mut self) {
        self.processes.clear();
        // What cannot be removed is in the system's folder for temporary files.
        _ = fs::remove_dir_all(&self.data);
    }
}
