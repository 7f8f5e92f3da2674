//! What a producer consists of, and the small decisions that need several of its parts.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::health::Evidence;
use crate::accumulator::{Buffer, Policy};
use crate::clock::{Clock, scaled};
use crate::config::{EngineKind, ProducerConfig};
use crate::context::{Context, Ended};
use crate::engine::{CONNECTING, Engine, MessengerEngine, Observer};
use crate::error::{Error, ErrorKind, Result, Retry, WaitReason};
use crate::message::millis;
use crate::metadata::{Metadata, TopicSettings};
use crate::partitioner::Partitioning;
use crate::resilience::{Backoff, BreakerState, Change, RateLimiter, RetryBudget};
use crate::sender::{Broker, Brokers, Partition, ProducerBatch, SharedProducerId, waiting};
use crate::supervisor::{Flight, Progress, Supervisor};
use crate::telemetry::{BrokerStats, Counters, Log, Meters, Stats};

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: ProducerConfig,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) policy: Policy,
    pub(crate) buffer: Arc<Buffer>,
    pub(crate) metadata: Metadata,
    pub(crate) brokers: Brokers,
    pub(crate) producer_id: SharedProducerId,
    pub(crate) stats: Arc<Counters>,
    pub(crate) log: Log,
    pub(crate) evidence: Evidence,
    pub(crate) supervisor: Arc<Supervisor>,
    pub(super) default_topic: Option<Arc<str>>,
    pub(super) closing: watch::Sender<super::close::Closing>,
    pub(super) draining: AtomicBool,
    /// Whether accepting a message calls code of the user's.
    pub(super) calls_out: bool,
    /// A batch became full since someone let the sender run.
    pub(super) batch_full: AtomicBool,
    clock: Clock,
    stopped: AtomicBool,
    requests: AtomicU64,
    backoff: Backoff,
    budget: Mutex<RetryBudget>,
    limiter: Option<Mutex<RateLimiter>>,
    random: Mutex<fastrand::Rng>,
    pub(super) no_room: waiting::Recent,
}

impl Core {
    pub(super) fn new(config: ProducerConfig) -> Arc<Self> {
        let log = Log::new(config.logger.clone(), &config.brokers);
        let clock = config.clock.clone().reporting_to(&log);
        let meters = Meters::new(&config.client_id, config.telemetry.topic_labels, log.clone());
        let stats = Arc::new(Counters::new(meters));
        let observer = Observer { log: log.clone(), counters: stats.clone() };
        let engine: Arc<dyn Engine> = match config.engine {
            EngineKind::Messenger => Arc::new(MessengerEngine::new(&config, clock.clone(), observer)),
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
            batch_bytes: config.batch.max_bytes,
        };
        let core = Arc::new(Self {
            policy: Policy {
                idempotent,
                // Without sequences a retry could overtake: one batch of a partition at a time.
                max_in_flight: if idempotent { config.bulkhead.max_in_flight } else { 1 },
                linger: config.batch.linger,
                delivery: config.timeouts.delivery,
                max_batch_bytes: config.batch.max_bytes,
                longest_attempt: longest_attempt(&config),
                encodes_aside: encodes_aside(&config),
            },
            buffer,
            metadata: Metadata::new(topics, config.circuit_breaker.clone()),
            brokers: Brokers::new(config.circuit_breaker.clone()),
            producer_id: SharedProducerId::default(),
            stats,
            log,
            evidence: Evidence::default(),
            supervisor,
            default_topic: config.topic.as_deref().map(Arc::from),
            closing: watch::Sender::default(),
            draining: AtomicBool::new(false),
            calls_out: matches!(config.partitioning, Partitioning::Custom(_)) || clock.is_custom(),
            batch_full: AtomicBool::new(false),
            clock,
            stopped: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            backoff: Backoff::new(config.retry.backoff, config.retry.max_backoff),
            budget: Mutex::new(RetryBudget::new(Instant::now())),
            limiter: RateLimiter::new(&config.rate_limit, Instant::now()).map(Mutex::new),
            random: Mutex::new(fastrand::Rng::new()),
            no_room: waiting::Recent::default(),
            engine,
            config,
        });
        let owner: Weak<Self> = Arc::downgrade(&core);
        core.supervisor.serve(owner);
        core
    }

