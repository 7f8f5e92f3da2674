//! Whether messages get through: recent evidence first, a probe only where there is none.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::Producer;
use super::accept::closed;
use super::connect::at_startup;
use crate::context::Context;
use crate::core::Core;
use crate::error::{Error, ErrorCode, ErrorKind, Result, WaitReason};
use crate::health::{Health, HealthCheck, HealthDetail, Status};
use crate::resilience::BreakerState;
use crate::sender::waiting;
use crate::telemetry::Operation;

/// A delivery so recent makes a probe unnecessary.
const RECENT: Duration = Duration::from_secs(30);
/// Longest probe where the context sets no deadline.
const PROBE_LIMIT: Duration = Duration::from_secs(5);
/// Part of the buffer in use above which the producer is degraded.
const BUSY: f64 = 0.8;

impl Producer {
    /// Checks that messages can be delivered.
    ///
    /// A delivery within the last 30 seconds is enough; otherwise one small request is made, over an open connection if
    /// there is one. Never waits behind messages. Without a deadline in `ctx`, it takes at most 5 s.
    ///
    /// # Errors
    ///
    /// `KAFKA_BROKERS_UNAVAILABLE` with the cause: no broker answers, every circuit breaker is open, or the producer is
    /// closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the probe.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::{Context, Producer};
    ///
    /// # async fn example(producer: Producer) {
    /// if let Err(error) = producer.health(&Context::timeout(Duration::from_secs(1))).await {
    ///     eprintln!("Kafka is unavailable: {error}");
    /// }
    /// # }
    /// ```
    pub async fn health(&self, ctx: &Context) -> Result<()> {
        let started = Instant::now();
        let core = self.core();
        let result = core.health(ctx).await;
        core.log.operation(Operation::Health, started.elapsed(), result.as_ref().copied());
        result
    }

    /// Returns a liveness check: whether the producer's tasks make progress. For readiness, register the producer
    /// itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::{HealthKind, HealthRegistry, Registration};
    ///
    /// # fn example(producer: rskafka_producer::Producer) -> rskafka_producer::Result<()> {
    /// let registry = HealthRegistry::new();
    /// registry.register(producer.clone())?;
    /// registry.register_with(Registration::default().kind(HealthKind::Liveness), producer.liveness())?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn liveness(&self) -> Liveness {
        Liveness { producer: self.clone() }
    }
}

impl Core {
    async fn health(self: &Arc<Self>, ctx: &Context) -> Result<()> {
        if !self.life.is_open() {
            return Err(closed().with_code(ErrorCode::BrokersUnavailable));
        }
        let now = Instant::now();
        if let Some(error) = self.all_circuits_open(now) {
            return Err(error);
        }
        if self.evidence.age(now).is_some_and(|age| age < RECENT) && self.is_moving(now) {
            return Ok(());
        }
        let ctx = ctx.within(PROBE_LIMIT);
        self.supervisor.ready().map_err(at_startup)?;
        match self.supervisor.bound(&ctx, self.probe_once()).await {
            Ok(result) => result,
            Err(ended) => Err(self
                .gave_up(ended, None, "no broker answered the health check", WaitReason::NoBroker)
                .with_code(ErrorCode::BrokersUnavailable)),
        }
    }

    /// One probe at a time, for all callers that wait for it.
    async fn probe_once(self: &Arc<Self>) -> Result<()> {
        let begin = |_| {
            let core = self.clone();
            async move {
                let result = core.engine.probe(None).await.map_err(at_startup);
                if result.is_ok() {
                    core.evidence.delivered(Instant::now());
                }
                result
            }
        };
        self.evidence.probe.join(&self.supervisor, "health probe", &mut None, begin).await?
    }

    /// Old evidence says nothing while requests are failing.
    fn is_moving(&self, now: Instant) -> bool {
        self.brokers.all().iter().all(|broker| broker.is_well(now))
    }

    fn all_circuits_open(&self, now: Instant) -> Option<Error> {
        let mut open = 0;
        let brokers = self.brokers.all();
        let mut leading = brokers.iter().filter(|broker| broker.node.is_some()).peekable();
        if self.metadata.breaker_state(now) == BreakerState::Open {
            return Some(self.metadata.circuit_open(now));
        }
        leading.peek()?;
        for broker in leading {
            match broker.breaker_state(now) {
                BreakerState::Open => open += 1,
                _ => return None,
            }
        }
        let text = format!("the circuit breakers of all {open} brokers are open after repeated failures");
        let error = Error::new(ErrorKind::CircuitOpen, text);
        Some(error.with_cause(brokers.iter().find_map(|broker| broker.failure())))
    }

