//! What the producer holds and has counted, at one moment.

use tokio::time::Instant;

use super::Core;
use crate::telemetry::{BrokerStats, Stats};

impl Core {
    pub(crate) fn snapshot(&self) -> Stats {
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
    pub(crate) fn broker_stats(&self, now: Instant) -> Vec<BrokerStats> {
        let brokers = self.brokers.all();
        let mut stats: Vec<_> = brokers
            .iter()
            .filter_map(|broker| Some(broker.stats(self.engine.name_of(broker.node?).to_string(), now)))
            .collect();
        stats.sort_unstable_by(|a, b| a.broker.cmp(&b.broker));
        stats
    }
}