    /// Reaches a broker and learns the default topic, trying again until `ctx` ends.
    pub(super) async fn connect(self: &Arc<Self>, ctx: &Context) -> Result<()> {
        let ctx = match ctx.remaining() {
            Some(_) => ctx.clone(),
            None => ctx.with_timeout(self.config.timeouts.connect.saturating_mul(2)),
        };
        let mut last = None;
        let connecting = Flight::default();
        let work = async {
            let reached = connecting.join(&self.supervisor, "connect", &mut last, |progress| {
                let core = self.clone();
                async move { core.reach_a_broker(&progress).await }
            });
            reached.await??;
            last = None;
            if let Some(topic) = &self.default_topic {
                self.metadata.resolve(self, topic, &mut last).await?;
            }
            Ok(())
        };
        self.supervisor.ready()?;
        match self.supervisor.bound(&ctx, work).await {
            Ok(result) => result,
            Err(ended) => {
                Err(self.gave_up(ended, last, "no broker became available in time", WaitReason::NoBroker))
            }
        }
    }

    async fn reach_a_broker(&self, progress: &Progress<Result<()>>) -> Result<()> {
        let mut failures = 0;
        while let Err(error) = self.engine.connect().await {
            if error.is_lasting() {
                return Err(error);
            }
            progress.failed(Some(error));
            failures += 1;
            tokio::time::sleep(self.backoff(failures)).await;
        }
        Ok(())
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Ends every task and connection, and gives up what waits. What is in flight is given up by its broker.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        let error = Error::new(ErrorKind::Closed, "the producer was closed before the message was stored");
        for partition in self.metadata.partitions() {
            self.stats.failed(
                partition.topic(),
                partition.settle(|queue, settlement| queue.abandon(&error, settlement)),
                &error,
            );
        }
        for broker in self.brokers.all() {
            broker.notify();
        }
        self.engine.close();
    }

    /// The same, and drops what the tasks hold without waiting for them.
    pub(super) fn end(&self) {
        self.stop();
        self.supervisor.stop();
    }

    pub(crate) fn wall_millis(&self) -> i64 {
        millis(self.clock.wall())
    }

    /// The same, where the clock is the user's.
    pub(super) fn custom_wall_millis(&self) -> Option<i64> {
        self.clock.is_custom().then(|| self.wall_millis())
    }

    /// A number that no other request has.
    pub(crate) fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Delay before retry number `failures`.
    pub(crate) fn backoff(&self, failures: u32) -> Duration {
        self.backoff.delay(failures, &mut self.random.lock())
    }

    /// Delay before a batch is sent again.
    pub(crate) fn retry_delay(&self, attempts: u32, error: &Error, retry: Retry, now: Instant) -> Duration {
        let mut random = self.random.lock();
        let delay = match retry {
            Retry::Soon => self.backoff.soon(attempts, &mut random),
            _ => self.backoff.delay(attempts, &mut random),
        };
        // An empty budget stretches the delay; it never fails a message that still has time.
        let delay = match self.budget.lock().withdraw(now) {
            true => delay,
            false => delay.max(self.config.retry.max_backoff),
        };
        delay.max(error.retry_after().unwrap_or_default())
    }

    /// Between a half and the whole of `pause`, at random.
    pub(crate) fn jitter(&self, pause: Duration) -> Duration {
        scaled(pause, 0.5 + self.random.lock().f64() / 2.0)
    }

    /// How long the rate limit holds back the next request.
    pub(crate) fn rate_wait(&self, now: Instant) -> Duration {
        self.limiter.as_ref().map_or(Duration::ZERO, |limiter| limiter.lock().wait(now))
    }

    /// Counts a request against the limits; retries pay again, as the broker's quota sees them too.
    pub(crate) fn charge(&self, batches: &[ProducerBatch], now: Instant) {
        if let Some(limiter) = &self.limiter {
            let records: usize = batches.iter().map(|p| p.batch.len()).sum();
            let bytes: usize = batches.iter().map(|p| p.batch.wire_bytes()).sum();
            limiter.lock().charge(records, bytes, now);
        }
    }

    /// A broker asked to be spared.
    pub(crate) fn throttled(&self, broker: &Arc<str>, time: Duration, now: Instant) {
        if time.is_zero() {
            return;
        }
        self.stats.throttled(broker, time);
        self.log.throttled(broker, time, now);
        if let Some(limiter) = &self.limiter {
            limiter.lock().throttled(now);
        }
    }

