//! Whether messages get through: recent evidence first, a probe only where there is none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant as Moment;

use super::core::gave_up;
use super::{Core, Producer, at_startup};
use crate::context::Context;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::health::{Health, HealthCheck};
use crate::logging::Operation;
use crate::resilience::BreakerState;

/// A delivery so recent makes a probe unnecessary.
const RECENT: Duration = Duration::from_secs(30);
/// Longest probe where the context sets no deadline.
const PROBE_LIMIT: Duration = Duration::from_secs(5);
/// Part of the buffer in use above which the producer is degraded.
const BUSY: f64 = 0.8;

/// When something last went well.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    last: Mutex<Option<Moment>>,
}

impl Evidence {
    pub(crate) fn delivered(&self, now: Moment) {
        *self.last.lock() = Some(now);
    }

    fn age(&self, now: Moment) -> Option<Duration> {
        self.last.lock().map(|at| now.saturating_duration_since(at))
    }
}

impl Producer {
    /// Whether messages get through.
    ///
    /// A delivery of the last 30 seconds is evidence enough; otherwise one small request is made, on the
    /// connection that stands if there is one. Never waits behind messages. Without a deadline in `ctx`, 5 s.
    ///
    /// # Errors
    ///
    /// `KAFKA_BROKERS_UNAVAILABLE` with the cause: no broker answers, every circuit breaker is open, or the
    /// producer is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the probe.
    pub async fn health(&self, ctx: &Context) -> Result<()> {
        let started = Instant::now();
        let core = self.core();
        let result = core.health(ctx).await;
        core.log.operation(Operation::Health, started.elapsed(), result.as_ref().copied());
        result
    }
}

impl Core {
    async fn health(self: &Arc<Self>, ctx: &Context) -> Result<()> {
        if self.is_closing() {
            return Err(Error::new(ErrorKind::Closed, "the producer is closed")
                .with_code(ErrorCode::BrokersUnavailable));
        }
        let now = Moment::now();
        if let Some(error) = self.all_circuits_open(now) {
            return Err(error);
        }
        if self.evidence.age(now).is_some_and(|age| age < RECENT) && self.is_moving(now) {
            return Ok(());
        }
        let ctx = match ctx.remaining() {
            Some(_) => ctx.clone(),
            None => ctx.with_timeout(PROBE_LIMIT),
        };
        match ctx.bound(self.engine.probe(None)).await {
            Ok(Ok(())) => {
                self.evidence.delivered(now);
                Ok(())
            }
            Ok(Err(error)) => Err(at_startup(error)),
            Err(ended) => Err(gave_up(ended, None, "no broker answered the health check")
                .with_code(ErrorCode::BrokersUnavailable)),
        }
    }

    /// Old evidence says nothing while requests are failing.
    fn is_moving(&self, now: Moment) -> bool {
        self.lanes.all().iter().all(|lane| lane.is_well(now))
    }

    fn all_circuits_open(&self, now: Moment) -> Option<Error> {
        let mut open = 0;
        let lanes = self.lanes.all();
        let mut leading = lanes.iter().filter(|lane| lane.node().is_some()).peekable();
        if self.cluster.breaker_state(now) == BreakerState::Open {
            return Some(self.cluster.circuit_open(now));
        }
        leading.peek()?;
        for lane in leading {
            match lane.breaker_state(now) {
                BreakerState::Open => open += 1,
                _ => return None,
            }
        }
        let text = format!("the circuit breakers of all {open} brokers are open after repeated failures");
        Some(Error::new(ErrorKind::CircuitOpen, text))
    }

    fn degraded(&self, now: Moment) -> Option<String> {
        for lane in self.lanes.all() {
            if let (Some(node), false) = (lane.node(), lane.is_well(now)) {
                let broker = self.engine.name_of(node);
                return Some(match lane.breaker_state(now) {
                    BreakerState::Open => format!("the circuit breaker of {broker} is open"),
                    BreakerState::HalfOpen => format!("the circuit breaker of {broker} is half open"),
                    _ => format!("{broker} is failing"),
                });
            }
            if let (Some(node), Some(_)) = (lane.node(), lane.throttled_until(now)) {
                return Some(format!("{} throttles this producer", self.engine.name_of(node)));
            }
        }
        let used = self.buffer.used() as f64 / self.buffer.capacity() as f64;
        (used > BUSY).then(|| format!("{:.0} % of the buffer are in use", used * 100.0))
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
            Ok(()) => match self.core().degraded(Moment::now()) {
                Some(reason) => Health::Degraded(reason),
                None => Health::Up,
            },
        }
    }
}
