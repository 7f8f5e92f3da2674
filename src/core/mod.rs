//! What a producer consists of, and the small decisions that need several of its parts.
//!
//! `Core` is what the modules around it share: the facade's verbs, the metadata and the sender's tasks all work on it.

mod ended;
mod evidence;
mod lifecycle;
mod pacing;
mod pending;
mod snapshot;
mod tasks;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

pub(crate) use self::ended::{ended_error, why};
use self::evidence::Evidence;
use self::lifecycle::Lifecycle;
use self::pacing::Pacing;
pub use self::tasks::TaskState;
use crate::accumulator::{Buffer, Policy, Queue, Settlement};
use crate::compression::Compression;
use crate::config::{EngineKind, ProducerConfig, WallClock};
use crate::engine::{CONNECTING, Engine, NativeEngine, Observer};
use crate::error::{Error, ErrorKind};
use crate::message::unix_millis;
use crate::metadata::{Metadata, TopicSettings};
use crate::partitioner::Partitioning;
use crate::resilience::{Breaker, BreakerState, Change};
use crate::sender::{Broker, Brokers, Partition, SharedProducerId, waiting};
use crate::supervisor::Supervisor;
use crate::telemetry::{Counters, Log, Meters};

/// See the [module](self).
pub(crate) struct Core {
    pub(crate) config: ProducerConfig,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) policy: Policy,
    pub(crate) buffer: Arc<Buffer>,
    pub(crate) metadata: Metadata,
    pub(crate) brokers: Brokers,
    pub(crate) producer_id: SharedProducerId,
    pub(crate) pacing: Pacing,
    pub(crate) life: Lifecycle,
    pub(crate) supervisor: Arc<Supervisor>,
    pub(crate) stats: Arc<Counters>,
    pub(crate) log: Log,
    pub(crate) evidence: Evidence,
    pub(crate) default_topic: Option<Arc<str>>,
    /// Whether accepting a message calls user code.
    pub(crate) calls_out: bool,
    /// A batch became full since someone let the sender run.
    pub(crate) batch_full: AtomicBool,
    /// The sender has a separate thread: callers need not make way for it.
    pub(crate) sends_aside: AtomicBool,
    clock: WallClock,
    requests: AtomicU64,
    /// Why there was no room in the buffer, for callers that ask again and again.
    pub(crate) no_room: waiting::Recent,
}

impl Core {
    pub(crate) fn new(config: ProducerConfig) -> Arc<Self> {
        let log = Log::new(config.logger.clone(), &config.brokers);
        let clock = config.clock.clone().reporting_to(&log);
        let meters = Meters::new(&config.client_id, config.telemetry.topic_labels, log.clone());
        let stats = Arc::new(Counters::new(meters));
        let observer = Observer { log: log.clone(), counters: stats.clone() };
        let engine: Arc<dyn Engine> = match config.engine {
            EngineKind::Native => Arc::new(NativeEngine::new(&config, clock.clone(), observer)),
            #[cfg(feature = "partition-client")]
            EngineKind::PartitionClient => Arc::new(crate::engine::PartitionClientEngine::new(&config)),
        };
        let supervisor = Supervisor::new(config.runtime.clone());
        let idempotent = config.is_idempotent();
        let buffer = Buffer::new(config.buffer.max_bytes);
        let share = config.bulkhead.topic_share;
        let topics = TopicSettings {
            partitioning: config.partitioning.clone(),
            buffer: buffer.clone(),
            share: (share < 1.0).then_some((config.buffer.max_bytes as f64 * share) as usize),
            metadata_age: config.timeouts.metadata_age,
            metadata_idle: config.timeouts.metadata_idle,
            batch_bytes: config.batch.full_at(),
            random: config.random,
        };
        let core = Arc::new(Self {
            policy: Policy {
                idempotent,
                // Without sequences a retry could overtake: one batch of a partition at a time.
                max_in_flight: if idempotent { config.bulkhead.max_in_flight } else { 1 },
                linger: config.batch.linger,
                delivery: config.timeouts.delivery,
                max_batch_bytes: config.batch.full_at(),
                longest_attempt: longest_attempt(&config),
                encodes_first: encodes_first(&config),
            },
            buffer,
            metadata: Metadata::new(
                topics,
                Breaker::new(config.circuit_breaker.clone(), config.random.generator("cluster")),
            ),
            brokers: Brokers::new(config.circuit_breaker.clone(), config.random),
            producer_id: SharedProducerId::default(),
            stats,
            log,
            evidence: Evidence::default(),
            supervisor,
            default_topic: config.topic.as_deref().map(Arc::from),
            life: Lifecycle::default(),
            calls_out: matches!(config.partitioning, Partitioning::Custom(_)) || clock.is_custom(),
            batch_full: AtomicBool::new(false),
            sends_aside: AtomicBool::new(false),
            clock,
            requests: AtomicU64::new(0),
            no_room: waiting::Recent::default(),
            pacing: Pacing::new(&config, Instant::now()),
            engine,
            config,
        });
        let owner: Weak<Self> = Arc::downgrade(&core);
        core.supervisor.serve(owner);
        core
    }

