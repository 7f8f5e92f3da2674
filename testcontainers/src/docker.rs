//! A real Apache Kafka in a container.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::time::Duration;

use testcontainers::core::IntoContainerPort;
use testcontainers::core::client::docker_client_instance;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};
use tokio::time::Instant;

use crate::jvm::{admin, node, reader};
use crate::{JvmError, StoredRecord};

/// What is run where `KAFKA_IMAGE` says nothing else.
const IMAGE: &str = "apache/kafka:4.1.1";
/// By this label a container is found whose test was killed.
const LABEL: &str = "kafka-testbed";
const PORT: u16 = 9092;
const READY_LIMIT: Duration = Duration::from_secs(90);

/// One broker in a container of the official image, on a port of 127.0.0.1 that it keeps when it is started again.
///
/// The image is that of the environment's `KAFKA_IMAGE`, or `apache/kafka:4.1.1`. Dropping it removes the container; a
/// test that was killed leaves one, with the label `kafka-testbed`.
///
/// ```no_run
/// # async fn test() -> Result<(), kafka_testbed::DockerError> {
/// use kafka_testbed::DockerCluster;
///
/// let cluster = DockerCluster::builder().config("message.max.bytes", "2000000").start().await?;
/// cluster.create_topic("events", 3, &[]).await?;
/// // Have your client send to `cluster.bootstrap()`, then:
/// assert_eq!(cluster.read("events").await?.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DockerCluster {
    container: ContainerAsync<GenericImage>,
    address: String,
    image: String,
}

/// Settings of a [`DockerCluster`]; [`DockerCluster::builder`] begins one.
#[derive(Clone, Debug)]
pub struct DockerClusterBuilder {
    image: String,
    config: BTreeMap<String, String>,
}

