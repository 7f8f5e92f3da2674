//! All checks of a service, run together.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::report::{CheckReport, HealthReport, Status};
use super::{Health, HealthCheck};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};

/// Longest time for one check, unless said otherwise. Kubernetes gives a probe one second by default: raise its
/// `timeoutSeconds`, or lower this.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// For so long a report is served again instead of asking anew.
const FRESH: Duration = Duration::from_secs(1);

/// The checks of a service.
///
/// Checks run at the same time, each within its time limit; one that panics is down. Callers who come while a
/// report is being made wait for that one, and for a second it is served again, so that probes cannot stampede.
///
/// Use it for readiness. Liveness must not depend on Kafka: restarting a service mends no broker.
///
/// ```
/// # use rskafka_producer::{Context, Health, HealthRegistry};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> rskafka_producer::Result<()> {
/// let registry = HealthRegistry::new();
/// registry.register_fn("disk", |_ctx| async { Health::Up })?;
/// let report = registry.report(&Context::background()).await;
/// assert_eq!(report.http_status(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct HealthRegistry {
    checks: Mutex<Vec<Registered>>,
    last: tokio::sync::Mutex<Option<(Instant, Arc<HealthReport>)>>,
}

/// How a check is registered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Registration {
    /// A check that is not critical can only degrade the whole. Default critical.
    pub critical: bool,
    /// Longest time that it may take. Default 2 s.
    pub timeout: Duration,
}

impl Default for Registration {
    fn default() -> Self {
        Self { critical: true, timeout: CHECK_TIMEOUT }
    }
}

impl Registration {
    setters! {
        /// Sets [`critical`](Self::critical).
        critical: bool,
        /// Sets [`timeout`](Self::timeout).
        timeout: Duration,
    }
}

#[derive(Clone)]
struct Registered {
    name: String,
    check: Arc<dyn HealthCheck>,
    how: Registration,
}

impl HealthRegistry {
    /// A registry without checks, which is up.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check under its own name.
    ///
    /// # Errors
    ///
    /// `KAFKA_INVALID_CONFIG` if the name is taken.
    pub fn register(&self, check: impl HealthCheck + 'static) -> Result<()> {
        self.register_with(Registration::default(), check)
    }

    /// Adds a check under its own name, with its own time limit and weight.
    ///
    /// # Errors
    ///
    /// `KAFKA_INVALID_CONFIG` if the name is taken.
    pub fn register_with(&self, how: Registration, check: impl HealthCheck + 'static) -> Result<()> {
        let name = check.name().to_owned();
        let mut checks = self.checks.lock();
        if checks.iter().any(|registered| registered.name == name) {
            let text = format!("a health check named {name:?} is registered already");
            return Err(Error::new(ErrorKind::InvalidConfig, text));
        }
        checks.push(Registered { name, check: Arc::new(check), how });
        Ok(())
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

    /// Runs every check, or serves a report of the last second. When `ctx` ends first, what has not answered is
    /// down.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the checks that it started.
    pub async fn report(&self, ctx: &Context) -> Arc<HealthReport> {
        let mut last = self.last.lock().await;
        if let Some((at, report)) = &*last {
            if at.elapsed() < FRESH {
                return report.clone();
            }
        }
        let report = Arc::new(self.run(ctx).await);
        *last = Some((Instant::now(), report.clone()));
        report
    }

    async fn run(&self, ctx: &Context) -> HealthReport {
        let checks = self.checks.lock().clone();
        let mut running = JoinSet::new();
        for (place, registered) in checks.iter().cloned().enumerate() {
            let ctx = ctx.with_timeout(registered.how.timeout);
            running.spawn(async move { (place, check(&registered, &ctx).await) });
        }
        let mut reports: Vec<Option<CheckReport>> = vec![None; checks.len()];
        while let Some(done) = running.join_next().await {
            // A check that panicked leaves its place empty.
            if let Ok((place, report)) = done {
                reports[place] = Some(report);
            }
        }
        let reports = reports.into_iter().zip(checks).map(|(report, registered)| {
            report.unwrap_or_else(|| CheckReport {
                name: registered.name,
                critical: registered.how.critical,
                health: Health::down_because("the check panicked"),
                took: Duration::ZERO,
                at: SystemTime::now(),
            })
        });
        HealthReport::new(reports.collect())
    }
}

async fn check(registered: &Registered, ctx: &Context) -> CheckReport {
    let started = Instant::now();
    let health = match ctx.bound(registered.check.check(ctx)).await {
        Ok(health) => health,
        Err(_) => Health::down_because(format!("no answer within {:?}", started.elapsed())),
    };
    CheckReport {
        name: registered.name.clone(),
        critical: registered.how.critical,
        health,
        took: started.elapsed(),
        at: SystemTime::now(),
    }
}

type Answer = Pin<Box<dyn Future<Output = Health> + Send>>;

struct FnCheck {
    name: String,
    check: Box<dyn Fn(Context) -> Answer + Send + Sync>,
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
        let names: Vec<_> = self.checks.lock().iter().map(|c| c.name.clone()).collect();
        f.debug_struct("HealthRegistry").field("checks", &names).finish_non_exhaustive()
    }
}

