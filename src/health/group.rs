//! Checks that are run together, one run at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::history::History;
use super::registry::{Registration, Settings};
use super::report::{CheckReport, HealthReport};
use super::{Health, HealthCheck};
use crate::context::Context;
use crate::error::callback::guarded_async;
use crate::telemetry::Log;

/// How long a report is good enough for a caller that cannot wait for the next.
const STALE: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Group {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    checks: Vec<Registered>,
    history: History,
    last: Option<(Instant, Arc<HealthReport>)>,
    /// The run that is under way, or the last one.
    run: Option<Run>,
}

type Run = watch::Receiver<Option<Arc<HealthReport>>>;

#[derive(Clone)]
pub(super) struct Registered {
    name: String,
    check: Arc<dyn HealthCheck>,
    how: Registration,
    /// A call of it has not come back.
    running: Arc<AtomicBool>,
}

impl Group {
    /// Adds a check; `false` if its name is taken.
    pub(super) fn add(&self, registered: Registered) -> bool {
        let mut state = self.state.lock();
        if state.checks.iter().any(|check| check.name == registered.name) {
            return false;
        }
        state.checks.push(registered);
        // The last report knows nothing of it.
        state.last = None;
        true
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.state.lock().checks.iter().map(|check| check.name.clone()).collect()
    }

    /// The last report if it is fresh, or that of the run that is under way, or of a new one.
    pub(super) async fn report(
        self: &Arc<Self>,
        settings: &Arc<Settings>,
        ctx: &Context,
    ) -> Arc<HealthReport> {
        let waiting = async {
            loop {
                let mut run = match self.fresh_or_run(settings) {
                    Ok(report) => return report,
                    Err(run) => run,
                };
                // A run ends without a report only with the runtime that it was on.
                if let Ok(Some(report)) = run.wait_for(Option::is_some).await.as_deref() {
                    return report.clone();
                }
            }
        };
        match ctx.bound(waiting).await {
            Ok(report) => report,
            Err(_) => self.without_waiting(settings),
        }
    }

    fn fresh_or_run(self: &Arc<Self>, settings: &Arc<Settings>) -> Result<Arc<HealthReport>, Run> {
        let mut state = self.state.lock();
        if let Some((at, report)) = &state.last {
            if at.elapsed() < settings.fresh {
                return Ok(report.clone());
            }
        }
        if let Some(run) = state.run.as_ref().filter(|run| run.has_changed().is_ok()) {
            return Err(run.clone());
        }
        let (done, run) = watch::channel(None);
        state.run = Some(run.clone());
        let (group, settings, checks) = (self.clone(), settings.clone(), state.checks.clone());
        drop(state);
        tokio::spawn(async move {
            let reports = run_all(&checks, &settings.log).await;
            done.send_replace(Some(group.finish(&settings, reports)));
        });
        Err(run)
    }

    /// Keeps what a run found, and returns what changed.
    fn finish(&self, settings: &Settings, mut reports: Vec<CheckReport>) -> Arc<HealthReport> {
        let mut state = self.state.lock();
        let mut changes = Vec::new();
        for report in &mut reports {
            if let Some(before) = state.history.note(report) {
                changes.push((report.name.clone(), before, report.status(), report.health.reason()));
            }
        }
        let report = Arc::new(HealthReport::new(settings.service_id.clone(), reports));
        state.last = Some((Instant::now(), report.clone()));
        drop(state);
        for (name, before, after, reason) in changes {
            settings.log.health_changed(&name, before.as_str(), after.as_str(), reason.as_deref());
        }
        report
    }

    /// For someone whose time is over: the last report, unless it is too old to mean anything.
    fn without_waiting(&self, settings: &Settings) -> Arc<HealthReport> {
        let state = self.state.lock();
        if let Some((at, report)) = &state.last {
            if at.elapsed() < STALE {
                return report.clone();
            }
        }
        let reports = state.checks.iter().map(|check| {
            check.report(Health::down_because("no answer before the context ended"), Duration::ZERO)
        });
        Arc::new(HealthReport::new(settings.service_id.clone(), reports.collect()))
    }
}

async fn run_all(checks: &[Registered], log: &Log) -> Vec<CheckReport> {
    let running: Vec<_> = checks.iter().map(|check| check.start(log)).collect();
    let reports = running.into_iter().zip(checks).map(|(running, check)| check.end(running));
    futures_util::future::join_all(reports).await
}

/// A check under way, in a separate task: one that blocks its thread stops no other.
type Running = Option<JoinHandle<CheckReport>>;

/// Time beyond its limit after which a check that has not returned is no longer waited for.
const GRACE: Duration = Duration::from_millis(50);

impl Registered {
    pub(super) fn new(name: String, check: Arc<dyn HealthCheck>, how: Registration) -> Self {
        Self { name, check, how, running: Arc::default() }
    }

    /// `None` where an earlier call has not come back: each that is made would take a thread more.
    fn start(&self, log: &Log) -> Running {
        if self.running.swap(true, Ordering::AcqRel) {
            return None;
        }
        let (back, check, log) = (Back(self.running.clone()), self.clone(), log.clone());
        Some(tokio::spawn(async move {
            let report = check.run(&log).await;
            drop(back);
            report
        }))
    }

    /// Waits for what [`start`](Self::start) began, not longer than the check may take.
    async fn end(&self, running: Running) -> CheckReport {
        let limit = self.how.timeout;
        let down = |why: &str| self.report(Health::down_because(why), Duration::ZERO);
        let Some(mut task) = running else {
            return down("an earlier call of the check has not come back");
        };
        match timeout(limit.saturating_add(GRACE), &mut task).await {
            Ok(Ok(report)) => report,
            Ok(Err(_)) => down("the check did not end"),
            Err(_) => {
                task.abort();
                self.report(late(limit), limit)
            }
        }
    }

    async fn run(&self, log: &Log) -> CheckReport {
        let ctx = Context::timeout(self.how.timeout);
        let started = Instant::now();
        let called = guarded_async("the health check", || self.check.check(&ctx));
        let health = match ctx.bound(called).await {
            Ok(Ok(health)) => health,
            Ok(Err(panicked)) => Health::down_because(panicked.to_string()),
            Err(_) => late(self.how.timeout),
        };
        let mut report = self.report(health, started.elapsed());
        report.details =
            log.contain("the details of a health check", || self.check.details()).unwrap_or_default();
        report
    }

    fn report(&self, health: Health, took: Duration) -> CheckReport {
        CheckReport::new(&self.name, self.how.critical, health, took, SystemTime::now())
    }
}

fn late(limit: Duration) -> Health {
    Health::down_because(format!("no answer within {limit:?}"))
}

/// A call that came back, or whose task ended with its runtime.
struct Back(Arc<AtomicBool>);

impl Drop for Back {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
