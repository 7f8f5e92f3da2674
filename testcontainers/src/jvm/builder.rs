//! How a real cluster is made.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::listener::Security;
use super::node::{self, Node};
use super::{JvmCluster, Listener, READY_LIMIT, Result, admin, install, msk};
use crate::{Certificates, FaultProxy, IdentityServer, Mechanism};

/// Settings of a [`JvmCluster`]; [`JvmCluster::builder`] begins one.
#[derive(Clone, Debug)]
pub struct JvmClusterBuilder {
    nodes: usize,
    config: BTreeMap<String, String>,
    heap_mb: u32,
    full_jit: bool,
    proxied: bool,
    security: Option<Security>,
    validates_msk_tokens: bool,
    /// System properties.
    properties: Vec<String>,
}

/// A listener as configured at the brokers.
pub(super) struct Door {
    name: &'static str,
    listener: Listener,
    proxied: bool,
}

impl Default for JvmClusterBuilder {
    fn default() -> Self {
        Self {
            nodes: 1,
            config: BTreeMap::new(),
            heap_mb: 256,
            full_jit: false,
            proxied: false,
            security: None,
            validates_msk_tokens: false,
            properties: Vec::new(),
        }
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

    /// Puts a [`FaultProxy`] in front of every node, see [`JvmCluster::proxied_bootstrap`],
    /// and, if [`secured`](Self::secured), in front of each further listener.
    #[must_use]
    pub fn proxied(mut self) -> Self {
        self.proxied = true;
        self
    }

    /// Opens all other [`Listener`]s besides, each on a separate port, with [`Certificates`] made for this cluster
    /// and [`USER`](crate::USER) as its user.
    #[must_use]
    pub fn secured(mut self) -> Self {
        self.security.get_or_insert_default();
        self
    }

    /// Restricts a listener with SASL to some mechanisms; each knows all by default. Implies
    /// [`secured`](Self::secured).
    #[must_use]
    pub fn mechanisms(mut self, listener: Listener, mechanisms: &[Mechanism]) -> Self {
        self.security.get_or_insert_default().mechanisms.insert(listener, mechanisms.to_vec());
        self
    }

    /// Another user for PLAIN and SCRAM. Implies [`secured`](Self::secured).
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.security.get_or_insert_default().users.insert(name.to_owned(), password.to_owned());
        self
    }

    /// Has listeners with SASL take tokens as Amazon MSK does, in place of those of [`unsecured_token`](crate::unsecured_token):
    /// presigned requests of this region. Their signatures are checked by these secrets: an access key id, its secret access
    /// key, and the session token that has to come with it. Implies [`secured`](Self::secured).
    #[must_use]
    pub fn msk_iam(mut self, region: &str, keys: &[(&str, &str, Option<&str>)]) -> Self {
        self.validates_msk_tokens = true;
        self.security.get_or_insert_default();
        self.config.extend(msk::settings(region, keys));
        self
    }

    /// Has the brokers validate tokens (`OAUTHBEARER`) against the keys of this server, in place of accepting unsecured ones.
    /// Implies [`secured`](Self::secured).
    #[must_use]
    pub fn identity_server(mut self, server: &IdentityServer) -> Self {
        self.properties
            .push(format!("-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={}", server.jwks_endpoint()));
        // Without it 4.1.1 accepts tokens whose signature it did not check. Under a listener's prefix it has no effect.
        self = self.config(
            "sasl.oauthbearer.jwt.validator.class",
            "org.apache.kafka.common.security.oauthbearer.BrokerJwtValidator",
        );
        for listener in Listener::ALL.into_iter().filter(|listener| listener.has_sasl()) {
            let prefix = format!("listener.name.{}.oauthbearer.", listener.name().to_lowercase());
            for (key, value) in [
                (
                    "sasl.server.callback.handler.class",
                    "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler",
                ),
                ("sasl.oauthbearer.jwks.endpoint.url", &server.jwks_endpoint()),
                ("sasl.oauthbearer.expected.audience", "kafka"),
            ] {
                self = self.config(&format!("{prefix}{key}"), value);
            }
        }
        self.secured()
    }

