//! What the producer counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::accumulator::Failed;
use crate::resilience::BreakerState;

/// A snapshot of the producer's counters since it was made, and of what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages that were accepted.
    pub records_accepted: u64,
    /// Messages that were acknowledged.
    pub records_acked: u64,
    /// Messages that failed and are certainly not stored.
    pub records_not_persisted: u64,
    /// Messages that failed and may be stored.
    pub records_possibly_persisted: u64,
    /// Produce requests that were answered.
    pub requests: u64,
    /// Produce requests that were lost.
    pub requests_failed: u64,
    /// Batches that were sent again.
    pub retries: u64,
    /// Bytes of acknowledged batches, before compression.
    pub bytes_acked: u64,
    /// Time for which brokers asked to be spared (KIP-219).
    pub throttled: Duration,
    /// Times that a circuit breaker opened, of a broker or of the cluster.
    pub breaker_opened: u64,
    /// What the circuit breaker of the whole cluster lets through.
    pub cluster_breaker: BreakerState,
    /// What the circuit breaker of each broker lets through, of those that were sent to.
    pub broker_breakers: Vec<(Arc<str>, BreakerState)>,
    /// Bytes of messages that are accepted but not settled.
    pub buffer_bytes: usize,
    /// Produce requests in flight.
    pub in_flight: usize,
    /// Time since the cluster last told its metadata.
    pub metadata_age: Option<Duration>,
}

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    accepted: AtomicU64,
    acked: AtomicU64,
    not_persisted: AtomicU64,
    possibly_persisted: AtomicU64,
    requests: AtomicU64,
    requests_failed: AtomicU64,
    retries: AtomicU64,
    bytes_acked: AtomicU64,
    throttled_ms: AtomicU64,
    breaker_opened: AtomicU64,
}

impl Counters {
    pub(crate) fn accepted(&self) {
        self.accepted.fetch_add(1, Relaxed);
    }

    pub(crate) fn stored(&self, records: usize, bytes: usize) {
        self.acked.fetch_add(records as u64, Relaxed);
        self.bytes_acked.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn failed(&self, failed: Failed) {
        self.not_persisted.fetch_add(failed.not_persisted as u64, Relaxed);
        self.possibly_persisted.fetch_add(failed.possibly_persisted as u64, Relaxed);
    }

    pub(crate) fn request(&self, answered: bool) {
        let counter = if answered { &self.requests } else { &self.requests_failed };
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    pub(crate) fn throttled(&self, time: Duration) {
        if !time.is_zero() {
            self.throttled_ms.fetch_add(time.as_millis() as u64, Relaxed);
        }
    }

    pub(crate) fn breaker_opened(&self) {
        self.breaker_opened.fetch_add(1, Relaxed);
    }

    /// Messages that failed, whatever their fate.
    pub(crate) fn lost(&self) -> u64 {
        self.not_persisted.load(Relaxed) + self.possibly_persisted.load(Relaxed)
    }

    /// Messages that are accepted but not settled.
    pub(crate) fn unsettled(&self) -> usize {
        let settled = self.acked.load(Relaxed) + self.lost();
        usize::try_from(self.accepted.load(Relaxed).saturating_sub(settled)).unwrap_or(usize::MAX)
    }

    pub(crate) fn snapshot(&self) -> Stats {
        Stats {
            records_accepted: self.accepted.load(Relaxed),
            records_acked: self.acked.load(Relaxed),
            records_not_persisted: self.not_persisted.load(Relaxed),
            records_possibly_persisted: self.possibly_persisted.load(Relaxed),
            requests: self.requests.load(Relaxed),
            requests_failed: self.requests_failed.load(Relaxed),
            retries: self.retries.load(Relaxed),
            bytes_acked: self.bytes_acked.load(Relaxed),
            throttled: Duration::from_millis(self.throttled_ms.load(Relaxed)),
            breaker_opened: self.breaker_opened.load(Relaxed),
            ..Stats::default()
        }
    }
}
