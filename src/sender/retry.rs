//! A batch that was not stored is sent again, divided, or fails: the decision, by the row of its error in
//! `error/table.rs`, and the delay.

use std::sync::Arc;

use tokio::time::Instant;

use super::partition::Partition;
use super::request::ProducerBatch;
use super::settle::Settling;
use crate::accumulator::Batch;
use crate::clock::later;
use crate::error::{Error, Failed, Fate, Retry, Row};

/// `INVALID_PRODUCER_EPOCH` and `PRODUCER_FENCED`: the broker has a higher epoch for the producer id.
const FENCED: [i16; 2] = [47, 90];

impl Settling<'_> {
    pub(super) fn is_last_attempt(&self, batch: &Batch) -> bool {
        self.core.config.retry.max_attempts.is_some_and(|most| batch.attempts >= most)
    }

    /// When a batch is sent again.
    pub(super) fn retry_at(&self, batch: &Batch, error: &Error, retry: Retry) -> Instant {
        let doubtful = !self.core.policy.idempotent && error.fate() == Fate::PossiblyPersisted;
        self.core.stats.retried(error, if doubtful { batch.records.len() } else { 0 });
        let delay = self.core.pacing.retry_delay(batch.attempts, error, retry, self.now);
        self.core.log.batch_retry(self.name, &batch.describe(error.clone()), delay, self.now);
        later(self.now, delay)
    }

    /// The batch was not stored, as far as anyone knows: retries it, divides it, or fails it.
    pub(super) fn failed(&self, batch: ProducerBatch, error: &Error, row: Row) {
        let bytes = batch.len();
        let ProducerBatch { partition, batch, .. } = batch;
        if row.refresh {
            self.core.metadata.refresh_soon(self.core);
        }
        let failed = match row.retry {
            Retry::No | Retry::Stored => self.fail(&partition, batch, error),
            _ if self.is_last_attempt(&batch) => self.fail(&partition, batch, error),
            // An earlier attempt may have stored it, or may still be on its way through a connection that is gone: under
            // other numbers it would be stored again.
            Retry::Divide | Retry::Resequence if batch.in_doubt => self.fail(&partition, batch, error),
            Retry::Divide => {
                if batch.records.len() == 1 {
                    self.core.log.batch_failed(error, 1);
                }
                partition.settle(|queue, settlement| queue.divide(batch, bytes, error, settlement))
            }
            Retry::Resequence => {
                let at = self.retry_at(&batch, error, row.retry);
                let fenced = is_fenced(error);
                partition
                    .settle(|queue, settlement| queue.out_of_sequence(batch, error, fenced, at, settlement))
            }
            Retry::Backoff | Retry::Soon => {
                let at = self.retry_at(&batch, error, row.retry);
                partition.settle(|queue, settlement| queue.retry(batch, error, at, settlement))
            }
        };
        self.core.stats.failed(&partition.topic, failed, error);
    }

    fn fail(&self, partition: &Partition, batch: Arc<Batch>, error: &Error) -> Failed {
        self.core.log.batch_failed(&batch.describe(error.clone()), batch.records.len());
        partition.settle(|queue, settlement| {
            if is_fenced(error) {
                queue.fenced(batch.in_doubt);
            }
            queue.failed(batch, error, settlement);
        })
    }
}

fn is_fenced(error: &Error) -> bool {
    error.broker_error().is_some_and(|error| FENCED.contains(&error.code()))
}