    /// Has the brokers obey access control lists. All is allowed where there is none, and all to who comes in without
    /// a name; see [`JvmCluster::deny_write`].
    #[must_use]
    pub fn authorized(self) -> Self {
        self.config("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
            .config("super.users", "User:ANONYMOUS")
            .config("allow.everyone.if.no.acl.found", "true")
    }

    /// Fetches the jars if they are not here, starts every node and waits until all are ready.
    ///
    /// # Errors
    ///
    /// If a tool is missing, or a node does not become ready.
    pub async fn start(self) -> Result<JvmCluster> {
        let libs = install::libs(super::VERSION).await?;
        let data = node::temporary_dir()?;
        let mut cluster = JvmCluster {
            nodes: Vec::new(),
            addresses: BTreeMap::new(),
            proxies: BTreeMap::new(),
            certificates: None,
            data,
            libs,
            java_reader: Mutex::default(),
        };
        let mut config = self.defaults();
        let mut scram_users = Vec::new();
        let classes = match self.validates_msk_tokens {
            true => Some(msk::compile(&cluster.libs, &cluster.data).await?),
            false => None,
        };
        if let Some(security) = &self.security {
            let certificates = Certificates::generate()?;
            config.extend(security.settings(&certificates.write_to(cluster.certificates_dir())?));
            cluster.certificates = Some(certificates);
            scram_users = security.scram_users();
        }
        // Held until the brokers take them, so that the proxies do not.
        let doors = self.doors();
        let held = node::hold_ports(self.nodes * (doors.len() + 1))?;
        let ports: Vec<_> = held.iter().map(|(port, _)| *port).collect();
        let (controllers, ports) = ports.split_at(self.nodes);
        let voters: Vec<_> =
            controllers.iter().zip(1..).map(|(port, id)| format!("{id}@127.0.0.1:{port}")).collect();
        config.insert("controller.quorum.voters".into(), voters.join(","));
        for (at, controller) in controllers.iter().enumerate() {
            let mut listeners = vec![format!("CONTROLLER://127.0.0.1:{controller}")];
            let mut advertised = Vec::new();
            for (door, ports) in doors.iter().zip(ports.chunks(self.nodes)) {
                let address = cluster.open(door, ports[at]).await?;
                listeners.push(format!("{}://127.0.0.1:{}", door.name, ports[at]));
                advertised.push(format!("{}://{address}", door.name));
            }
            let mut config = config.clone();
            config.insert("listeners".into(), listeners.join(","));
            config.insert("advertised.listeners".into(), advertised.join(","));
            config.insert("node.id".into(), (at + 1).to_string());
            config.extend(self.config.clone());
            let dir = cluster.data.join(format!("node-{}", at + 1));
            let jvm = node::Jvm {
                heap_mb: self.heap_mb,
                full_jit: self.full_jit,
                properties: self.properties.clone(),
            };
            cluster.nodes.push(Node::new(dir, ports[at], config, jvm, classes.clone())?);
        }
        let libs = cluster.libs.clone();
        let formatting = cluster.nodes.iter().map(|node| node.format(&libs, &scram_users));
        for formatted in join_all(formatting).await {
            formatted?;
        }
        drop(held);
        for node in &mut cluster.nodes {
            node.start(&libs)?;
        }
        for id in cluster.node_ids() {
            cluster.wait_ready(id).await?;
        }
        // Each knows itself; now all know one another.
        let until = Instant::now() + READY_LIMIT;
        while admin::brokers(&cluster.bootstrap()[0]).await?.len() < self.nodes && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(cluster)
    }

    /// The first is the one that the brokers and this testbed use, never through a proxy.
    fn doors(&self) -> Vec<Door> {
        let plaintext = Listener::Plaintext;
        let mut doors = vec![Door { name: plaintext.name(), listener: plaintext, proxied: false }];
        if self.proxied {
            doors.push(Door { name: "PROXIED", listener: plaintext, proxied: true });
        }
        if self.security.is_some() {
            let secured = Listener::ALL.into_iter().filter(|listener| *listener != plaintext);
            doors.extend(secured.map(|listener| Door {
                name: listener.name(),
                listener,
                proxied: self.proxied,
            }));
        }
        doors
    }

    fn defaults(&self) -> BTreeMap<String, String> {
        let count = self.nodes;
        let protocols =
            self.doors().into_iter().map(|door| format!("{}:{}", door.name, door.listener.protocol()));
        let protocols: Vec<_> = ["CONTROLLER:PLAINTEXT".to_owned()].into_iter().chain(protocols).collect();
        let replicas = count.min(3).to_string();
        let in_sync = if count >= 3 { "2" } else { "1" };
        let settings = [
            ("process.roles", "broker,controller"),
            ("controller.listener.names", "CONTROLLER"),
            ("inter.broker.listener.name", "PLAINTEXT"),
            ("listener.security.protocol.map", &protocols.join(",")),
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

impl JvmCluster {
    /// Notes where clients come in, which is what the broker advertises.
    async fn open(&mut self, door: &Door, port: u16) -> Result<SocketAddr> {
        let mut address = SocketAddr::from(([127, 0, 0, 1], port));
        if door.proxied {
            let proxy = FaultProxy::start(address).await?;
            address = proxy.address();
            self.proxies.entry(door.listener).or_default().push(proxy);
        } else {
            self.addresses.entry(door.listener).or_default().push(address);
        }
        Ok(address)
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
