//! What the conformance suite needs of a cluster, whatever its kind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use kafka_testbed::{FakeCluster, JvmCluster, Reader, SimCluster, StoredRecord};
use rskafka_producer::ProducerConfig;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::simulated;

/// Nodes of real clusters that may run at a time: of three nodes one cluster, of one node two. Most of their time is waiting, but on a small
/// machine more of them would only slow one another down.
static NODES: Semaphore = Semaphore::const_new(4);

/// Waits for this test's turn to start a real cluster with so many nodes.
pub(crate) async fn turn(nodes: u32) -> SemaphorePermit<'static> {
    NODES.acquire_many(nodes.max(2)).await.unwrap()
}

/// How much slower a task gets on than on an idle machine, measured while this lives. Time limits of real processes are
/// multiplied by it: other programs may take most of the processors.
pub(crate) struct Slowness {
    ticks: Arc<AtomicU32>,
    since: Instant,
    /// The sum over all ticks.
    others: Arc<AtomicU32>,
    ticking: JoinHandle<()>,
}

impl Slowness {
    /// What an idle machine needs for a tick of [`PAUSE`](Self::PAUSE), generously.
    const TICK: Duration = Duration::from_millis(7);
    const PAUSE: Duration = Duration::from_millis(5);

    pub(crate) fn measure() -> Self {
        let (ticks, others) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let ticking = tokio::spawn({
            let ticks = ticks.clone();
            let others = others.clone();
            async move {
                loop {
                    tokio::time::sleep(Self::PAUSE).await;
                    ticks.fetch_add(1, Ordering::Relaxed);
                    others.fetch_add(other_threads_that_run(), Ordering::Relaxed);
                }
            }
        });
        Self { ticks, others, since: Instant::now(), ticking }
    }

    /// At least 1; 2 where everything takes twice its time.
    pub(crate) fn factor(&self) -> f64 {
        let ticks = f64::from(self.ticks.load(Ordering::Relaxed).max(1));
        let late = self.since.elapsed().as_secs_f64() / (ticks * Self::TICK.as_secs_f64());
        // A task that sleeps most of the time is served soon on a busy machine; brokers are not.
        let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
        let shared = f64::from(self.others.load(Ordering::Relaxed)) / ticks / cores;
        late.max(shared).max(1.0)
    }

    /// So much time, on a machine as slow as this one is at present.
    pub(crate) fn allows(&self, limit: Duration) -> Duration {
        limit.mul_f64(self.factor())
    }
}

/// Threads of this machine that run or wait for a core, beside this one; 0 where that cannot be read.
fn other_threads_that_run() -> u32 {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let running = load.split(' ').nth(3).and_then(|threads| threads.split('/').next()?.parse::<u32>().ok());
    running.map_or(0, |running| running.saturating_sub(1))
}

/// A limit for real processes has to hold in one of three tries: in any single one the machine may have been busy with something
/// else, and a fault of ours shows in all of them.
pub(crate) struct Tries(u8);

impl Tries {
    pub(crate) fn new() -> Self {
        Self(3)
    }

    /// Whether this try kept the limit. Panics after the last one that did not.
    pub(crate) fn passed(&mut self, kept: bool, seen: &str) -> bool {
        eprintln!("{seen}{}", if kept { "" } else { ": over the limit" });
        self.0 -= u8::from(!kept);
        assert!(self.0 > 0, "three times over the limit, last {seen}");
        kept
    }
}

impl Drop for Slowness {
    fn drop(&mut self) {
        self.ticking.abort();
    }
}

#[async_trait]
pub(crate) trait Cluster: Send + Sync {
    fn bootstrap(&self) -> Vec<String>;
    async fn create_topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]);
    async fn has_topic(&self, name: &str) -> bool;
    /// Reads a topic by every reader that there is; they have to agree.
    async fn read(&self, topic: &str) -> Vec<StoredRecord>;
    /// The time of day at its brokers.
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
    /// What a producer needs beyond the addresses.
    fn reached_by(&self, config: ProducerConfig) -> ProducerConfig {
        config
    }
}

#[async_trait]
impl Cluster for FakeCluster {
    fn bootstrap(&self) -> Vec<String> {
        Self::bootstrap(self)
    }

    async fn create_topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        assert!(Self::create_topic(self, name, partitions), "{name} is there already");
        for (key, value) in configs {
            self.configure_topic(name, key, value);
        }
    }

    async fn has_topic(&self, name: &str) -> bool {
        Self::has_topic(self, name)
    }

    async fn read(&self, topic: &str) -> Vec<StoredRecord> {
        self.all_records(topic)
    }
}

#[async_trait]
impl Cluster for SimCluster {
    fn bootstrap(&self) -> Vec<String> {
        FakeCluster::bootstrap(self)
    }

    async fn create_topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        Cluster::create_topic(&**self, name, partitions, configs).await;
    }

    async fn has_topic(&self, name: &str) -> bool {
        FakeCluster::has_topic(self, name)
    }

    async fn read(&self, topic: &str) -> Vec<StoredRecord> {
        self.all_records(topic)
    }

    fn now(&self) -> SystemTime {
        self.net().wall_clock()
    }

    fn reached_by(&self, config: ProducerConfig) -> ProducerConfig {
        simulated(self.net(), config)
    }
}

#[async_trait]
impl Cluster for JvmCluster {
    fn bootstrap(&self) -> Vec<String> {
        Self::bootstrap(self)
    }

    async fn create_topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        Self::create_topic(self, name, partitions, configs).await.unwrap();
    }

    async fn has_topic(&self, name: &str) -> bool {
        self.leaders(name).await.is_ok()
    }

    async fn read(&self, topic: &str) -> Vec<StoredRecord> {
        let by_java = Self::read(self, Reader::Java, topic).await.unwrap();
        if Reader::Kcat.is_available() {
            let mut by_kcat = Self::read(self, Reader::Kcat, topic).await.unwrap();
            // kcat's output does not keep headers apart.
            for (kcat, java) in by_kcat.iter_mut().zip(&by_java) {
                kcat.headers.clone_from(&java.headers);
            }
            assert_eq!(by_kcat, by_java, "librdkafka reads what Java reads");
        }
        by_java
    }
}
