//! What an answer means for each batch: stored, or not. See [`retry`](super::retry) for the latter.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::broker::Broker;
use super::partition::Partition;
use super::request::{Answered, ProducerBatch};
use crate::accumulator::overtaken;
use crate::core::Core;
use crate::engine::{Answer, Leadership, Produced};
use crate::error::{Blame, Error, Fate, Retry, Row, row};
use crate::telemetry::Acked;

/// A broker may ask for seconds; a longer throttle time is a broken answer, and is not obeyed.
const LONGEST_THROTTLE: Duration = Duration::from_secs(60);

/// `CORRUPT_MESSAGE`: damage on the way, which does not repeat itself; or what a broker before Kafka 2.4 answers where a
/// compacted topic gets a message without a key, without saying which.
const CORRUPT: i16 = 2;

/// Applies the outcome of a request. The partitions that it was about are added to `touched`. Returns for how long the
/// broker accepts no further request.
pub(super) fn settle(
    core: &Arc<Core>,
    broker: &Broker,
    answered: Answered,
    now: Instant,
    touched: &mut Vec<Arc<Partition>>,
) -> Duration {
    let Answered { sent, batches, result, spans } = answered;
    let took = now.saturating_duration_since(sent);
    let name = broker.node.map_or_else(Arc::default, |node| core.engine.name_of(node));
    let settling = Settling { core, broker, name: &name, now };
    core.stats.request(&name, result.is_ok(), took);
    spans.end(result.as_ref().map(|produced| produced.answers.iter().map(|a| (a.error_code, a.base_offset))));
    broker.note(result.as_ref().err());
    match result {
        Ok(Produced { answers, throttle }) => {
            let blamed =
                answers.iter().any(|a| a.error_code != 0 && row(a.error_code).blame == Blame::Broker);
            let clean = answers.iter().all(|a| a.error_code == 0);
            settling.judge(clean.then_some(true).or(blamed.then_some(false)), sent);
            let throttle = throttle.min(LONGEST_THROTTLE);
            core.throttled(&name, throttle, settling.now);
            for (batch, answer) in batches.into_iter().zip(answers) {
                touched.push(batch.partition.clone());
                settling.answered(batch, &answer);
            }
            throttle
        }
        Err(error) => {
            let row = error.row();
            let blamed = row.blame == Blame::Broker;
            settling.judge(blamed.then_some(false), sent);
            core.log.attempt_failed(&name, &error, batches.len(), took);
            for batch in batches {
                touched.push(batch.partition.clone());
                settling.failed(batch, &error, row);
            }
            error.retry_after().filter(|_| blamed).unwrap_or_default().min(LONGEST_THROTTLE)
        }
    }
}

/// The outcome of one request, while it is applied.
pub(super) struct Settling<'a> {
    pub(super) core: &'a Arc<Core>,
    broker: &'a Broker,
    pub(super) name: &'a Arc<str>,
    pub(super) now: Instant,
}

impl Settling<'_> {
    /// Feeds the breakers; `None` where the outcome says nothing about the broker.
    fn judge(&self, good: Option<bool>, sent: Instant) {
        let Self { core, broker, now, .. } = *self;
        let change = match good {
            Some(true) => {
                core.succeeded(now);
                core.metadata.delivered(core, now);
                broker.breaker().on_success(now)
            }
            Some(false) => broker.breaker().on_failure(sent, now),
            None => return,
        };
        core.broker_breaker_changed(broker, change);
    }

    fn answered(&self, batch: ProducerBatch, answer: &Answer) {
        let mut row = *row(answer.error_code);
        if answer.error_code == 0 || row.retry == Retry::Stored {
            return self.stored(batch, answer);
        }
        let mut error = self.refusal(answer, answer.detail.as_deref(), &batch.partition);
        if row.refresh && answer.appended {
            // A leader that stood down while it waited for its followers, which may have what it had appended.
            error = error.with_fate(Fate::PossiblyPersisted);
        }
        let mut answer = Cow::Borrowed(answer);
        let again = |last: &Error| last.broker_error().is_some_and(|last| last.code() == CORRUPT);
        let corrupt_again = answer.error_code == CORRUPT && batch.batch.last.as_ref().is_some_and(again);
        if corrupt_again && !answer.names_bad_records {
            let keyless: Vec<_> = batch.batch.records.keyless().map(|at| (at, None)).collect();
            if !keyless.is_empty() {
                row.retry = Retry::No;
                answer.to_mut().bad_records = keyless;
            }
        }
        let some_may_go_again = batch.batch.records.len() > 1 && !batch.batch.in_doubt;
        if row.retry == Retry::No && !answer.bad_records.is_empty() && some_may_go_again {
            return self.drop_bad_records(batch, &answer, &error, row);
        }
        let leader = answer.leader.filter(|leader| row.refresh && self.is_news(&batch.partition, *leader));
        let Some(leader) = leader else {
            return self.failed(batch, &error, row);
        };
        row.refresh = false;
        let partition = batch.partition.clone();
        self.failed(batch, &error, row);
        self.core.metadata.follow(self.core, &partition, leader);
    }

    /// Whether the broker names a leader that can be believed: one that was elected later than what was known, or the one
    /// that another answer of it has named already.
    fn is_news(&self, partition: &Arc<Partition>, leader: Leadership) -> bool {
        let is_another = leader.node != self.broker.node;
        is_another
            && (partition.broker().node == leader.node || self.core.metadata.is_newer(partition, leader))
    }

    fn stored(&self, batch: ProducerBatch, answer: &Answer) {
        let ProducerBatch { partition, batch, .. } = batch;
        let (offset, append_time) = match answer.error_code {
            0 => (answer.base_offset, answer.append_time),
            _ => (None, None),
        };
        let (topic, bytes) = (&partition.topic, batch.records.wire_bytes());
        let age = self.now.saturating_duration_since(batch.opened);
        let count = |records| self.core.stats.stored(&Acked { topic, records, bytes, age });
        let failed = partition.stored(batch, offset, append_time, self.now, count);
        if failed.total() > 0 {
            let error = partition.describe(overtaken());
            self.core.log.batch_failed(&error, failed.total());
            self.core.stats.failed(topic, failed, &error);
        }
    }

    /// The error of an answer, for one partition.
    fn refusal(&self, answer: &Answer, detail: Option<&str>, partition: &Partition) -> Error {
        Error::for_partition(answer.error_code, detail, self.name, &partition.topic, partition.index)
    }

    /// The broker refused the whole batch because of some of its records, and said which: they fail, the others are
    /// sent again.
    fn drop_bad_records(&self, batch: ProducerBatch, answer: &Answer, error: &Error, row: Row) {
        let records = batch.batch.records.len();
        let mut bad = BTreeMap::new();
        for (position, said) in &answer.bad_records {
            let position = *position as usize;
            if position < records {
                let said = said.as_deref().or(answer.detail.as_deref());
                bad.entry(position).or_insert_with(|| self.refusal(answer, said, &batch.partition));
            }
        }
        // An answer that names none of these records would be given again.
        if bad.is_empty() || bad.len() == records || self.is_last_attempt(&batch.batch) {
            return self.failed(batch, error, row);
        }
        // One answer names all that is bad, as a rule.
        let at = (batch.batch.attempts > 1).then(|| self.retry_at(&batch.batch, error, Retry::Backoff));
        let ProducerBatch { partition, batch, .. } = batch;
        let bad = bad.into_iter().collect();
        self.core.settle(&partition, error, |queue, settlement| {
            queue.drop_records(batch, error, at, bad, settlement);
        });
    }
}
