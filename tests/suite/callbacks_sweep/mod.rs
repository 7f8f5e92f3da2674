//! Every callback misbehaves in every way: an error of that call, and of nothing else.
//!
//! Real threads and a real clock, since what blocks a thread cannot be shown on a paused one; the cases run side by
//! side.

mod callbacks;
#[cfg(feature = "metrics")]
mod recorder;
mod trap;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use kafka_testbed::FakeCluster;
use rskafka_producer::{
    BatchConfig, BulkheadConfig, CircuitBreakerConfig, Context, ErrorKind, Message, Producer, TimeoutConfig,
};
use tokio::runtime::{Handle, Runtime};

use self::callbacks::{CALLBACKS, Callback};
use self::trap::{Misbehaviour, Trap};

use crate::support::{LATE, SECOND};

type Brokers = Arc<FakeCluster>;

#[test]
fn a_callback_that_misbehaves_fails_its_own_call_and_nothing_else() {
    let brokers = Runtime::new().unwrap();
    let lag = Lag::measure();
    let mut cases = Vec::new();
    // To look at one of them: CALLBACKS_SWEEP="waker Never".
    let only = std::env::var("CALLBACKS_SWEEP").unwrap_or_default();
    for callback in CALLBACKS {
        for does in Misbehaviour::ALL {
            if !format!("{} {does:?}", callback.name).contains(&only) {
                continue;
            }
            let cluster = Arc::new(brokers.block_on(cluster(callback)));
            let lag = lag.clone();
            let run = std::thread::Builder::new().name(format!("{} {does:?}", callback.name));
            let (ended, end) = std::sync::mpsc::channel();
            let case = Case { callback, does, cluster, lag };
            run.spawn(move || {
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case.run()));
                ended.send(result.is_ok()).ok();
            })
            .unwrap();
            cases.push((callback.name, does, end));
        }
    }
    let size = format!("{} callbacks x {} misbehaviours", CALLBACKS.len(), Misbehaviour::ALL.len());
    let limit = Instant::now() + 60 * SECOND;
    let failed: Vec<_> = cases
        .into_iter()
        .filter_map(|(name, does, end)| {
            match end.recv_timeout(limit.saturating_duration_since(Instant::now())) {
                Ok(true) => None,
                Ok(false) => Some(format!("{name} {does:?}")),
                Err(_) => Some(format!("{name} {does:?} never ends")),
            }
        })
        .collect();
    lag.stop.store(true, Ordering::Relaxed);
    println!("{size}, a thread was at most {:?} late", lag.most());
    assert!(failed.is_empty(), "{failed:#?}");
}

async fn cluster(callback: &Callback) -> FakeCluster {
    let mut cluster = FakeCluster::builder().brokers(2).topic("t", 2).topic("other", 2).topic("third", 1);
    if let Some(sasl) = callback.sasl {
        cluster = cluster.sasl(sasl());
    }
    cluster.start().await.unwrap()
}

/// How late this machine wakes a thread: what a busy one adds to every deadline.
#[derive(Clone)]
struct Lag {
    most: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Lag {
    fn measure() -> Self {
        let lag = Self { most: Arc::default(), stop: Arc::default() };
        let measuring = lag.clone();
        std::thread::spawn(move || {
            const TICK: Duration = Duration::from_millis(20);
            while !measuring.stop.load(Ordering::Relaxed) {
                let started = Instant::now();
                std::thread::sleep(TICK);
                let late = started.elapsed().saturating_sub(TICK).as_millis() as u64;
                measuring.most.fetch_max(late, Ordering::Relaxed);
            }
        });
        lag
    }

    fn most(&self) -> Duration {
        Duration::from_millis(self.most.load(Ordering::Relaxed))
    }
}

struct Case {
    callback: &'static Callback,
    does: Misbehaviour,
    cluster: Brokers,
    lag: Lag,
}

impl Case {
    fn run(self) {
        // Threads enough that one which is held leaves others. The producer's tasks have a separate runtime, since a
        // thread of tokio's that is held keeps the task that it has woken last.
        let runtime =
            || tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_all().build().unwrap();
        let (users, producers) = (runtime(), runtime());
        let trap = Trap::new(self.does);
        let released = Released(trap.clone());
        users.block_on(self.body(&trap, producers.handle()));
        drop(released);
        users.shutdown_background();
        producers.shutdown_background();
    }