    fn degraded(&self, now: Instant) -> Option<String> {
        if let Some(broker) = self.unwell(now).first() {
            return Some(broker.to_string());
        }
        let leaderless = self.metadata.partitions_of(&self.brokers.to(None));
        if let Some(partition) = leaderless.iter().find(|partition| !partition.is_idle()) {
            return Some(waiting::of(self, partition, now).to_string());
        }
        let used = self.buffer_in_use();
        (used > BUSY)
            .then(|| format!("the buffer is {:.0} % full: {}", used * 100.0, waiting::of_any(self, now)))
    }

    fn buffer_in_use(&self) -> f64 {
        self.buffer.used() as f64 / self.buffer.capacity() as f64
    }

    fn details(&self, now: Instant) -> Vec<HealthDetail> {
        let warn = |if_so: bool| if if_so { Status::Warn } else { Status::Pass };
        let used = self.buffer_in_use();
        let mut details = vec![
            HealthDetail::new("bufferUtilization", (used * 1_000.0).round() / 10.0)
                .unit("percent")
                .status(warn(used > BUSY)),
            HealthDetail::new("unsettledMessages", self.stats.unsettled() as f64),
        ];
        details.extend(self.metadata.metadata_age().map(|age| HealthDetail::time("metadataAge", age)));
        details.extend(self.evidence.age(now).map(|age| HealthDetail::time("lastSuccess", age)));
        for broker in self.broker_stats(now) {
            let name = broker.broker;
            let sound = matches!(broker.breaker, BreakerState::Closed | BreakerState::Disabled);
            details.extend([
                HealthDetail::new("circuitBreaker", broker.breaker.as_str()).of(&*name).status(warn(!sound)),
                HealthDetail::new("consecutiveFailures", broker.consecutive_failures)
                    .of(&*name)
                    .status(warn(broker.consecutive_failures > 0)),
                HealthDetail::new("requestsInFlight", broker.in_flight as f64).of(&*name),
            ]);
            details.extend(
                broker
                    .throttled_for
                    .map(|left| HealthDetail::time("throttled", left).of(&*name).status(Status::Warn)),
            );
        }
        details
    }
}

#[async_trait]
impl HealthCheck for Producer {
    fn name(&self) -> &str {
        "kafka-producer"
    }

    async fn check(&self, ctx: &Context) -> Health {
        match self.health(ctx).await {
            Err(error) => Health::down(&error),
            Ok(()) => match self.core().degraded(Instant::now()) {
                Some(reason) => Health::Degraded(reason),
                None => Health::Up,
            },
        }
    }

    fn details(&self) -> Vec<HealthDetail> {
        self.core().details(Instant::now())
    }
}

/// Whether the producer's tasks make progress, whatever the brokers do: a check for
/// [`HealthKind::Liveness`](crate::HealthKind::Liveness), which never looks at Kafka. Made by
/// [`Producer::liveness`].
#[derive(Clone, Debug)]
pub struct Liveness {
    producer: Producer,
}

/// Between two looks at whether a task has run.
const TICK: Duration = Duration::from_millis(5);

#[async_trait]
impl HealthCheck for Liveness {
    fn name(&self) -> &str {
        "kafka-producer-tasks"
    }

    /// Wakes every task and waits until each has run, at most until `ctx` ends.
    async fn check(&self, ctx: &Context) -> Health {
        let core = self.producer.core();
        let mut asleep: Vec<_> =
            core.brokers.all().into_iter().filter_map(|broker| Some((broker.rouse()?, broker))).collect();
        let all = asleep.len();
        let turned = async {
            loop {
                asleep.retain(|(turn, broker)| !broker.has_turned(*turn));
                if asleep.is_empty() || core.life.is_stopped() {
                    return;
                }
                tokio::time::sleep(TICK).await;
            }
        };
        match ctx.bound(turned).await {
            Ok(()) => Health::Up,
            Err(_) => Health::down_because(format!("{} of {all} tasks do not run", asleep.len())),
        }
    }
}
