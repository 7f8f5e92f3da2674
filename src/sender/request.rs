//! One produce request: the batches that it carries, and its outcome.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::broker::Broker;
use super::partition::Partition;
use crate::accumulator::Batch;
use crate::core::Core;
use crate::engine::{NodeId, PartitionBatch, Produced, TopicId};
use crate::error::{Error, ErrorKind, Fate, Result};
use crate::record::{Packed, encode_batch};
use crate::telemetry::{Sending, Sent, Spans};

/// How long a request waits for a thread to encode it. A pool whose threads are all busy must not stop sending.
const PATIENCE: Duration = Duration::from_millis(5);

/// A batch, and the partition that it belongs to.
pub(crate) struct ProducerBatch {
    pub(super) partition: Arc<Partition>,
    pub(crate) batch: Arc<Batch>,
    /// The topic that it was taken for.
    pub(super) topic_id: Option<TopicId>,
    /// The batch in Kafka's format, where it was encoded before its request.
    pub(super) encoded: Option<Vec<u8>>,
}

impl ProducerBatch {
    fn plain(&self) -> PartitionBatch<'_> {
        PartitionBatch {
            topic: &self.partition.topic,
            topic_id: self.topic_id,
            partition: self.partition.index,
            records: &self.batch.records,
            sequence: self.batch.sequence,
            encoded: self.encoded.as_deref(),
        }
    }
}

/// Batches whose request is on its way. However it ends, even with the runtime that it ran on, they get back to
/// their partitions.
pub(super) struct Request {
    core: Arc<Core>,
    batches: Vec<ProducerBatch>,
    /// Some of it may have reached the broker.
    written: bool,
}

/// A request that ended.
pub(super) struct Answered {
    /// When it was begun.
    pub(super) sent: Instant,
    pub(super) batches: Vec<ProducerBatch>,
    pub(super) result: Result<Produced>,
    pub(super) spans: Spans,
}

impl Request {
    pub(super) fn new(core: Arc<Core>, batches: Vec<ProducerBatch>) -> Self {
        Self { core, batches, written: false }
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
        let compressor = self.core.config.batch.compressor();
        for batch in &mut self.batches {
            let (mut bytes, plain) = (Vec::new(), batch.plain());
            let packed = encode_batch(plain.records, plain.sequence, compressor, &mut bytes);
            if let Err(problem) = &packed {
                self.core.log.compression_failed(&batch.partition.topic, problem);
            }
            if !matches!(packed, Ok(Packed::Yes)) {
                plain.records.write(&mut bytes);
            }
            batch.encoded = Some(bytes);
        }
        self
    }

    /// Returns the batches that must not be written any more to their partitions, which are added to `touched`. `None` where
    /// nothing is left.
    pub(super) fn depart(mut self, touched: &mut Vec<Arc<Partition>>) -> Option<Self> {
        let mut at = 0;
        while let Some(batch) = self.batches.get(at) {
            if batch.partition.queue(|queue| queue.depart(&batch.batch)) {
                at += 1;
                continue;
            }
            let ProducerBatch { partition, batch, .. } = self.batches.remove(at);
            let error = Error::new(ErrorKind::Closed, "nothing more is sent");
            self.core.settle(&partition, &error, |queue, settlement| queue.recalled(batch, settlement));
            touched.push(partition);
        }
        (!self.batches.is_empty()).then_some(self)
    }

    /// Makes the attempt. A message whose time is over meanwhile is settled at that time by its partition; the request goes
    /// on, since others share it and its sequence must be accounted for.
    pub(super) async fn attempt(mut self, node: NodeId, broker: Arc<Broker>) -> Answered {
        self.written = true;
        let engine = self.core.engine.clone();
        let started = Instant::now();
        let _sending = broker.sending(started);
        let spans = self.departs(node, started);
        let (core, batches) = (&self.core, &self.batches);
        let late =
            |stage| core.metadata.late(core, node, stage, batches.iter().map(|batch| &batch.partition));
        let plain: Vec<_> = batches.iter().map(ProducerBatch::plain).collect();
        let result = engine.produce(node, &plain, &late).await;
        let batches = std::mem::take(&mut self.batches);
        Answered { sent: started, batches, result, spans }
    }

    /// Counts what leaves, and opens its spans.
    fn departs(&self, node: NodeId, now: Instant) -> Spans {
        for ProducerBatch { partition, batch, .. } in &self.batches {
            let first = batch.attempts == 1;
            self.core.stats.sent(&Sent {
                topic: &partition.topic,
                records: batch.records.len(),
                bytes: batch.records.wire_bytes(),
                waited: first.then(|| now.saturating_duration_since(batch.opened)),
            });
        }
        let batches = self.batches.iter().map(|ProducerBatch { partition, batch, .. }| Sending {
            topic: &partition.topic,
            partition: partition.index,
            messages: batch.records.len(),
            bytes: batch.records.wire_bytes(),
            attempt: batch.attempts,
        });
        let broker = || self.core.engine.name_of(node);
        self.core.log.spans(&self.core.config.client_id, broker, batches)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if self.batches.is_empty() {
            return;
        }
        let (kind, why) = match self.core.life.is_stopped() {
            true => (ErrorKind::Closed, "the producer was closed before the broker answered"),
            false => (ErrorKind::ConnectionLost, "the runtime ended before the broker answered"),
        };
        let fate = if self.written { Fate::PossiblyPersisted } else { Fate::NotPersisted };
        let error = Error::new(kind, why).with_fate(fate);
        for ProducerBatch { partition, batch, .. } in std::mem::take(&mut self.batches) {
            self.core.settle(&partition, &error, |queue, settlement| match kind {
                ErrorKind::Closed => queue.failed(batch, &error, settlement),
                _ => queue.retry(batch, &error, Instant::now(), settlement),
            });
            // Another task may serve the broker already, and have taken the batch for one in flight.
            partition.broker().schedule(&self.core, partition);
        }
    }
}
