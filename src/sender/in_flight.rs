//! One request on its way: what it carries, and what comes of it.

use std::sync::Arc;

use tokio::time::Instant;

use crate::accumulator::Verdict;
use crate::engine::{NodeId, Parcel, Produced};
use crate::error::{Error, ErrorKind, Fate, Result};
use crate::producer::Core;
use crate::record::encode_batch;

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
                encode_batch(parcel.batch.records().iter(), parcel.batch.sequence, compression, &mut bytes);
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
        let mut attempt = engine.produce(node, &self.parcels);
        let sent = Instant::now();
        let mut checked = sent;
        let mut expires = self.parcels.iter().map(|p| p.batch.expires).min();
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
        Landed { sent, parcels, result }
    }

    fn settle_expired(&self, from: Instant, now: Instant) -> Option<Instant> {
        let error = self.core.expired();
        let settled = self.parcels.iter().map(|p| p.batch.settle_expired(from, now, &error));
        let mut next = None::<Instant>;
        for (failed, at) in settled {
            self.core.stats.failed(failed);
            next = Some(next.map_or(at, |next| next.min(at)));
        }
        next
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
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
            let failed = if self.core.is_stopped() {
                let verdict = lost(ErrorKind::Closed, "the producer was closed before the broker answered");
                partition.failed(parcel.batch, verdict)
            } else {
                let verdict = lost(ErrorKind::ConnectionLost, "the runtime ended before the broker answered");
                partition.retry(parcel.batch, &verdict, Instant::now())
            };
            self.core.stats.failed(failed);
        }
    }
}
