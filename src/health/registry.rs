//! All checks of a service, run together.

use std::fmt;
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

/// Longest time for one check, unless said otherwise. Kubernetes gives a probe one second by default: raise its
/// `timeoutSeconds`, or lower this.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// For so long a report is served again instead of asking anew.
const FRESH: Duration = Duration::from_secs(1);

/// The checks of a service.
///
/// Checks run at the same time, each within its time limit; one that panics is down, and one that does not come back
/// is down until it does, and is not called again meanwhile. Callers who come while a run is
/// under way wait for that one, and for a second its report is served again, so that probes cannot stampede. Each
/// change of a check's status leaves one event, `health.changed`.
///
/// [`report`](Self::report) is for readiness. [`liveness`](Self::liveness) runs only the checks that were registered
/// for it, and must not look at Kafka: restarting a service mends no broker.
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

/// How a check is registered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Registration {
    /// A check that is not critical can only degrade the whole. Default critical.
    pub critical: bool,
    /// Longest time that it may take. Default 2 s.
    pub timeout: Duration,
    /// What it is asked for. Default [`HealthKind::Readiness`].
    pub kind: HealthKind,
}

/// What a check is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HealthKind {
    /// Whether the service can do its work now. One that is not ready gets no requests, and is left running.
    #[default]
    Readiness,
    /// Whether the process itself makes progress. One that is not alive is restarted: only for what a restart mends.
    Liveness,
}

impl Default for Registration {
    fn default() -> Self {
        Self { critical: true, timeout: CHECK_TIMEOUT, kind: HealthKind::Readiness }
    }
}

impl Registration {
    setters! {
        /// Sets [`critical`](Self::critical).
        critical: bool,
        /// Sets [`timeout`](Self::timeout).
        timeout: Duration,
        /// Sets [`kind`](Self::kind).
        kind: HealthKind,
    }
}

impl HealthRegistry {
    /// A registry without checks, which is up.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the name of the service in reports.
    #[must_use]
    pub fn service_id(mut self, service_id: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.settings).service_id = Some(service_id.into());
        self
    }

    /// Sets for how long a report is served again. Default 1 s.
    #[must_use]
    pub fn cached_for(mut self, time: Duration) -> Self {
        Arc::make_mut(&mut self.settings).fresh = time;
        self
    }

    /// Sets where the events go; without it, to the subscriber that is current where a run ends.
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
    pub fn register(&self, check: impl HealthCheck + 'static) -> Result<()> {
        self.register_with(Registration::default(), check)
    }

    /// Adds a check under its own name, with its own time limit, weight and kind.
    ///
    /// # Errors
    ///
    /// `KAFKA_INVALID_CONFIG` if the name is taken, or the check panics when it is asked for it.
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
    pub fn register_fn<F, Fut>(&self, name: impl Into<String>, check: F) -> Result<()>
    where
        F: Fn(Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Health> + Send + 'static,
    {
        self.register(FnCheck { name: name.into(), check: Box::new(move |ctx| Box::pin(check(ctx))) })
    }

    /// Readiness: runs every check of that kind, or serves a report of the last second.
    ///
    /// When `ctx` ends first, the last report is served if it is not older than ten seconds; else every check is
    /// down. The run goes on, and the next caller has its report.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends only the waiting.
    pub async fn report(&self, ctx: &Context) -> Arc<HealthReport> {
        self.readiness.report(&self.settings, ctx).await
    }

    /// Liveness: the same for the checks that were registered with [`HealthKind::Liveness`]. Without any it is up,
    /// which says that this code runs.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends only the waiting.
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

impl fmt::Debug for HealthRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthRegistry")
            .field("readiness", &self.readiness.names())
            .field("liveness", &self.liveness.names())
            .finish_non_exhaustive()
    }
}
