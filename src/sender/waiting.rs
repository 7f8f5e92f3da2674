//! Why messages wait: the one place that knows.
//!
//! Everything is computed from the present state on request, so that it costs nothing otherwise.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::broker::Broker;
use super::partition::Partition;
use crate::accumulator::Readiness;
use crate::core::Core;
use crate::engine::Link;
use crate::error::{Error, SILENT, Wait, WaitReason};
use crate::metadata::Topic;
use crate::resilience::BreakerState;

/// What the messages of a partition wait for.
pub(crate) fn of(core: &Core, partition: &Partition, now: Instant) -> Wait {
    let broker = partition.broker();
    let Some(node) = broker.node else {
        let reason = WaitReason::NoLeader {
            topic: partition.topic.clone(),
            partition: partition.index,
            elapsed: now.saturating_duration_since(partition.led_since()),
        };
        return Wait::new(reason, core.metadata.failure());
    };
    let mut wait = of_broker(core, &broker, now);
    let failed = partition.queue(|queue| queue.failed_attempt());
    // Where the broker is well, the partition itself may know better.
    let is_well = match &wait.reason {
        WaitReason::Response { silent, .. } => *silent < SILENT,
        WaitReason::Queue { .. } => true,
        _ => false,
    };
    if is_well {
        let left = |at: Instant| at.saturating_duration_since(now);
        let has_slot = broker.in_flight() < core.config.bulkhead.max_in_flight;
        match (&failed, partition.queue(|queue| queue.readiness(now, &core.policy))) {
            (Some((attempts, _)), readiness) => {
                let left = match readiness {
                    Readiness::RetryAt(at) => left(at),
                    _ => Duration::ZERO,
                };
                let broker = core.engine.name_of(node);
                wait.reason = WaitReason::Retry { broker, attempts: *attempts, left };
            }
            (None, Readiness::LingersUntil(at)) if has_slot => {
                wait.reason = WaitReason::Linger { left: left(at) };
            }
            _ => {}
        }
    }
    wait.last_error = wait.last_error.or(failed.map(|(_, error)| error));
    wait
}

/// What requests to one broker wait for.
pub(crate) fn of_broker(core: &Core, broker: &Broker, now: Instant) -> Wait {
    let Some(node) = broker.node else {
        return Wait::new(WaitReason::NoBroker, core.metadata.failure());
    };
    let name = core.engine.name_of(node);
    let (in_flight, oldest) = broker.sent();
    let since = |at: Option<Instant>| at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
    let response =
        |silent| WaitReason::Response { broker: name.clone(), in_flight, oldest: since(oldest), silent };
    let link = core.engine.link(Some(node), now);
    let (reason, cause) = if let Some(until) = broker.throttled_until(now) {
        let left = until.saturating_duration_since(now);
        (WaitReason::Throttled { broker: name.clone(), left }, None)
    } else if let Some(reason) = of_breaker(
        Some(name.clone()),
        broker.breaker_state(now),
        broker.consecutive_failures(),
        broker.retry_after(now),
    ) {
        (reason, None)
    } else if let Some(link) = link {
        match link {
            Link::Silent { since, .. } => (response(since), None),
            link => of_link(link),
        }
    } else if broker.paused_until(now).is_some() {
        (WaitReason::Disconnected { broker: name.clone() }, None)
    } else if in_flight > 0 {
        (response(since(broker.unanswered_since())), None)
    } else if let Some(held) = broker.rate_limited_since() {
        let elapsed = now.saturating_duration_since(held);
        (WaitReason::RateLimit { elapsed, left: core.pacing.rate_wait(now) }, None)
    } else if broker.in_flight() > 0 {
        (WaitReason::Compression, None)
    } else if core.policy.idempotent && core.producer_id.current(None).is_none() {
        (WaitReason::ProducerId, core.metadata.failure())
    } else {
        (WaitReason::Queue { broker: name.clone() }, None)
    };
    Wait::new(reason, cause.or_else(|| broker.failure()))
}

/// What most explains why messages wait, whichever they are.
pub(crate) fn of_any(core: &Core, now: Instant) -> Wait {
    let brokers = core.brokers.all();
    let leading = brokers.iter().filter(|broker| broker.node.is_some());
    let all = leading.map(|broker| of_broker(core, broker, now));
    all.max_by_key(|wait| wait.reason.rank()).unwrap_or_else(|| of_cluster(core, now))
}

/// What most explains why these partitions are not done.
pub(crate) fn of_all(core: &Core, partitions: &[Arc<Partition>], now: Instant) -> Wait {
    let all = partitions.iter().map(|partition| of(core, partition, now));
    all.max_by_key(|wait| wait.reason.rank()).unwrap_or_else(|| of_any(core, now))
}