    /// Has a task run that is restarted when it panics, and that ends with the producer.
    pub(crate) fn supervise<F>(
        self: &Arc<Self>,
        name: impl Into<Arc<str>>,
        work: impl Fn(Arc<Self>) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let core = Arc::downgrade(self);
        self.supervisor.supervise(name, move || {
            let work = core.upgrade().map(&work);
            async move {
                if let Some(work) = work {
                    work.await;
                }
            }
        });
    }

    /// Changes a partition's queue. The messages that fail by that fail with this error, and are counted: so many.
    pub(crate) fn settle(
        &self,
        partition: &Partition,
        error: &Error,
        decide: impl FnOnce(&mut Queue, &mut Settlement<'_>),
    ) -> usize {
        let failed = partition.settle(decide);
        self.stats.failed(&partition.topic, failed, error);
        failed.total()
    }

    /// Fails what waits, and ends every connection. Batches in flight fail when their task ends.
    pub(crate) fn stop(&self) {
        let error = Error::new(ErrorKind::Closed, "the producer was closed before the message was stored");
        for partition in self.metadata.partitions() {
            self.settle(&partition, &error, |queue, settlement| queue.abandon(&error, settlement));
        }
        for broker in self.brokers.all() {
            broker.notify();
        }
        self.engine.disconnect();
    }

    /// Ends at once: fails everything that is left, and drops what the tasks hold without waiting for them.
    pub(crate) fn end(&self) {
        _ = self.life.fail(self.stats.lost());
        self.stop();
        self.supervisor.stop();
    }

    pub(crate) fn wall_millis(&self) -> i64 {
        unix_millis(self.clock.wall())
    }

    /// The same, where the clock is custom.
    pub(crate) fn custom_wall_millis(&self) -> Option<i64> {
        self.clock.is_custom().then(|| self.wall_millis())
    }

    /// A number that no other request has.
    pub(crate) fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A broker throttles.
    pub(crate) fn throttled(&self, broker: &Arc<str>, time: Duration, now: Instant) {
        if !time.is_zero() {
            self.stats.throttled(broker, time);
            self.log.throttled(broker, time, now);
            self.pacing.throttled(now);
        }
    }

    /// A broker accepted a request.
    pub(crate) fn succeeded(&self, now: Instant) {
        self.evidence.delivered(now);
        self.pacing.succeeded(now);
    }

    pub(crate) fn broker_breaker_changed(&self, broker: &Broker, change: Option<Change>) {
        let (Some(_), Some(node)) = (change, broker.node) else {
            return;
        };
        let (name, now) = (self.engine.name_of(node), Instant::now());
        self.breaker_changed(&name, broker.breaker_state(now), broker.retry_after(now), change);
    }

    /// `broker`: its name, or what stands for the whole cluster.
    pub(crate) fn breaker_changed(
        &self,
        broker: &Arc<str>,
        state: BreakerState,
        retry_after: Option<Duration>,
        change: Option<Change>,
    ) {
        match change {
            None => return,
            Some(Change::Opened { failures }) => {
                self.stats.breaker_opened(broker);
                self.log.breaker_opened(broker, failures, retry_after.unwrap_or_default());
            }
            Some(Change::Closed) => self.log.breaker_closed(broker),
        }
        self.stats.breaker(broker, state);
    }

    /// Fails what waits in a partition.
    pub(crate) fn fail_waiting(&self, partition: &Partition, error: &Error) {
        let failed = self.settle(partition, error, |queue, settlement| queue.fail_waiting(error, settlement));
        if failed > 0 {
            self.log.batch_failed(&partition.describe(error.clone()), failed);
        }
    }

    /// Fails what waits for one broker.
    pub(crate) fn fail_broker(&self, broker: &Arc<Broker>, error: &Error) {
        for partition in self.metadata.partitions_of(broker) {
            self.fail_waiting(&partition, error);
        }
    }
}

/// Whether batches are encoded before they are handed to the engine.
fn encodes_first(config: &ProducerConfig) -> bool {
    config.batch.compression != Compression::None && config.engine == EngineKind::Native
}

/// Time after which an attempt of the engine has ended in any case.
fn longest_attempt(config: &ProducerConfig) -> Duration {
    config.timeouts.connect.saturating_mul(CONNECTING).saturating_add(config.timeouts.request)
}
