//! All checks of a service, run together.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tracing::Dispatch;

use super::group::{Group, Registered};
use super::report::HealthReport;
use super::{Health, HealthCheck};
use crate::context::Context;
use crate::error::callback::guarded;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::telemetry::Log;

/// Default time limit of one check. Kubernetes gives a probe one second by default: raise its
/// `timeoutSeconds`, or lower this.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a report is cached.
const FRESH: Duration = Duration::from_secs(1);

/// The health checks of a service.
///
/// Checks run concurrently, each within its time limit. One that panics is down; one that does not return is down until it
/// does, and is not called again meanwhile. Callers that arrive during a run share its report, which is then cached for a
/// second, so that probes cannot stampede. Each change of a check's status emits one event, `health.changed`.
///
/// [`report`](Self::report) is for readiness. [`liveness`](Self::liveness) runs only the checks registered for it, which
/// must not look at Kafka: restarting a service does not fix a broker.
///
/// # Examples
///
/// ```
/// # use rskafka_producer::{Context, Health, HealthRegistry};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> rskafka_producer::Result<()> {
/// let registry = HealthRegistry::new().service_id("orders");
/// registry.register_fn("disk", |_ctx| async { Health::Up })?;
/// let report = registry.report(&Context::background()).await;
/// assert_eq!(report.http_status(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct HealthRegistry {
    readiness: Arc<Group>,
    liveness: Arc<Group>,
    settings: Arc<Settings>,
}

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) service_id: Option<String>,
    pub(super) fresh: Duration,
    pub(super) log: Log,
}

impl Default for Settings {
    fn default() -> Self {
        Self { service_id: None, fresh: FRESH, log: Log::new(None, &[]) }
    }
}

section! {
    /// How a check is registered.
    #[derive(Clone, Debug)]
    #[non_exhaustive]
    pub struct Registration {
        /// A check that is not critical can degrade the service, not take it down. Default true.
        pub critical: bool = true,
        /// Its time limit. Default 2 s.
        pub timeout: Duration = CHECK_TIMEOUT,
        /// Whether it is a readiness or a liveness check. Default [`HealthKind::Readiness`].
        pub kind: HealthKind = HealthKind::Readiness,
    }
}

/// What a check is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HealthKind {
    /// Whether the service can do its work now. A service that is not ready gets no requests, and keeps running.
    #[default]
    Readiness,
    /// Whether the process itself makes progress. A process that is not alive is restarted: only for what a restart fixes.
    Liveness,
}