/// What a request to any broker waits for: metadata, a producer id, a health check.
pub(crate) fn of_cluster(core: &Core, now: Instant) -> Wait {
    let breaker = || {
        let (state, failures) = (core.metadata.breaker_state(now), core.metadata.breaker_failures());
        of_breaker(None, state, failures, core.metadata.breaker_retry_after(now))
    };
    let (reason, cause) = match core.engine.link(None, now) {
        // Of several brokers that cannot be reached none is the one to name.
        Some(Link::Failed { last, .. }) => (WaitReason::NoBroker, Some(last)),
        Some(link) => of_link(link),
        None => (breaker().unwrap_or(WaitReason::NoBroker), None),
    };
    Wait::new(reason, cause.or_else(|| core.metadata.failure()))
}

/// The latest result of [`of_room`], so that a caller that tries again and again does not pay for it each time.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Option<(Instant, Arc<str>, Wait)>>);

impl Recent {
    const LASTS: Duration = Duration::from_millis(100);

    pub(crate) fn of_room(&self, core: &Core, topic: &Topic, bytes: usize, now: Instant) -> Wait {
        let recent = |(at, name, _): &&(Instant, Arc<str>, Wait)| {
            name == &topic.name && now.saturating_duration_since(*at) < Self::LASTS
        };
        let known = self.0.lock().as_ref().filter(recent).map(|(.., wait)| wait.clone());
        known.unwrap_or_else(|| {
            let wait = of_room(core, topic, bytes, now);
            let before = self.0.lock().replace((now, topic.name.clone(), wait.clone()));
            // Dropped without the lock: it may hold a user's error.
            drop(before);
            wait
        })
    }
}

/// What a message without room waits for: its topic's share of the buffer, or the buffer.
pub(crate) fn of_room(core: &Core, topic: &Topic, bytes: usize, now: Instant) -> Wait {
    let partitions = core.metadata.partitions();
    let mut held: Vec<(Arc<str>, usize, Vec<Arc<Partition>>)> = Vec::new();
    for partition in partitions {
        let load = partition.queue(|queue| queue.load()).bytes;
        match held.iter_mut().find(|(name, ..)| name == &partition.topic) {
            _ if load == 0 => {}
            Some((_, sum, of_topic)) => {
                *sum += load;
                of_topic.push(partition);
            }
            None => held.push((partition.topic.clone(), load, vec![partition])),
        }
    }
    let because = |partitions: &[Arc<Partition>]| {
        let Wait { reason, last_error } = of_all(core, partitions, now);
        (Some(Box::new(reason)), last_error)
    };
    if let Some(share) =
        topic.budget.share().filter(|share| share.capacity().saturating_sub(share.used()) < bytes)
    {
        let mine = held.iter().find(|(name, ..)| name == &topic.name);
        let (because, cause) = because(mine.map_or(&[], |(_, _, partitions)| partitions.as_slice()));
        let (used, capacity) = (share.used(), share.capacity());
        return Wait::new(
            WaitReason::TopicShare { topic: topic.name.clone(), used, capacity, because },
            cause,
        );
    }
    let largest = held.into_iter().max_by_key(|(_, bytes, _)| *bytes);
    let (because, cause) = because(largest.as_ref().map_or(&[], |(_, _, partitions)| partitions.as_slice()));
    let (topic, topic_bytes) = largest.map_or((None, 0), |(topic, bytes, _)| (Some(topic), bytes));
    let (used, capacity) = (core.buffer.used(), core.buffer.capacity());
    Wait::new(WaitReason::BufferSpace { used, capacity, topic, topic_bytes, because }, cause)
}

fn of_breaker(
    broker: Option<Arc<str>>,
    state: BreakerState,
    failures: u32,
    left: Option<Duration>,
) -> Option<WaitReason> {
    match state {
        BreakerState::Open => {
            Some(WaitReason::BreakerOpen { broker, failures, left: left.unwrap_or_default() })
        }
        BreakerState::HalfOpen => Some(WaitReason::BreakerHalfOpen { broker }),
        BreakerState::Closed | BreakerState::Disabled => None,
    }
}

fn of_link(link: Link) -> (WaitReason, Option<Error>) {
    match link {
        Link::Silent { broker, since } => {
            (WaitReason::Response { broker, in_flight: 0, oldest: since, silent: since }, None)
        }
        Link::Connecting { broker, since, last } => (WaitReason::Connecting { broker, elapsed: since }, last),
        Link::Failed { broker, last } => (WaitReason::Disconnected { broker }, Some(last)),
    }
}
