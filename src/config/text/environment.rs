//! Settings from environment variables, by the convention of the container images.

use std::ffi::{OsStr, OsString};

use zeroize::Zeroizing;

use super::{Reader, Setting, foreign, slips};
use crate::config::ProducerConfig;
use crate::error::Result;

/// Prefix of the container images' variables.
const PREFIX: &str = "KAFKA_";

impl ProducerConfig {
    /// Creates a configuration from the variables `KAFKA_…` of this process: `KAFKA_BOOTSTRAP_SERVERS`,
    /// `KAFKA_LINGER_MS`, `KAFKA_TOPIC`, ...
    ///
    /// [`with_vars`](Self::with_vars) documents the rules, and takes variables from elsewhere. Variables of the prefix that
    /// are not settings are reported in the event `config.unused_variables` when a producer is created.
    ///
    /// ```no_run
    /// # use rskafka_producer::ProducerConfig;
    /// let config = ProducerConfig::from_env()?;
    /// # Ok::<_, rskafka_producer::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`with_vars`](Self::with_vars).
    pub fn from_env() -> Result<Self> {
        Self::from_env_with_prefix(PREFIX)
    }

    /// As [`from_env`](Self::from_env), with another prefix than `KAFKA_`, for a process with two producers.
    ///
    /// # Errors
    ///
    /// As [`with_vars`](Self::with_vars).
    pub fn from_env_with_prefix(prefix: &str) -> Result<Self> {
        let (mut config, unused) = Self::default().with_vars(prefix, std::env::vars_os())?;
        config.unused.variables.extend(unused);
        Ok(config)
    }

    /// Applies those of `vars` that start with `prefix` to this configuration. Also returns the names of those that were
    /// ignored.
    ///
    /// Variables are named as in Kafka's images: a setting's name of [`docs::configuration`](crate::docs::configuration)
    /// in upper case, with `_` for each `.`, `_` and `-` (`__` and `___` are taken for the latter two, as Confluent
    /// writes them). Its value is what a [properties file](Self::from_properties) would have. With `_FILE` after its
    /// name, the value is in a file, as Docker and Kubernetes mount secrets: `KAFKA_SASL_PASSWORD_FILE=/run/secrets/kafka`
    /// is read now, without the line break at its end.
    ///
    /// An empty variable counts as one that is not set.
    ///
    /// An environment also holds variables for others: those of Kafka's own scripts (`KAFKA_HEAP_OPTS`) and brokers, and
    /// those which Kubernetes makes for a service called `kafka` (`KAFKA_PORT`, `KAFKA_SERVICE_HOST`). They are ignored.
    /// One that differs from a setting by one or two letters, or only lacks its `_MS`, is taken for a typo and is an
    /// error; names of five letters and fewer, such as `KAFKA_TOPIC`, are not compared that way.
    ///
    /// ```
    /// # use rskafka_producer::ProducerConfig;
    /// let vars = [("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092"), ("KAFKA_LINGER_MS", "20"), ("KAFKA_HEAP_OPTS", "-Xmx1g")];
    /// let (config, ignored) = ProducerConfig::default().with_vars("KAFKA_", vars)?;
    /// assert_eq!(config.brokers, ["kafka:9092"]);
    /// assert_eq!(ignored, ["KAFKA_HEAP_OPTS"]);
    /// # Ok::<_, rskafka_producer::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `KAFKA_INVALID_CONFIG` with one sentence for **each** typo, value that cannot be read, and file that cannot be
    /// read. Nothing is clamped, and no secret is shown.
    pub fn with_vars<K, V>(
        self,
        prefix: &str,
        vars: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(Self, Vec<String>)>
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        let mut reader = Reader::new(self);
        let mut left_alone = Vec::new();
        let mut vars: Vec<_> = vars.into_iter().map(|(var, value)| (var.into(), value.into())).collect();
        vars.sort_unstable();
        for (var, value) in &vars {
            let Some((var, rest)) = var.to_str().and_then(|var| Some((var, var.strip_prefix(prefix)?)))
            else {
                continue;
            };
            // Templates leave the variables empty that they have no value for.
            if value.to_str().is_some_and(|value| value.trim().is_empty()) {
                continue;
            }
            match meaning(rest) {
                Meaning::Setting(name) => match value.to_str() {
                    Some(value) => reader.set(var, name, value),
                    None => reader.problem(format!("{var} is not UTF-8")),
                },
                Meaning::File(name) => match read_file(value) {
                    Ok(value) => reader.set(var, name, &value),
                    // The path is not shown: it may be the secret itself, by mistake.
                    Err(error) => {
                        reader.problem(format!("the file that {var} names cannot be read: {error}"))
                    }
                },
                Meaning::Slip(name) => reader.unknown(var, &[format!("{prefix}{name}")]),
                Meaning::Foreign => left_alone.push(var.to_owned()),
            }
        }
        Ok((reader.finish()?, left_alone))
    }
}

/// What a variable's name, without its prefix, stands for.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    Setting(&'static str),
    /// The setting's value is in a file.
    File(&'static str),
    /// Probably meant to be this variable.
    Slip(String),
    Foreign,
}