impl HealthRegistry {
    /// Creates a registry without checks, which is up.
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::HealthRegistry;
    ///
    /// let registry = HealthRegistry::new();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the name of the service in reports.
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::HealthRegistry;
    ///
    /// let registry = HealthRegistry::new().service_id("orders");
    /// ```
    #[must_use]
    pub fn service_id(mut self, service_id: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.settings).service_id = Some(service_id.into());
        self
    }

    /// Sets how long a report is cached. Default 1 s.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::HealthRegistry;
    ///
    /// let registry = HealthRegistry::new().cached_for(Duration::from_millis(200));
    /// ```
    #[must_use]
    pub fn cached_for(mut self, time: Duration) -> Self {
        Arc::make_mut(&mut self.settings).fresh = time;
        self
    }

    /// Sets where the events go. By default they go to the subscriber that is current where a run ends.
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::HealthRegistry;
    ///
    /// let registry = HealthRegistry::new().logger(tracing::Dispatch::none());
    /// ```
    #[must_use]
    pub fn logger(mut self, logger: Dispatch) -> Self {
        Arc::make_mut(&mut self.settings).log = Log::new(Some(logger), &[]);
        self
    }

    /// Adds a check under its own name.
    ///
    /// # Errors
    ///
    /// `KAFKA_INVALID_CONFIG` if the name is taken.
    ///
    /// # Examples
    ///
    /// ```
    /// # use rskafka_producer::{HealthRegistry, Producer};
    /// # fn example(producer: Producer) -> rskafka_producer::Result<()> {
    /// let registry = HealthRegistry::new();
    /// registry.register(producer.clone())?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn register(&self, check: impl HealthCheck + 'static) -> Result<()> {
        self.register_with(Registration::default(), check)
    }

    /// Adds a check under its own name, with its own time limit, weight and kind.
    ///
    /// # Errors
    ///
    /// `KAFKA_INVALID_CONFIG` if the name is taken, or reading it panics.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::{HealthRegistry, Registration};
    ///
    /// # fn example(producer: rskafka_producer::Producer) -> rskafka_producer::Result<()> {
    /// let registry = HealthRegistry::new();
    /// // Without Kafka the service is degraded, not down.
    /// let how = Registration::default().critical(false).timeout(Duration::from_millis(500));
    /// registry.register_with(how, producer.clone())?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn register_with(&self, how: Registration, check: impl HealthCheck + 'static) -> Result<()> {
        let group = match how.kind {
            HealthKind::Readiness => &self.readiness,
            HealthKind::Liveness => &self.liveness,
        };
        let name = guarded("the name of a health check", || check.name().to_owned())
            .map_err(|error| error.with_kind(ErrorKind::InvalidConfig).with_code(ErrorCode::InvalidConfig))?;
        if group.add(Registered::new(name.clone(), Arc::new(check), how)) {
            return Ok(());
        }
        let text = format!("a health check named {name:?} is registered already");
        Err(Error::new(ErrorKind::InvalidConfig, text))
    }

    /// Adds a function as a check.
    ///
    /// # Errors
    ///
    /// `KAFKA_INVALID_CONFIG` if the name is taken.
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::{Health, HealthRegistry};
    ///
    /// let registry = HealthRegistry::new();
    /// registry.register_fn("disk", |_ctx| async {
    ///     match std::fs::metadata("/tmp") {
    ///         Ok(_) => Health::Up,
    ///         Err(error) => Health::down_because(error.to_string()),
    ///     }
    /// })?;
    /// # Ok::<(), rskafka_producer::Error>(())
    /// ```
    pub fn register_fn<F, Fut>(&self, name: impl Into<String>, check: F) -> Result<()>
    where
        F: Fn(Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Health> + Send + 'static,
    {
        self.register(FnCheck { name: name.into(), check: Box::new(move |ctx| Box::pin(check(ctx))) })
    }

    /// Readiness: runs every readiness check, or returns the cached report.
    ///
    /// When `ctx` ends first, the last report is returned if it is at most ten seconds old; otherwise every check counts as
    /// down. The run continues, and the next caller gets its report.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only ends the wait.
    ///
    /// # Examples
    ///
    /// ```
    /// # use rskafka_producer::{Context, HealthRegistry};
    /// # async fn example(registry: HealthRegistry) {
    /// let report = registry.report(&Context::background()).await;
    /// println!("{} {}", report.http_status(), report.to_json());
    /// # }
    /// ```
    pub async fn report(&self, ctx: &Context) -> Arc<HealthReport> {
        self.readiness.report(&self.settings, ctx).await
    }

    /// Liveness: the same for the checks registered with [`HealthKind::Liveness`]. Without any it is up, which only shows
    /// that this code runs.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only ends the wait.
    ///
    /// # Examples
    ///
    /// ```
    /// # use rskafka_producer::{Context, HealthRegistry};
    /// # async fn example(registry: HealthRegistry) {
    /// let report = registry.liveness(&Context::background()).await;
    /// println!("{}", report.http_status());
    /// # }
    /// ```
    pub async fn liveness(&self, ctx: &Context) -> Arc<HealthReport> {
        self.liveness.report(&self.settings, ctx).await
    }
}

/// What the future of a function returns.
pub(super) type Answer = Pin<Box<dyn Future<Output = Health> + Send>>;

pub(super) struct FnCheck {
    pub(super) name: String,
    pub(super) check: Box<dyn Fn(Context) -> Answer + Send + Sync>,
}

#[async_trait]
impl HealthCheck for FnCheck {
    fn name(&self) -> &str {
        &self.name
    }

    async fn check(&self, ctx: &Context) -> Health {
        (self.check)(ctx.clone()).await
    }
}

debug_as!(registry: HealthRegistry {
    readiness: registry.readiness.names(),
    liveness: registry.liveness.names(),
    ..
});
