//! What the registry sees to, on a paused clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::registry::FnCheck;
use super::*;
use crate::context::Context;
use crate::error::ErrorKind;

const SECOND: Duration = Duration::from_secs(1);

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

#[tokio::test(start_paused = true)]
async fn who_cannot_wait_gets_the_last_report_while_it_means_something() {
    let registry = HealthRegistry::new();
    let slow = Arc::new(AtomicUsize::new(0));
    let calls = slow.clone();
    registry
        .register_fn("slow", move |_| {
            let first = calls.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if !first {
                    tokio::time::sleep(SECOND).await;
                }
                Health::Up
            }
        })
        .unwrap();
    let hurried = Context::timeout(Duration::from_millis(100));
    let first = registry.report(&hurried).await;
    assert_eq!(first.status(), Status::Pass);
    tokio::time::advance(5 * SECOND).await;
    let started = Instant::now();
    let stale = registry.report(&Context::timeout(Duration::from_millis(100))).await;
    assert!(started.elapsed() < Duration::from_millis(110));
    assert!(Arc::ptr_eq(&first, &stale));
    // The run went on without its caller, and its report is there.
    tokio::time::sleep(SECOND).await;
    registry.report(&Context::background()).await;
    assert_eq!(slow.load(Ordering::SeqCst), 2);
    tokio::time::advance(11 * SECOND).await;
    let too_old = registry.report(&Context::timeout(Duration::from_millis(100))).await;
    assert_eq!(too_old.status(), Status::Fail);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_takes_no_run_with_it() {
    let registry = Arc::new(HealthRegistry::new());
    registry
        .register_fn("slow", |_| async {
            tokio::time::sleep(SECOND).await;
            Health::Up
        })
        .unwrap();
    let first = tokio::spawn({
        let registry = registry.clone();
        async move { registry.report(&Context::background()).await }
    });
    tokio::time::sleep(SECOND / 2).await;
    first.abort();
    let started = Instant::now();
    assert_eq!(registry.report(&Context::background()).await.status(), Status::Pass);
    assert!(started.elapsed() <= SECOND / 2 + Duration::from_millis(10), "it joined the first one's run");
}

#[tokio::test]
async fn liveness_asks_only_what_was_registered_for_it() {
    let registry = HealthRegistry::new();
    registry.register_fn("kafka", |_| async { Health::down_because("all brokers are down") }).unwrap();
    let ctx = Context::background();
    assert_eq!(registry.liveness(&ctx).await.http_status(), 200);
    let stuck = FnCheck {
        name: "queue".into(),
        check: Box::new(|_| Box::pin(async { Health::down_because("stuck") })),
    };
    registry.register_with(Registration::default().kind(HealthKind::Liveness), stuck).unwrap();
    let report = registry.liveness(&ctx).await;
    assert_eq!(report.http_status(), 503);
    let names: Vec<_> = report.checks().iter().map(|check| check.name.as_str()).collect();
    assert_eq!(names, ["queue"]);
}

#[tokio::test(start_paused = true)]
async fn failures_are_counted_over_runs_and_not_over_callers() {
    let registry = HealthRegistry::new();
    registry.register_fn("down", |_| async { Health::down_because("gone") }).unwrap();
    for run in 1..=3 {
        for _ in 0..5 {
            let report = registry.report(&Context::background()).await;
            assert_eq!(report.checks()[0].consecutive_failures, run);
        }
        tokio::time::advance(2 * SECOND).await;
    }
}

#[test]
fn a_registry_that_outlives_its_runtime_starts_a_new_run() {
    let registry = Arc::new(HealthRegistry::new());
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    registry
        .register_fn("first hangs", move |_| {
            let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if first {
                    std::future::pending::<()>().await;
                }
                Health::Up
            }
        })
        .unwrap();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let hurried = Context::timeout(Duration::from_millis(10));
    assert_eq!(runtime().block_on(registry.report(&hurried)).status(), Status::Fail);
    assert_eq!(runtime().block_on(registry.report(&Context::background())).status(), Status::Pass);
}

#[test]
fn a_name_can_be_registered_once() {
    let registry = HealthRegistry::new();
    registry.register_fn("a", |_| async { Health::Up }).unwrap();
    let error = registry.register_fn("a", |_| async { Health::Up }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
}

/// A check that misbehaves wherever it is called.
struct Bad {
    name: bool,
}

#[async_trait::async_trait]
impl HealthCheck for Bad {
    fn name(&self) -> &str {
        assert!(!self.name, "no name");
        "bad"
    }

    async fn check(&self, _: &Context) -> Health {
        Health::Up
    }

    fn details(&self) -> Vec<HealthDetail> {
        panic!("no details");
    }
}

#[tokio::test(start_paused = true)]
async fn panics_of_a_name_and_of_details_are_contained() {
    let registry = HealthRegistry::new();
    let error = registry.register(Bad { name: true }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.to_string().contains("the name of a health check panicked: no name"), "{error}");
    registry.register(Bad { name: false }).unwrap();
    let report = registry.report(&Context::background()).await;
    assert_eq!(report.status(), Status::Pass, "what the check itself said counts");
}

/// A check that blocked its thread hid the reports of all others, and took a thread more with each run.
#[test]
fn a_check_that_does_not_come_back_hides_no_other_and_is_not_called_again() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let (ended, calls) = (Arc::new(parking_lot::Mutex::new(ended)), Arc::new(AtomicUsize::new(0)));
    runtime.block_on(async {
        let registry = HealthRegistry::new().cached_for(Duration::ZERO);
        registry.register_fn("good", |_| async { Health::Up }).unwrap();
        let counted = calls.clone();
        let blocks = FnCheck {
            name: "blocks".into(),
            check: Box::new(move |_| {
                counted.fetch_add(1, Ordering::SeqCst);
                ended.lock().recv().ok();
                Box::pin(async { Health::Up })
            }),
        };
        let how = Registration::default().timeout(Duration::from_millis(50));
        registry.register_with(how, blocks).unwrap();
        for _ in 0..3 {
            let report = registry.report(&Context::timeout(10 * SECOND)).await;
            let health = |name: &str| report.checks().iter().find(|c| c.name == name).unwrap().health.clone();
            assert_eq!(health("good"), Health::Up);
            assert_ne!(health("blocks"), Health::Up);
        }
    });
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    drop(end);
}
