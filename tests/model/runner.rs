//! Runs many random schedules: on every core, each on its own paused clock, and watched by a clock that nothing can pause.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use kafka_testbed::SimNet;
use parking_lot::Mutex;
use rskafka_producer::Producer;

/// Real time for one schedule, which takes some ten milliseconds on an idle machine: one that spins never ends.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at the schedules that run.
const LOOK: Duration = Duration::from_millis(20);
/// Between two lines about the progress.
const PROGRESS: Duration = Duration::from_secs(10);
/// A schedule that hangs keeps its thread.
const MOST_HANGS: usize = 4;

/// How often each thing happened, by name.
pub(crate) type Counts = Vec<(&'static str, u64)>;
/// Runs one of them, on its own runtime.
pub(crate) type Schedule = fn(u64, &Arc<Watch>) -> Counts;

/// How much of a schedule takes place: what is left of a failure once all that it does not need is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Calls of each user.
    pub(crate) calls: usize,
    /// Things that happen to the cluster.
    pub(crate) happenings: usize,
    /// Requests that something happens to.
    pub(crate) faults: usize,
    /// Whether the network has latency, and cuts connections.
    pub(crate) weather: bool,
}

impl Limits {
    pub(crate) const ALL: Self = Self { calls: 70, happenings: 1_000, faults: 40, weather: true };
}

/// What a schedule shows of itself.
pub(crate) struct Watch {
    pub(crate) limits: Limits,
    /// Whether each event of the network is kept.
    pub(crate) records: bool,
    /// The simulated network, where there is one.
    pub(crate) net: Mutex<Option<SimNet>>,
    /// Calls that are never polled again, and dropped by nobody while the schedule runs.
    pub(crate) kept: Mutex<Vec<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    description: Mutex<String>,
    producer: Mutex<Option<Producer>>,
    calls: Mutex<Vec<(u64, String)>>,
    happened: Mutex<Vec<String>>,
    next_call: AtomicU64,
}

impl Watch {
    pub(crate) fn new(limits: Limits, records: bool) -> Arc<Self> {
        Arc::new(Self {
            limits,
            records,
            net: Mutex::default(),
            kept: Mutex::default(),
            description: Mutex::default(),
            producer: Mutex::default(),
            calls: Mutex::default(),
            happened: Mutex::default(),
            next_call: AtomicU64::new(0),
        })
    }

    pub(crate) fn describe(&self, description: String) {
        *self.description.lock() = description;
    }

    /// `None` once the schedule lets go of it.
    pub(crate) fn producer(&self, producer: Option<Producer>) {
        // Dropped outside the lock: the last handle closes the producer.
        let former = std::mem::replace(&mut *self.producer.lock(), producer);
        drop(former);
    }

    /// Something that happened to the cluster, `at` so much time after the beginning.
    pub(crate) fn happened(&self, at: Duration, what: &str) {
        self.happened.lock().push(format!("{at:?}: {what}"));
    }

    /// A call that is open for as long as this lives.
    pub(crate) fn call(self: &Arc<Self>, what: impl Into<String>) -> OpenCall {
        let id = self.next_call.fetch_add(1, Ordering::Relaxed);
        self.calls.lock().push((id, what.into()));
        OpenCall { watch: self.clone(), id }
    }

    /// Everything that is known of a schedule: its settings, its open calls, each task of its producer.
    pub(crate) fn dump(&self) -> String {
        let mut dump = self.description.lock().clone();
        let calls: Vec<String> = self.calls.lock().iter().map(|(_, what)| what.clone()).collect();
        dump += &format!("\n  {}\n  open calls: {calls:?}", self.happened.lock().join(", "));
        if let Some(producer) = self.producer.lock().clone() {
            for task in producer.tasks() {
                dump += &format!("\n  {task:?}");
            }
            dump += &format!("\n  {:?}", producer.stats());
        }
        dump
    }
}

pub(crate) struct OpenCall {
    watch: Arc<Watch>,
    id: u64,
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.watch.calls.lock().retain(|(id, _)| *id != self.id);
    }
}

/// What panics on purpose begins with this.
pub(crate) const ON_PURPOSE: &str = "on purpose";

thread_local! {
    /// Whether this thread runs a schedule.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps quiet about panics on purpose, and remembers the first of the others.
pub(crate) fn hook_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let former = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = info.to_string();
            if text.contains(ON_PURPOSE) {
                return;
            }
            if WATCHED.get() {
                let place = info.location().map(ToString::to_string).unwrap_or_default();
                LAST_PANIC.with_borrow_mut(|last| {
                    last.get_or_insert_with(|| format!("{place}: {text}"));
                });
            } else {
                former(info);
            }
        }));
    });
}

/// With `TRACE=1`, every event of the producer is printed.
pub(crate) fn print_events_if_asked() {
    if std::env::var_os("TRACE").is_some() {
        let events = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(std::io::stderr)
            .without_time();
        // Another test may have been first.
        drop(events.try_init());
    }
}

struct Running {
    seed: u64,
    /// Looks at it since it began. A process that is stopped for a while looks at nothing meanwhile.
    looks: u32,
    watch: Arc<Watch>,
    reported: bool,
}

#[derive(Default)]
struct Shared {
    next: AtomicU64,
    done: AtomicU64,
    running: Mutex<Vec<Running>>,
    counts: Mutex<Counts>,
    failed: Mutex<Vec<(u64, String)>>,
}

