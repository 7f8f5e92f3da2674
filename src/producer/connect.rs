//! Connecting before the first message, so that a service finds out at once what is wrong.

use std::sync::Arc;
use std::time::Instant;

use super::Producer;
use crate::config::ProducerConfig;
use crate::context::Context;
use crate::core::Core;
use crate::error::{Error, ErrorCode, ErrorKind, Result, WaitReason};
use crate::supervisor::{Flight, Progress};
use crate::telemetry::Operation;

impl Producer {
    /// Makes a producer that has reached a broker, is authenticated, and knows its default topic.
    ///
    /// Tries every broker of the list, again and again, until one can be used or `ctx` ends; without a deadline
    /// in `ctx`, until `timeouts.connect` has passed twice.
    ///
    /// # Errors
    ///
    /// `KAFKA_INVALID_CONFIG` if a setting is impossible, the credentials are refused or the default topic does
    /// not exist; `KAFKA_BROKERS_UNAVAILABLE` if no broker can be reached in time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the connection attempts and leaves nothing behind.
    pub async fn connect(ctx: &Context, config: ProducerConfig) -> Result<Self> {
        let started = Instant::now();
        let producer = Self::new(config)?;
        let core = producer.core();
        let result = core.reach(ctx).await.map_err(at_startup);
        core.log.operation(Operation::Connect, started.elapsed(), result.as_ref().copied());
        match result {
            Ok(()) => Ok(producer),
            Err(error) => {
                core.end();
                Err(error)
            }
        }
    }
}

impl Core {
    /// Reaches a broker and learns the default topic, trying again until `ctx` ends.
    async fn reach(self: &Arc<Self>, ctx: &Context) -> Result<()> {
        let ctx = match ctx.remaining() {
            Some(_) => ctx.clone(),
            None => ctx.with_timeout(self.config.timeouts.connect.saturating_mul(2)),
        };
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

/// What is wrong at the start and stays wrong is wrong in the configuration; the rest is the brokers'.
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