/// Why a container could not be started or controlled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DockerError {
    /// Docker refused.
    #[error("docker could not {what}")]
    Docker {
        /// What was asked of it.
        what: &'static str,
        /// Its reason.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The broker did not become ready.
    #[error("{image} was not ready within {limit:?}; it said at last:\n{log}")]
    NotReady {
        /// The image.
        image: String,
        /// The time it had.
        limit: Duration,
        /// End of its log.
        log: String,
    },
    /// The broker refused a request, or could not be reached.
    #[error(transparent)]
    Kafka(#[from] JvmError),
}

type Result<T, E = DockerError> = std::result::Result<T, E>;

fn docker(what: &'static str) -> impl FnOnce(testcontainers::TestcontainersError) -> DockerError {
    move |error| DockerError::Docker { what, source: error.into() }
}

impl DockerCluster {
    /// How to make one.
    #[must_use]
    pub fn builder() -> DockerClusterBuilder {
        let image = std::env::var("KAFKA_IMAGE").unwrap_or_else(|_| IMAGE.to_owned());
        DockerClusterBuilder { image, config: BTreeMap::new() }
    }

    /// For tests: whether to go on. Reports what is skipped where no Docker daemon answers.
    ///
    /// # Panics
    ///
    /// Instead of skipping, if `KAFKA_TESTS=required` is set.
    pub async fn available_or_skip(test: &str) -> bool {
        let answers = match docker_client_instance().await {
            Ok(docker) => docker.ping().await.is_ok(),
            Err(_) => false,
        };
        if !answers {
            assert!(
                std::env::var("KAFKA_TESTS").as_deref() != Ok("required"),
                "{test} needs a Docker daemon, and none answers"
            );
            // Past the test harness, which would keep it to itself.
            let said = writeln!(std::io::stderr(), "SKIPPED {test}: no Docker daemon answers");
            drop(said);
        }
        answers
    }

    /// `host:port` of the broker.
    #[must_use]
    pub fn bootstrap(&self) -> Vec<String> {
        vec![self.address.clone()]
    }

    /// The image that runs.
    #[must_use]
    pub fn image(&self) -> &str {
        &self.image
    }

    /// Stops the broker cleanly: SIGTERM, and SIGKILL after 30 seconds.
    ///
    /// # Errors
    ///
    /// If Docker cannot.
    pub async fn stop(&self) -> Result<()> {
        self.container.stop_with_timeout(Some(30)).await.map_err(docker("stop the container"))
    }

    /// Starts a stopped broker again, with its data and on its port, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// If Docker cannot, or the broker does not become ready.
    pub async fn start(&self) -> Result<()> {
        self.container.start().await.map_err(docker("start the container"))?;
        self.wait_ready().await
    }

    /// Freezes the broker.
    ///
    /// # Errors
    ///
    /// If Docker cannot.
    pub async fn pause(&self) -> Result<()> {
        self.container.pause().await.map_err(docker("pause the container"))
    }

    /// Thaws the broker.
    ///
    /// # Errors
    ///
    /// If Docker cannot.
    pub async fn unpause(&self) -> Result<()> {
        self.container.unpause().await.map_err(docker("unpause the container"))
    }

    /// Creates a topic, and waits until each partition has a leader.
    ///
    /// # Errors
    ///
    /// If the broker refuses it.
    pub async fn create_topic(&self, topic: &str, partitions: i32, configs: &[(&str, &str)]) -> Result<()> {
        Ok(admin::create_topic(&self.bootstrap(), topic, partitions, configs).await?)
    }

    /// Reads a whole topic through the Fetch API, sorted by partition and offset.
    ///
    /// # Errors
    ///
    /// If the broker does not answer, or a batch does not decode.
    pub async fn read(&self, topic: &str) -> Result<Vec<StoredRecord>> {
        Ok(reader::read(&self.bootstrap(), topic).await?)
    }

    async fn wait_ready(&self) -> Result<()> {
        let until = Instant::now() + READY_LIMIT;
        while !admin::brokers(&self.address).await.is_ok_and(|brokers| !brokers.is_empty()) {
            let runs = self.container.is_running().await.map_err(docker("look at the container"))?;
            if !runs || Instant::now() > until {
                return Err(self.not_ready().await);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn not_ready(&self) -> DockerError {
        let mut log = self.container.stdout_to_vec().await.unwrap_or_default();
        log.extend(self.container.stderr_to_vec().await.unwrap_or_default());
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        let log = lines[lines.len().saturating_sub(20)..].join("\n");
        DockerError::NotReady { image: self.image.clone(), limit: READY_LIMIT, log }
    }
}

impl DockerClusterBuilder {
    /// Another image, such as `apache/kafka-native:4.1.1`.
    #[must_use]
    pub fn image(mut self, image: &str) -> Self {
        self.image = image.to_owned();
        self
    }

    /// A broker setting, such as `("auto.create.topics.enable", "false")`.
    #[must_use]
    pub fn config(mut self, key: &str, value: &str) -> Self {
        self.config.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Starts the container and waits until the broker is ready.
    ///
    /// # Errors
    ///
    /// If Docker cannot, or the broker does not become ready.
    pub async fn start(self) -> Result<DockerCluster> {
        // Chosen here, since the broker has to know it before it starts, and has to keep it when it starts again.
        let port = node::hold_ports(1)?.iter().map(|(port, _)| *port).sum();
        let address = format!("127.0.0.1:{port}");
        // A port in front of the tag, not one of the registry.
        let (name, tag) = match self.image.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (self.image.as_str(), "latest"),
        };
        let mut request = GenericImage::new(name, tag)
            .with_mapped_port(port, PORT.tcp())
            .with_label(LABEL, "1")
            .with_startup_timeout(READY_LIMIT)
            .with_host_config_modifier(|config| {
                // Docker's own choice is every interface.
                let bindings = config.port_bindings.iter_mut().flat_map(|bindings| bindings.values_mut());
                for binding in bindings.flatten().flatten() {
                    binding.host_ip = Some("127.0.0.1".into());
                }
            });
        for (key, value) in self.settings(&address) {
            request = request.with_env_var(variable(&key), value);
        }
        let container = request.start().await.map_err(docker("run the image"))?;
        let cluster = DockerCluster { container, address, image: self.image };
        cluster.wait_ready().await?;
        Ok(cluster)
    }

    fn settings(&self, address: &str) -> BTreeMap<String, String> {
        let settings = [
            ("process.roles", "broker,controller"),
            ("node.id", "1"),
            ("controller.quorum.voters", "1@localhost:9093"),
            ("controller.listener.names", "CONTROLLER"),
            ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
            ("advertised.listeners", &format!("PLAINTEXT://{address}")),
            ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT"),
            ("auto.create.topics.enable", "false"),
            ("num.partitions", "3"),
            ("offsets.topic.replication.factor", "1"),
            ("transaction.state.log.replication.factor", "1"),
            ("transaction.state.log.min.isr", "1"),
            ("group.initial.rebalance.delay.ms", "0"),
            // A broker that was killed may come back in seconds.
            ("broker.session.timeout.ms", "3000"),
            ("broker.heartbeat.interval.ms", "500"),
        ];
        let mut settings: BTreeMap<_, _> =
            settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        settings.extend(self.config.clone());
        settings
    }
}

/// The image's name for a broker setting.
fn variable(key: &str) -> String {
    let mut name = String::from("KAFKA_");
    for c in key.chars() {
        match c {
            '.' => name.push('_'),
            '_' => name.push_str("__"),
            '-' => name.push_str("___"),
            c => name.push(c.to_ascii_uppercase()),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::variable;

    #[test]
    fn settings_get_the_names_that_the_image_knows() {
        assert_eq!(variable("auto.create.topics.enable"), "KAFKA_AUTO_CREATE_TOPICS_ENABLE");
        assert_eq!(variable("listener.name.a_b.x"), "KAFKA_LISTENER_NAME_A__B_X");
        assert_eq!(variable("scram-sha-256"), "KAFKA_SCRAM___SHA___256");
    }
}
