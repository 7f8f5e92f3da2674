//! Checks that are run together, one run at a time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::history::History;
use super::registry::{Registration, Settings};
use super::report::{CheckReport, HealthReport};
use super::{Health, HealthCheck};
use crate::context::Context;

/// For so long a report is good for someone who cannot wait for the next.
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
    pub(super) name: String,
    pub(super) check: Arc<dyn HealthCheck>,
    pub(super) how: Registration,
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
        tokio::spawn(async move {
            let reports = run_all(&checks).await;
            done.send_replace(Some(group.finish(&settings, reports)));
        });
        Err(run)
    }

    /// Keeps what a run found, and tells what changed.
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

async fn run_all(checks: &[Registered]) -> Vec<CheckReport> {
    let mut running = JoinSet::new();
    for (place, check) in checks.iter().cloned().enumerate() {
        running.spawn(async move { (place, check.run().await) });
    }
    let mut reports: Vec<Option<CheckReport>> = vec![None; checks.len()];
    while let Some(done) = running.join_next().await {
        // A check that panicked leaves its place empty.
        if let Ok((place, report)) = done {
            reports[place] = Some(report);
        }
    }
    let reports = reports.into_iter().zip(checks);
    reports
        .map(|(report, check)| {
            report.unwrap_or_else(|| check.report(Health::down_because("the check panicked"), Duration::ZERO))
        })
        .collect()
}

impl Registered {
    async fn run(&self) -> CheckReport {
        let ctx = Context::timeout(self.how.timeout);
        let started = Instant::now();
        let health = match ctx.bound(self.check.check(&ctx)).await {
            Ok(health) => health,
            Err(_) => Health::down_because(format!("no answer within {:?}", self.how.timeout)),
        };
        let mut report = self.report(health, started.elapsed());
        report.details = self.check.details();
        report
    }

    fn report(&self, health: Health, took: Duration) -> CheckReport {
        CheckReport::new(&self.name, self.how.critical, health, took, SystemTime::now())
    }
}