    /// A request was answered well.
    pub(crate) fn succeeded(&self, now: Instant) {
        self.evidence.delivered(now);
        self.budget.lock().deposit(now);
    }

    pub(crate) fn broker_breaker_changed(&self, broker: &Broker, change: Option<Change>) {
        let (Some(_), Some(node)) = (change, broker.node()) else {
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

    /// The error of a partition's messages whose time is over.
    pub(crate) fn expired(&self, partition: &Partition, now: Instant) -> Error {
        let what = format!(
            "not acknowledged by its deadline or timeouts.delivery ({:?})",
            self.config.timeouts.delivery
        );
        waiting::of(self, partition, now).explain(&what, Error::new(ErrorKind::DeliveryTimeout, ""))
    }

    /// The error of a wait for the cluster that a context ended: the last thing that went wrong is what has to be fixed.
    pub(super) fn gave_up(&self, ended: Ended, last: Option<Error>, what: &str, reason: WaitReason) -> Error {
        let what = format!("{what} ({})", why(ended));
        match (last, ended) {
            // Its text becomes part of this one, and what is beneath it stays there: nothing is said twice.
            (Some(last), Ended::Deadline) => {
                let text = format!("{what}: {last}");
                last.with_text(text).with_wait_reason(reason)
            }
            (Some(last), Ended::Cancelled) => {
                ended_error(ended).with_text(what).with_source(last).with_wait_reason(reason)
            }
            (None, _) => waiting::of_cluster(self, Instant::now()).explain(&what, ended_error(ended)),
        }
    }

    /// Gives up what waits in a partition.
    pub(crate) fn fail_waiting(&self, partition: &Partition, error: &Error) {
        let failed = partition.settle(|queue, settlement| queue.fail_waiting(error, settlement));
        if failed.total() > 0 {
            self.stats.failed(partition.topic(), failed, error);
            let told = error.clone().with_topic(partition.topic().clone()).with_partition(partition.index());
            self.log.batch_failed(&told, failed.total());
        }
    }

    /// Gives up what waits for one broker.
    pub(crate) fn fail_broker(&self, broker: &Arc<Broker>, error: &Error) {
        for partition in self.metadata.partitions_of(broker) {
            self.fail_waiting(&partition, error);
        }
    }

    pub(super) fn snapshot(&self) -> Stats {
        let now = Instant::now();
        Stats {
            task_restarts: self.supervisor.restarts(),
            buffer_bytes: self.buffer.used(),
            buffer_max_bytes: self.buffer.capacity(),
            in_flight: self.brokers.all().iter().map(|broker| broker.in_flight()).sum(),
            metadata_age: self.metadata.metadata_age(),
            cluster_breaker: self.metadata.breaker_state(now),
            last_success: self.evidence.age(now),
            brokers: self.broker_stats(now),
            ..self.stats.snapshot()
        }
    }

    /// Each broker that leads a partition in use, by name.
    pub(super) fn broker_stats(&self, now: Instant) -> Vec<BrokerStats> {
        let brokers = self.brokers.all();
        let mut brokers: Vec<_> = brokers
            .iter()
            .filter_map(|broker| Some(broker.told(self.engine.name_of(broker.node()?).to_string(), now)))
            .collect();
        brokers.sort_unstable_by(|a, b| a.broker.cmp(&b.broker));
        brokers
    }
}

/// Whether batches are encoded beside the task that sends.
fn encodes_aside(config: &ProducerConfig) -> bool {
    config.batch.compression.is_slow() && config.engine == EngineKind::Messenger
}

/// Time after which an attempt of the engine has ended in any case.
fn longest_attempt(config: &ProducerConfig) -> Duration {
    config.timeouts.connect.saturating_mul(CONNECTING).saturating_add(config.timeouts.request)
}

/// The error of a wait that a context ended, to be explained.
pub(super) fn ended_error(ended: Ended) -> Error {
    let kind = match ended {
        Ended::Deadline => ErrorKind::DeadlineExceeded,
        Ended::Cancelled => ErrorKind::Cancelled,
    };
    Error::new(kind, why(ended))
}

pub(super) fn why(ended: Ended) -> &'static str {
    match ended {
        Ended::Deadline => "deadline exceeded",
        Ended::Cancelled => "the context was cancelled",
    }
}