    async fn body(&self, trap: &Arc<Trap>, producers: &Handle) {
        let producer = self.connect(trap, producers).await;
        self.warm(&producer).await;
        trap.arm(self.callback.times, &producer);
        let victim = (self.callback.provoke)(self.cluster.clone(), producer.clone(), trap.clone());
        let victim = tokio::spawn(victim);
        let sprung = async {
            while trap.sprung() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(10 * SECOND, sprung).await.expect("the callback was called");
        self.others(&producer).await;
        self.ends(&producer, trap, victim).await;
    }

    async fn connect(&self, trap: &Arc<Trap>, producers: &Handle) -> Producer {
        let config = self
            .callback
            .config(self.cluster.bootstrap(), trap)
            .runtime(producers.clone())
            .timeouts(TimeoutConfig::default().connect(SECOND).request(2 * SECOND).delivery(4 * SECOND))
            .batch(BatchConfig::default().linger(Duration::from_millis(1)))
            .circuit_breaker(CircuitBreakerConfig::default().enabled(false))
            .bulkhead(BulkheadConfig::default().topic_share(0.5));
        Producer::connect(&Context::timeout(10 * SECOND), config).await.unwrap()
    }

    async fn warm(&self, producer: &Producer) {
        let ctx = Context::timeout(10 * SECOND);
        for (topic, partition) in [("t", 0), ("t", 1), ("other", 0), ("other", 1)] {
            producer.send(&ctx, Message::new("warm").to(topic).partition(partition)).await.unwrap();
        }
    }

    /// Calls that have nothing to do with the callback, made while it misbehaves.
    async fn others(&self, producer: &Producer) {
        let limit = SECOND;
        let calls = [("t", Some(0)), ("t", Some(1)), ("other", Some(0)), ("other", None), ("third", Some(0))];
        let sends = calls.map(|(topic, partition)| {
            let producer = producer.clone();
            tokio::spawn(async move {
                let mut message = Message::new("other").to(topic);
                message.partition = partition;
                let started = Instant::now();
                let result = producer.send(&Context::timeout(limit), message).await;
                (result, started.elapsed())
            })
        });
        drop(producer.stats());
        for ((topic, partition), sent) in calls.into_iter().zip(join_all(sends).await) {
            let (result, took) = sent.unwrap_or_else(|panicked| {
                std::mem::forget(panicked);
                panic!("another call panicked");
            });
            assert!(took <= limit + LATE + self.lag.most(), "{topic} {partition:?}: {took:?}");
            match result {
                Ok(_) => {}
                Err(error) if self.does == Misbehaviour::Close => {
                    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
                }
                // What holds the task of a broker holds what goes there, until its deadline.
                Err(error) => assert!(
                    self.callback.holds_task
                        && matches!(error.kind(), ErrorKind::DeadlineExceeded | ErrorKind::DeliveryTimeout),
                    "{topic} {partition:?}: {error}"
                ),
            }
        }
        let (ctx, started) = (Context::timeout(limit), Instant::now());
        drop(producer.flush(&ctx).await);
        drop(producer.health(&ctx).await);
        assert!(started.elapsed() <= limit + LATE + self.lag.most(), "{:?}", started.elapsed());
    }

    async fn ends(
        &self,
        producer: &Producer,
        trap: &Trap,
        victim: tokio::task::JoinHandle<callbacks::Outcome>,
    ) {
        let held = self.does == Misbehaviour::Never;
        if held {
            // Even now the producer can be closed in time.
            let (limit, started) = (SECOND, Instant::now());
            drop(producer.close(&Context::timeout(limit)).await);
            assert!(started.elapsed() <= limit + LATE + self.lag.most(), "{:?}", started.elapsed());
            trap.release();
        }
        let outcome = tokio::time::timeout(10 * SECOND, victim).await.expect("the call itself ends");
        let outcome = outcome.unwrap_or_else(|panicked| {
            // Its payload may panic when it is dropped, which would end the whole process.
            std::mem::forget(panicked);
            panic!("the call itself panicked");
        });
        if self.does.panics() {
            (self.callback.judge)(&outcome);
        }
        if !held && self.does != Misbehaviour::Close {
            let ctx = Context::timeout(10 * SECOND);
            producer.flush(&ctx).await.unwrap();
            self.warm(producer).await;
            producer.flush(&ctx).await.unwrap();
        }
        let ctx = Context::timeout(10 * SECOND);
        drop(producer.close(&ctx).await);
        // What a thread held is counted a moment after it is released.
        let even = async {
            while !is_even(producer) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let even = tokio::time::timeout(2 * SECOND + self.lag.most(), even).await;
        assert!(even.is_ok(), "something is off: {:?}", producer.stats());
    }
}

/// Whether everything that was accepted is settled, and nothing is held.
fn is_even(producer: &Producer) -> bool {
    let stats = producer.stats();
    let settled = stats.records_acked + stats.records_not_persisted + stats.records_possibly_persisted;
    (stats.buffer_bytes, stats.in_flight) == (0, 0) && stats.records_accepted == settled
}

/// Whatever a case comes to, its threads go.
struct Released(Arc<Trap>);

impl Drop for Released {
    fn drop(&mut self) {
        self.0.release();
    }
}