/// A number from the environment.
pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// Runs `SCHEDULES` of them, or so many as said here, from the seed `FROM` on. Returns what happened how often.
///
/// # Panics
///
/// If one failed, with the seeds of those that did.
pub(crate) fn run(name: &str, default: u64, schedule: Schedule) -> Counts {
    let (from, count) = (number("FROM", 0), number("SCHEDULES", default));
    let threads = number("THREADS", std::thread::available_parallelism().map_or(2, |n| n.get() as u64));
    let search = Search { from, count, threads, failures: usize::MAX };
    let Explored { counts, failed } = explore(name, &search, schedule);
    let seeds: Vec<_> = failed.iter().map(|(seed, text)| format!("\n  seed {seed}: {text}")).collect();
    assert!(failed.is_empty(), "{} of {count} failed:{}", failed.len(), seeds.concat());
    counts
}

/// Which schedules are run.
#[derive(Clone, Copy)]
pub(crate) struct Search {
    /// The first seed.
    pub(crate) from: u64,
    pub(crate) count: u64,
    pub(crate) threads: u64,
    /// After so many failures no more are run.
    pub(crate) failures: usize,
}

/// What many schedules came to.
pub(crate) struct Explored {
    pub(crate) counts: Counts,
    /// Seeds, and why.
    pub(crate) failed: Vec<(u64, String)>,
}

/// Runs many of them.
pub(crate) fn explore(name: &str, search: &Search, schedule: Schedule) -> Explored {
    hook_panics();
    let Search { from, count, threads, failures } = *search;
    let shared = Arc::new(Shared::default());
    shared.next.store(from, Ordering::Relaxed);
    let started = Instant::now();
    for _ in 0..threads {
        spawn(&shared, *search, schedule);
    }
    let (mut said, mut hangs) = (Instant::now(), 0);
    while shared.done.load(Ordering::Acquire) < count && shared.failed.lock().len() < failures {
        std::thread::sleep(LOOK);
        for running in shared.running.lock().iter_mut().filter(|running| !running.reported) {
            running.looks += 1;
            if LOOK * running.looks <= PATIENCE {
                continue;
            }
            running.reported = true;
            hangs += 1;
            let text = format!("still running after {PATIENCE:?}");
            eprintln!("{name}, seed {}: {text}: {}", running.seed, running.watch.dump());
            shared.failed.lock().push((running.seed, text));
            shared.done.fetch_add(1, Ordering::Release);
            spawn(&shared, *search, schedule);
        }
        if said.elapsed() > PROGRESS {
            said = Instant::now();
            let (done, failed) = (shared.done.load(Ordering::Relaxed), shared.failed.lock().len());
            let rate = done as f64 / started.elapsed().as_secs_f64();
            eprintln!("{name}: {done} of {count}, {rate:.0} a second, {failed} failed");
        }
        if hangs >= MOST_HANGS {
            break;
        }
    }
    let (counts, failed) = (shared.counts.lock().clone(), shared.failed.lock().clone());
    let (done, seconds) = (shared.done.load(Ordering::Relaxed), started.elapsed().as_secs_f64());
    eprintln!(
        "{name}: {done} schedules from seed {from} on in {seconds:.1} s, {:.0} a second: {counts:?}",
        done as f64 / seconds
    );
    Explored { counts, failed }
}

fn spawn(shared: &Arc<Shared>, search: Search, schedule: Schedule) {
    let shared = shared.clone();
    let work = move || {
        loop {
            let seed = shared.next.fetch_add(1, Ordering::Relaxed);
            if seed >= search.from + search.count || shared.failed.lock().len() >= search.failures {
                return;
            }
            let watch = Watch::new(Limits::ALL, false);
            let running = Running { seed, looks: 0, watch: watch.clone(), reported: false };
            shared.running.lock().push(running);
            let result = one(seed, &watch, schedule);
            watch.producer(None);
            let reported = {
                let mut running = shared.running.lock();
                let at = running.iter().position(|r| r.seed == seed);
                at.is_some_and(|at| running.swap_remove(at).reported)
            };
            if reported {
                // Somebody else goes on in place of this thread.
                return;
            }
            match result {
                Ok(counts) => add(&mut shared.counts.lock(), counts),
                Err(text) => {
                    eprintln!("seed {seed} failed: {text}\n  {}", watch.dump());
                    shared.failed.lock().push((seed, text));
                }
            }
            shared.done.fetch_add(1, Ordering::Release);
        }
    };
    std::thread::Builder::new().name("schedules-worker".to_owned()).spawn(work).unwrap();
}

/// One schedule on its own runtime; what it panicked with.
pub(crate) fn one(seed: u64, watch: &Arc<Watch>, schedule: Schedule) -> Result<Counts, String> {
    LAST_PANIC.set(None);
    let outer = WATCHED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(|| {
        let counts = schedule(seed, watch);
        // Outside of its runtime, as if they had never been dropped while it ran.
        drop(std::mem::take(&mut *watch.kept.lock()));
        counts
    }));
    let panicked = LAST_PANIC.take();
    WATCHED.set(outer);
    match (result, panicked) {
        (Ok(counts), None) => Ok(counts),
        (_, Some(text)) => Err(text),
        (Err(_), None) => Err("panicked".to_owned()),
    }
}

fn add(sum: &mut Counts, counts: Counts) {
    for (name, count) in counts {
        match sum.iter_mut().find(|(other, _)| *other == name) {
            Some((_, sum)) => *sum += count,
            None => sum.push((name, count)),
        }
    }
}