fn meaning(rest: &str) -> Meaning {
    let flat = rest.replace("___", "_").replace("__", "_");
    // Words without a dot are too common: `KAFKA_DEBUG` is a container's.
    let foreign = foreign::names().filter(|name| name.contains('.'));
    let known: Vec<_> = Setting::ALL.iter().flat_map(Setting::names).chain(foreign).collect();
    let named = |flat: &str| known.iter().copied().find(|name| flat_name(name) == flat);
    if let Some(name) = named(&flat) {
        return Meaning::Setting(name);
    }
    if let Some(name) = flat.strip_suffix("_FILE").and_then(named) {
        return Meaning::File(name);
    }
    match Setting::ALL.iter().flat_map(Setting::names).map(flat_name).find(|name| slips(&flat, name)) {
        Some(name) => Meaning::Slip(name),
        None => Meaning::Foreign,
    }
}

fn flat_name(name: &str) -> String {
    name.replace(['.', '-'], "_").to_ascii_uppercase()
}

fn read_file(path: &OsStr) -> std::io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(std::fs::read_to_string(path)?);
    let end =
        text.strip_suffix('\n').map_or(text.len(), |text| text.strip_suffix('\r').unwrap_or(text).len());
    text.truncate(end);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Acks, SaslMechanism, Setting};

    fn read(vars: &[(&str, &str)]) -> Result<(ProducerConfig, Vec<String>)> {
        ProducerConfig::default().with_vars(PREFIX, vars.iter().copied())
    }

    #[test]
    fn variables_are_called_as_in_kafkas_images() {
        let (config, left_alone) = read(&[
            ("KAFKA_BOOTSTRAP_SERVERS", "a:1,b:2"),
            ("KAFKA_TOPIC", "events"),
            ("KAFKA_LINGER_MS", "20"),
            ("KAFKA_ACKS", "1"),
            ("KAFKA_BATCH_MAX_REQUEST_BYTES", "2MiB"),
            ("KAFKA_BATCH_MAX__BYTES", "1MiB"),
            ("KAFKA_KEY_SERIALIZER", "org.apache.kafka.common.serialization.StringSerializer"),
            ("PATH", "/bin"),
        ])
        .unwrap();
        assert_eq!(config.brokers, ["a:1", "b:2"]);
        assert_eq!(config.topic.as_deref(), Some("events"));
        assert_eq!(config.batch.linger.as_millis(), 20);
        assert_eq!(config.acks, Acks::Leader);
        assert_eq!((config.batch.max_bytes, config.batch.max_request_bytes), (1 << 20, 2 << 20));
        assert_eq!(left_alone, Vec::<String>::new());
    }

    /// Two names share one only where they are the same setting, written alike.
    #[test]
    fn every_setting_has_its_own_variable() {
        let mut settings = BTreeMap::new();
        for setting in Setting::ALL {
            for name in std::iter::once(setting.name()).chain(setting.kafka_names().iter().copied()) {
                let other = settings.insert(flat_name(name), setting.name());
                let alike = setting.unit() != "time" && !setting.unit().contains("one less");
                assert!(other.is_none_or(|other| other == setting.name() && alike), "{name}");
            }
        }
        for name in Setting::ALL.iter().flat_map(Setting::names) {
            let flat = flat_name(name);
            let confluent =
                name.replace('-', "___").replace('_', "__").replace('.', "_").to_ascii_uppercase();
            for var in [&flat, &confluent] {
                assert!(matches!(meaning(var), Meaning::Setting(found) if flat_name(found) == flat), "{var}");
            }
        }
    }

    /// From Kafka's scripts, Confluent's, Apache's and Bitnami's images, and Kubernetes for a service `kafka`.
    #[test]
    fn variables_for_others_are_ignored_and_listed() {
        const FOREIGN: &str = "HEAP_OPTS OPTS HOME JMX_PORT JMX_OPTS JVM_PERFORMANCE_OPTS GC_LOG_OPTS LOG4J_OPTS \
            LOG4J_LOGGERS LOG4J_ROOT_LOGLEVEL LOG_DIRS LOG_RETENTION_HOURS VERSION DEBUG MODE CLUSTER_ID NODE_ID \
            BROKER_ID BROKER_RACK PROCESS_ROLES LISTENERS ADVERTISED_LISTENERS LISTENER_NAMES CONTROLLER_QUORUM_VOTERS \
            LISTENER_SECURITY_PROTOCOL_MAP INTER_BROKER_LISTENER_NAME SECURITY_INTER_BROKER_PROTOCOL ZOOKEEPER_CONNECT \
            ZOOKEEPER_CONNECTION_TIMEOUT_MS AUTO_CREATE_TOPICS_ENABLE NUM_PARTITIONS MESSAGE_MAX_SIZE \
            DEFAULT_REPLICATION_FACTOR OFFSETS_TOPIC_REPLICATION_FACTOR REPLICA_FETCH_MAX_BYTES \
            TRANSACTION_STATE_LOG_MIN_ISR SASL_ENABLED_MECHANISMS SASL_MECHANISM_INTER_BROKER_PROTOCOL \
            SSL_KEYSTORE_FILENAME SSL_KEYSTORE_CREDENTIALS SSL_KEY_CREDENTIALS SSL_TRUSTSTORE_FILENAME \
            SSL_TRUSTSTORE_CREDENTIALS SSL_CLIENT_AUTH CFG_NODE_ID CLIENT_USERS CLIENT_PASSWORDS IMAGE TESTS TOPICS \
            PORT SERVICE_HOST SERVICE_PORT SERVICE_PORT_CLIENT PORT_9092_TCP PORT_9092_TCP_ADDR PORT_9092_TCP_PORT \
            PORT_9092_TCP_PROTO BROKERS_SERVICE_HOST BROKERS_PORT SCHEMA_REGISTRY_URL REST_PROXY_URL";
        let vars: Vec<_> = FOREIGN.split_whitespace().map(|var| (format!("KAFKA_{var}"), "x")).collect();
        let (_, mut left_alone) = ProducerConfig::default().with_vars(PREFIX, vars.clone()).unwrap();
        left_alone.sort();
        let mut all: Vec<_> = vars.into_iter().map(|(var, _)| var).collect();
        all.sort();
        assert_eq!(left_alone, all);
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let (config, unused) = read(&[
            ("KAFKA_BOOTSTRAP_SERVERS", "a:1"),
            ("KAFKA_SASL_MECHANISM", ""),
            ("KAFKA_SASL_USERNAME", " "),
            ("KAFKA_SASL_PASSWORD", ""),
            ("KAFKA_SASL_PASSWORD_FILE", ""),
            ("KAFKA_SSL_CA_LOCATION", ""),
            ("KAFKA_LINGER_MS", ""),
            ("KAFKA_TOPIC", ""),
        ])
        .unwrap();
        assert_eq!(format!("{config:?}"), format!("{:?}", ProducerConfig::new("a:1")));
        assert_eq!(unused, Vec::<String>::new());
    }

    #[test]
    fn what_from_env_does_not_use_is_kept_for_an_event() {
        // Every process has PATH.
        let config = ProducerConfig::from_env_with_prefix("PA").unwrap();
        assert!(config.unused.variables.contains(&"PATH".to_owned()), "{:?}", config.unused);
    }

    #[test]
    fn a_slip_is_an_error_that_names_what_was_meant() {
        for (var, meant) in [
            ("KAFKA_BOOTSTRAP_SERVER", "KAFKA_BOOTSTRAP_SERVERS"),
            ("KAFKA_BOOSTRAP_SERVERS", "KAFKA_BOOTSTRAP_SERVERS"),
            ("KAFKA_LINGER", "KAFKA_LINGER_MS"),
            ("KAFKA_REQUEST_TIMEOUT", "KAFKA_REQUEST_TIMEOUT_MS"),
            ("KAFKA_LINGER_MSS", "KAFKA_LINGER_MS"),
            ("KAFKA_linger_ms", "KAFKA_LINGER_MS"),
            ("KAFKA_SASL_PASWORD", "KAFKA_SASL_PASSWORD"),
            ("KAFKA_COMPRESION_TYPE", "KAFKA_COMPRESSION_TYPE"),
            ("KAFKA_SECURITY_PROTOCOLS", "KAFKA_SECURITY_PROTOCOL"),
        ] {
            let problem = read(&[(var, "hunter2")]).unwrap_err().to_string();
            assert!(problem.contains(var) && problem.contains(meant), "{problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn a_value_may_be_in_a_file_and_its_last_line_break_is_not_a_part_of_it() {
        let file = std::env::temp_dir().join(format!("secret-{}-{}", std::process::id(), fastrand::u64(..)));
        let vars = |file: &str| {
            [
                ("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT".to_owned()),
                ("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512".to_owned()),
                ("KAFKA_SASL_USERNAME_FILE", file.to_owned()),
                ("KAFKA_SASL_PASSWORD_FILE", file.to_owned()),
            ]
        };
        for (text, secret) in [("hunter2\n", "hunter2"), ("a b \r\n", "a b "), ("x\n\n", "x\n"), ("y", "y")] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(read_file(file.as_os_str()).unwrap().as_str(), secret);
            let made = ProducerConfig::default().with_vars(PREFIX, vars(&file.display().to_string()));
            assert_eq!(made.unwrap().0.sasl.unwrap().mechanism(), SaslMechanism::ScramSha512);
        }
        std::fs::remove_file(&file).unwrap();
        let made = ProducerConfig::default().with_vars(PREFIX, vars(&file.display().to_string()));
        let problem = made.unwrap_err().to_string();
        assert!(
            problem.contains("KAFKA_SASL_PASSWORD_FILE") && problem.contains("cannot be read"),
            "{problem}"
        );

        let problem = read(&[("KAFKA_SASL_PASSWORD", "a"), ("KAFKA_SASL_PASSWORD_FILE", "/dev/null")]);
        assert!(problem.unwrap_err().to_string().contains("keep one"));
    }
}
