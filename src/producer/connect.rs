//! Creating a producer, and connecting it before the first message.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Producer, Shared};
use crate::config::ProducerConfig;
use crate::context::Context;
use crate::core::Core;
use crate::error::{Error, ErrorCode, ErrorKind, Result, WaitReason};
use crate::supervisor::{Flight, Progress};
use crate::telemetry::Operation;

impl Producer {
    /// Creates a producer without any I/O: it connects when it is first used.
    ///
    /// # Errors
    ///
    /// `KAFKA_INVALID_CONFIG` naming every invalid setting, as [`ProducerConfig::validate`] does.
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::{Producer, ProducerConfig};
    ///
    /// let producer = Producer::new(ProducerConfig::new(["kafka-1:9092"]).topic("events"))?;
    /// # Ok::<(), rskafka_producer::Error>(())
    /// ```
    pub fn new(config: ProducerConfig) -> Result<Self> {
        config.validate()?;
        let core = Core::new(config);
        core.report_settings();
        Ok(Self { shared: Arc::new(Shared { core }) })
    }

    /// Creates a producer and waits until it is connected, authenticated, and has the metadata of its default topic.
    ///
    /// Tries all brokers of the list until one of them answers or `ctx` ends. Without a deadline in `ctx` it stops after
    /// twice `timeouts.connect`.
    ///
    /// # Errors
    ///
    /// `KAFKA_INVALID_CONFIG` if a setting is invalid, the credentials are refused or the default topic does not exist;
    /// `KAFKA_BROKERS_UNAVAILABLE` if no broker can be reached in time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the connection attempts and leaves nothing behind.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::{Context, Producer, ProducerConfig};
    ///
    /// # async fn example() -> rskafka_producer::Result<()> {
    /// let config = ProducerConfig::new(["kafka-1:9092", "kafka-2:9092"]).topic("events");
    /// let producer = Producer::connect(&Context::timeout(Duration::from_secs(10)), config).await?;
    /// # _ = producer;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(ctx: &Context, config: ProducerConfig) -> Result<Self> {
        let producer = Self::new(config)?;
        producer.connected(ctx).await?;
        Ok(producer)
    }

    /// Waits until it is connected. If that fails, the producer ends.
    pub(crate) async fn connected(&self, ctx: &Context) -> Result<()> {
        let started = Instant::now();
        let core = self.core();
        let result = core.reach(ctx).await.map_err(at_startup);
        core.log.operation(Operation::Connect, started.elapsed(), result.as_ref().copied());
        if result.is_err() {
            core.end();
        }
        result
    }
}

impl Core {
    /// Reports what was configured and has no effect, or a dangerous one.
    fn report_settings(&self) {
        let unused = &self.config.unused;
        for (reason, settings) in &unused.settings {
            self.log.config_ignored(settings, reason);
        }
        if !unused.variables.is_empty() {
            self.log.config_unused_variables(&unused.variables);
        }
        if self.config.tls.as_ref().is_some_and(|tls| tls.any_hostname) {
            self.log.hostname_unverified();
        }
    }

    /// Reaches a broker and learns the default topic, trying again until `ctx` ends.
    async fn reach(self: &Arc<Self>, ctx: &Context) -> Result<()> {
        let ctx = ctx.within(self.config.timeouts.connect.saturating_mul(2));
        let mut last = None;
        let connecting = Flight::default();
        let work = async {
            let reached = connecting.join(&self.supervisor, "connect", &mut last, |progress| {
                let core = self.clone();
                async move { core.reach_a_broker(&progress).await }
            });
            reached.await??;
            last = None;
            if let Some(topic) = &self.default_topic {
                self.metadata.resolve(self, topic, &mut last).await?;
            }
            Ok(())
        };
        self.supervisor.ready()?;
        match self.supervisor.bound(&ctx, work).await {
            Ok(result) => result,
            Err(ended) => {
                Err(self.gave_up(ended, last, "no broker became available in time", WaitReason::NoBroker))
            }
        }
    }

    async fn reach_a_broker(&self, progress: &Progress<Result<()>>) -> Result<()> {
        let mut failures = 0;
        while let Err(error) = self.engine.connect().await {
            if error.is_lasting() {
                return Err(error);
            }
            progress.failed(Some(error));
            failures += 1;
            tokio::time::sleep(self.pacing.backoff(failures)).await;
        }
        Ok(())
    }
}

/// What is wrong at startup and stays wrong is the configuration's fault; the rest is the brokers'.
pub(super) fn at_startup(error: Error) -> Error {
    let code = match error.kind() {
        ErrorKind::Authentication
        | ErrorKind::Authorization
        | ErrorKind::Tls
        | ErrorKind::InvalidTopic
        | ErrorKind::UnknownTopic
        | ErrorKind::InvalidConfig => ErrorCode::InvalidConfig,
        _ => ErrorCode::BrokersUnavailable,
    };
    error.with_code(code)
}
