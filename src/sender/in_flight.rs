//! One request on its way: what it carries, and what comes of it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::accumulator::{Partition, Verdict};
use crate::engine::{NodeId, Parcel, Produced};
use crate::error::{Error, ErrorKind, Fate, Result};
use crate::producer::Core;
use crate::record::encode_batch;
use crate::telemetry::Sent;
use crate::telemetry::{Sending, Spans};

/// How long a request waits for a thread to encode it. A pool whose threads are all busy must not stop sending.
const PATIENCE: Duration = Duration::from_millis(5);

/// Batches whose request is on its way. However it ends, even with the runtime that it ran on, they get back to
/// their partitions.
pub(super) struct InFlight {
    core: Arc<Core>,
    parcels: Vec<Parcel>,
    /// Some of it may have reached the broker.
    written: bool,
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
        Self { core, parcels, written: false }
    }

    /// Encodes every batch on a thread for such work: a slow codec must not hold up what else runs here. Where no thread is
    /// free soon it is done here after all.
    pub(super) async fn encoded(self) -> Option<Self> {
        let waiting = Arc::new(Mutex::new(Some(self)));
        let mut encoding = tokio::task::spawn_blocking({
            let waiting = waiting.clone();
            move || {
                let request = waiting.lock().take();
                request.map(Self::encode)
            }
        });
        tokio::select! {
            biased;
            // A runtime that ends takes the batches back to their partitions.
            encoded = &mut encoding => return encoded.ok().flatten(),
            () = tokio::time::sleep(PATIENCE) => {}
        }
        let waits = waiting.lock().take();
        match waits {
            Some(request) => {
                encoding.abort();
                Some(request.encode())
            }
            // A thread is at it.
            None => encoding.await.ok().flatten(),
        }
    }

    fn encode(mut self) -> Self {
        let compression = self.core.config.batch.compression;
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
    }

    /// Returns the batches that must not be written any more to their partitions, which are added to `touched`. `None` where
    /// nothing is left.
    pub(super) fn depart(mut self, touched: &mut Vec<Arc<Partition>>) -> Option<Self> {
        let (leaving, recalled): (Vec<_>, Vec<_>) = std::mem::take(&mut self.parcels)
            .into_iter()
            .partition(|parcel| parcel.partition.depart(&parcel.batch));
        self.parcels = leaving;
        for Parcel { partition, batch, .. } in recalled {
            let failed = partition.recalled(batch);
            let error = Error::new(ErrorKind::Closed, "nothing more is sent");
            self.core.stats.failed(partition.topic(), failed, &error);
            touched.push(partition);
        }
        (!self.parcels.is_empty()).then_some(self)
    }

    /// Makes the attempt. A message whose time is over meanwhile is settled at that time by its partition; the request goes
    /// on, since others share it and its sequence must be accounted for.
    pub(super) async fn attempt(mut self, node: NodeId) -> Landed {
        self.written = true;
        let engine = self.core.engine.clone();
        let started = Instant::now();
        let spans = self.departs(node, started);
        let (core, parcels) = (&self.core, &self.parcels);
        let late =
            |stage| core.metadata.late(core, node, stage, parcels.iter().map(|parcel| &parcel.partition));
        let result = engine.produce(node, parcels, &late).await;
        let parcels = std::mem::take(&mut self.parcels);
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
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let (kind, why) = match self.core.is_stopped() {
            true => (ErrorKind::Closed, "the producer was closed before the broker answered"),
            false => (ErrorKind::ConnectionLost, "the runtime ended before the broker answered"),
        };
        let fate = if self.written { Fate::PossiblyPersisted } else { Fate::NotPersisted };
        let verdict = Verdict { fate, error: Error::new(kind, why).with_fate(fate) };
        for Parcel { partition, batch, .. } in std::mem::take(&mut self.parcels) {
            let failed = match kind {
                ErrorKind::Closed => partition.failed(batch, &verdict),
                _ => partition.retry(batch, &verdict, Instant::now()),
            };
            self.core.stats.failed(partition.topic(), failed, &verdict.error);
            // Another task may serve the broker already, and have taken the batch for one in flight.
            partition.lane().schedule(&self.core, partition);
        }
    }
}
