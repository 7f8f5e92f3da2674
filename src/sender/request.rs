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
use crate::record::{Encoded, REQUEST_OVERHEAD, bytes_in_request};
use crate::telemetry::{Sending, Sent, Spans};

/// To compress more bytes than this holds up what else runs on the thread, whatever the codec.
const LARGE: usize = 1 << 20;

/// How long a request waits for a thread to encode it. A pool whose threads are all busy must not stop sending.
const PATIENCE: Duration = Duration::from_millis(5);

/// A batch, and the partition that it belongs to.
pub(crate) struct ProducerBatch {
    pub(super) partition: Arc<Partition>,
    pub(crate) batch: Arc<Batch>,
    /// The topic that it was taken for.
    pub(super) topic_id: Option<TopicId>,
    /// The batch in Kafka's format, where it was encoded before its request.
    pub(super) encoded: Option<Encoded>,
}

impl ProducerBatch {
    fn plain(&self) -> PartitionBatch<'_> {
        PartitionBatch {
            topic: &self.partition.topic,
            topic_id: self.topic_id,
            partition: self.partition.index,
            records: &self.batch.records,
            sequence: self.batch.sequence,
            encoded: self.encoded.as_ref(),
        }
    }

    /// Bytes of the batch as it is sent.
    pub(super) fn len(&self) -> usize {
        self.encoded.as_ref().map_or_else(|| self.batch.records.wire_bytes(), Encoded::len)
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

/// What becomes of a batch whose request is about to be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaves {
    Now,
    /// It goes back to its partition.
    Later,
    /// The same, since it is too large.
    InPieces,
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

    /// Whether it takes long to encode.
    pub(super) fn is_slow(&self) -> bool {
        let bytes = self.batches.iter().map(|batch| batch.batch.records.wire_bytes()).sum::<usize>();
        self.core.config.batch.compression.is_slow() || bytes > LARGE
    }

    /// Encodes every batch on a thread for such work, so that what else runs here is not held up. Where no thread is free
    /// soon it is done here after all.
    pub(super) async fn encoded_aside(self) -> Option<Self> {
        let waiting = Arc::new(Mutex::new(Some(self)));
        let mut encoding = tokio::task::spawn_blocking({
            let waiting = waiting.clone();
            move || {
                let request = waiting.lock().take();
                request.map(Self::encoded)
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
                Some(request.encoded())
            }
            // A thread is at it.
            None => encoding.await.ok().flatten(),
        }
    }

    /// Encodes every batch.
    pub(super) fn encoded(mut self) -> Self {
        let compressor = self.core.config.batch.compressor();
        for batch in &mut self.batches {
            let (encoded, done) = Encoded::new(&batch.batch.records, batch.batch.sequence, compressor);
            if let Err(problem) = done {
                self.core.log.compression_failed(&batch.partition.topic, &problem);
            }
            batch.encoded = Some(encoded);
        }
        self
    }

    /// Returns the batches that must not be written to their partitions, which are added to `touched`. `None` where nothing
    /// is left.
    pub(super) fn depart(mut self, touched: &mut Vec<Arc<Partition>>) -> Option<Self> {
        let policy = &self.core.policy;
        let mut room = self.core.config.batch.max_request_bytes.saturating_sub(REQUEST_OVERHEAD);
        let mut at = 0;
        while let Some(batch) = self.batches.get(at) {
            let space = if at == 0 { usize::MAX } else { room };
            let bytes = bytes_in_request(batch.len(), &batch.partition.topic);
            let leaves = batch.partition.queue(|queue| match &batch.encoded {
                Some(encoded) if queue.compressed(&batch.batch, encoded.len(), policy) => Leaves::InPieces,
                Some(_) if bytes > space => Leaves::Later,
                _ if queue.depart(&batch.batch) => Leaves::Now,
                _ => Leaves::Later,
            });
            if leaves == Leaves::Now {
                room = room.saturating_sub(bytes);
                at += 1;
                continue;
            }
            let ProducerBatch { partition, batch, .. } = self.batches.remove(at);
            let error = Error::new(ErrorKind::Closed, "nothing more is sent");
            self.core.settle(&partition, &error, |queue, settlement| match leaves {
                Leaves::InPieces => queue.divide_unwritten(batch, policy, settlement),
                _ => queue.recalled(batch, settlement),
            });
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