/// What the worst of all checks makes of the whole.
pub(super) fn overall(reports: &[CheckReport]) -> Status {
    let status = reports.iter().map(|report| match (&report.health, report.critical) {
        (Health::Up, _) => Status::Pass,
        (Health::Down { .. }, true) => Status::Fail,
        _ => Status::Warn,
    });
    status.max().unwrap_or(Status::Pass)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn checks_run_together_and_a_slow_one_is_down_in_its_time() {
        let registry = HealthRegistry::new();
        for name in ["a", "b", "c"] {
            registry
                .register_fn(name, |_| async {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    Health::Up
                })
                .unwrap();
        }
        registry.register_fn("stuck", |_| std::future::pending()).unwrap();
        let started = Instant::now();
        let report = registry.report(&Context::background()).await;
        assert!(started.elapsed() < Duration::from_millis(2_010));
        assert_eq!(report.status(), Status::Fail);
        assert_eq!(report.checks().iter().filter(|c| c.health == Health::Up).count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_contained_and_the_check_is_down() {
        let registry = HealthRegistry::new();
        registry.register_fn("bad", |_| async { panic!("on purpose") }).unwrap();
        registry.register_fn("good", |_| async { Health::Up }).unwrap();
        let report = registry.report(&Context::background()).await;
        assert_eq!(report.http_status(), 503);
        assert_eq!(report.checks()[1].health, Health::Up);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stampede_makes_one_check() {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let registry = Arc::new(HealthRegistry::new());
        registry
            .register_fn("counted", |_| async {
                RUNS.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(100)).await;
                Health::Up
            })
            .unwrap();
        let callers: Vec<_> = (0..50)
            .map(|_| {
                let registry = registry.clone();
                tokio::spawn(async move { registry.report(&Context::background()).await.http_status() })
            })
            .collect();
        for caller in callers {
            assert_eq!(caller.await.unwrap(), 200);
        }
        assert_eq!(RUNS.load(Ordering::SeqCst), 1);
        tokio::time::advance(Duration::from_secs(2)).await;
        registry.report(&Context::background()).await;
        assert_eq!(RUNS.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_check_that_is_not_critical_only_degrades() {
        let registry = HealthRegistry::new();
        let cache = FnCheck {
            name: "cache".into(),
            check: Box::new(|_| Box::pin(async { Health::down_because("cold") })),
        };
        registry.register_with(Registration::default().critical(false), cache).unwrap();
        let report = registry.report(&Context::background()).await;
        assert_eq!((report.status(), report.http_status()), (Status::Warn, 200));
    }

    #[test]
    fn a_name_can_be_registered_once() {
        let registry = HealthRegistry::new();
        registry.register_fn("a", |_| async { Health::Up }).unwrap();
        let error = registry.register_fn("a", |_| async { Health::Up }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    }
}
