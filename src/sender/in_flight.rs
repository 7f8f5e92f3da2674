//! One request on its way: what it carries, and what comes of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::accumulator::Verdict;
use crate::clock::{later, until};
use crate::engine::{NodeId, Parcel, Produced};
use crate::error::{Error, ErrorKind, Fate, Result};
use crate::logging::{Sending, Spans};
use crate::producer::Core;
use crate::record::encode_batch;
use crate::stats::Sent;

/// Batches whose request is on its way. However it ends, even with the runtime that it ran on, they get back to
/// their partitions.
pub(super) struct InFlight {
    core: Arc<Core>,
    parcels: Vec<Parcel>,
}

/// A request that ended.
pub(super) struct Landed {
    /// When it was begun.
    pub(super) sent: Instant,
    pub(super) parcels: Vec<Parcel>,
    pub(super) result: Result<Produced>,
    pub(super) took: Duration,
    pub(super) spans: Spans,
}

impl InFlight {
    pub(super) fn new(core: Arc<Core>, parcels: Vec<Parcel>) -> Self {
        Self { core, parcels }
    }

    /// Encodes every batch on a thread for such work: a slow codec must not hold up what else runs here.
    pub(super) async fn encoded(mut self) -> Option<Self> {
        let compression = self.core.config.batch.compression;
        let encoding = tokio::task::spawn_blocking(move || {
            for parcel in &mut self.parcels {
                let mut bytes = Vec::new();
                let problem =
                    encode_batch(parcel.batch.records(), parcel.batch.sequence, compression, &mut bytes);
                if let Some(problem) = problem {
                    self.core.log.compression_failed(parcel.partition.topic(), &problem);
                }
                parcel.encoded = Some(bytes);
            }
            self
        });
        // A runtime that ends takes the batches back to their partitions.
        encoding.await.ok()
    }

    /// Makes the attempt. A message whose time is over meanwhile is settled at that time; the request goes on,
    /// since others share it and its sequence must be accounted for.
    pub(super) async fn attempt(mut self, node: NodeId) -> Landed {
        let engine = self.core.engine.clone();
        let started = Instant::now();
        let spans = self.departs(node, started);
        let (core, parcels) = (&self.core, &self.parcels);
        let late =
            |stage| core.cluster.late(core, node, stage, parcels.iter().map(|parcel| &parcel.partition));
        let mut attempt = engine.produce(node, &self.parcels, &late);
        let mut checked = started;
        // A timer costs more than it seems, and one that cannot ring before the attempt ends is not set.
        let limit = later(started, self.core.longest_attempt());
        let mut expires = self.parcels.iter().map(|p| p.batch.expires).min().filter(|at| *at < limit);
        let result = loop {
            tokio::select! {
                biased;
                result = &mut attempt => break result,
                () = until(expires) => {
                    let now = Instant::now();
                    expires = self.settle_expired(checked, now);
                    checked = now;
                }
            }
        };
        drop(attempt);
        let mut parcels = std::mem::take(&mut self.parcels);
        for parcel in &mut parcels {
            parcel.batch.reckon_expiry(checked);
        }
        Landed { sent: started, parcels, result, took: started.elapsed(), spans }
    }

    /// Counts what leaves, and opens its spans.
    fn departs(&self, node: NodeId, now: Instant) -> Spans {
        for Parcel { partition, batch, .. } in &self.parcels {
            let first = batch.attempts == 1;
            self.core.stats.sent(&Sent {
                topic: partition.topic(),
                records: batch.len(),
                bytes: batch.wire_bytes(),
                waited: first.then(|| now.saturating_duration_since(batch.opened)),
            });
        }
        let batches = self.parcels.iter().map(|Parcel { partition, batch, .. }| Sending {
            topic: partition.topic(),
            partition: partition.index(),
            messages: batch.len(),
            bytes: batch.wire_bytes(),
            attempt: batch.attempts,
        });
        let broker = || self.core.engine.name_of(node);
        self.core.log.spans(&self.core.config.client_id, broker, batches)
    }

    fn settle_expired(&self, from: Instant, now: Instant) -> Option<Instant> {
        let mut next = None::<Instant>;
        for Parcel { partition, batch, .. } in &self.parcels {
            let error = self.core.expired(partition, now);
            let error = match batch.last_error() {
                Some(last) => error.with_source(last.clone()),
                None => error,
            };
            let (failed, at) = batch.settle_expired(from, now, &error);
            self.core.stats.failed(partition.topic(), failed, &error);
            next = Some(next.map_or(at, |next| next.min(at)));
        }
        next
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        for parcel in std::mem::take(&mut self.parcels) {
            let partition = parcel.partition;
            let lost = |kind, text: &str| {
                let error = Error::new(kind, text).with_fate(Fate::PossiblyPersisted);
                Verdict { fate: Fate::PossiblyPersisted, error }
            };
            let topic = partition.topic().clone();
            let (kind, why) = match self.core.is_stopped() {
                true => (ErrorKind::Closed, "the producer was closed before the broker answered"),
                false => (ErrorKind::ConnectionLost, "the runtime ended before the broker answered"),
            };
            let verdict = lost(kind, why);
            let error = verdict.error.clone();
            let failed = match kind {
                ErrorKind::Closed => partition.failed(parcel.batch, verdict),
                _ => partition.retry(parcel.batch, &verdict, Instant::now()),
            };
            self.core.stats.failed(&topic, failed, &error);
        }
    }
}
