//! What an answer means for each batch: stored, to be sent again, divided, or given up.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::in_flight::Landed;
use super::lane::Lane;
use crate::accumulator::{Batch, Partition, Verdict};
use crate::clock::later;
use crate::engine::{Answer, Parcel, Produced};
use crate::error::{Blame, Error, Fate, Retry, Row};
use crate::producer::Core;
use crate::telemetry::Acked;

/// Applies what came back. The partitions that it was about are added to `touched`. Returns how long the broker wants
/// no further request.
pub(super) fn settle(
    core: &Arc<Core>,
    lane: &Lane,
    landed: Landed,
    touched: &mut Vec<Arc<Partition>>,
) -> Duration {
    let now = Instant::now();
    let Landed { sent, parcels, result, took, spans } = landed;
    let broker = lane.node().map_or_else(Arc::default, |node| core.engine.name_of(node));
    core.stats.request(&broker, result.is_ok(), took);
    spans.end(result.as_ref().map(|produced| produced.answers.iter().map(|a| (a.error_code, a.base_offset))));
    lane.note(result.as_ref().err());
    match result {
        Ok(Produced { answers, throttle }) => {
            let blamed = answers.iter().any(|a| a.error_code != 0 && of(a).blame == Blame::Broker);
            let clean = answers.iter().all(|a| a.error_code == 0);
            judge(core, lane, clean.then_some(true).or(blamed.then_some(false)), sent, now);
            let throttle = throttle.min(LONGEST_THROTTLE);
            core.throttled(&broker, throttle, now);
            for (parcel, answer) in parcels.into_iter().zip(answers) {
                touched.push(parcel.partition.clone());
                settle_one(core, parcel, &answer, &broker, now);
            }
            throttle
        }
        Err(error) => {
            let row = error.row();
            judge(core, lane, (row.blame == Blame::Broker).then_some(false), sent, now);
            core.log.attempt_failed(&broker, &error, parcels.len(), took);
            for parcel in parcels {
                touched.push(parcel.partition.clone());
                failed(core, parcel, &error, row, &broker, now);
            }
            let throttle = error.retry_after().filter(|_| row.blame == Blame::Broker);
            throttle.unwrap_or_default().min(LONGEST_THROTTLE)
        }
    }
}

fn of(answer: &Answer) -> Row {
    *crate::error::row(answer.error_code)
}

/// A broker asks for seconds; what asks for more is a broken answer, and is not obeyed.
const LONGEST_THROTTLE: Duration = Duration::from_secs(60);

fn judge(core: &Arc<Core>, lane: &Lane, good: Option<bool>, sent: Instant, now: Instant) {
    let change = match good {
        Some(true) => {
            core.succeeded(now);
            core.metadata.delivered(core, now);
            lane.breaker().on_success(now)
        }
        Some(false) => lane.breaker().on_failure(sent, now),
        None => return,
    };
    core.lane_breaker_changed(lane, change);
}

fn settle_one(core: &Arc<Core>, parcel: Parcel, answer: &Answer, broker: &Arc<str>, now: Instant) {
    let Parcel { partition, batch, .. } = parcel;
    let mut row = of(answer);
    if answer.error_code == 0 || row.retry == Retry::Stored {
        let (offset, append_time) = match answer.error_code {
            0 => (answer.base_offset, answer.append_time),
            _ => (None, None),
        };
        let (topic, bytes) = (partition.topic(), batch.wire_bytes());
        let age = now.saturating_duration_since(batch.opened);
        let count = |records| core.stats.stored(&Acked { topic, records, bytes, age });
        let overtaken = partition.stored(batch, offset, append_time, now, count);
        if overtaken.total() > 0 {
            let error = partition.overtaken();
            core.log.batch_failed(&error, overtaken.total());
            core.stats.failed(topic, overtaken, &error);
        }
        return;
    }
    let detail = answer.detail.as_deref();
    let mut error = refusal(answer, detail, broker, &partition);
    if row.refresh && answer.appended {
        // A leader that stood down while it waited for its followers, who may have what it had appended.
        error = error.with_fate(Fate::PossiblyPersisted);
    }
    let mut answer = Cow::Borrowed(answer);
    let again = |last: &Error| last.broker_error().is_some_and(|last| last.code() == CORRUPT);
    if answer.error_code == CORRUPT && !answer.names_bad_records && batch.last_error().is_some_and(again) {
        let keyless: Vec<_> = batch.records().keyless().map(|at| (at, None)).collect();
        if !keyless.is_empty() {
            row.retry = Retry::No;
            answer.to_mut().bad_records = keyless;
        }
    }
    let parcel = Parcel { partition, batch, encoded: None };
    let some_may_go_again = parcel.batch.len() > 1 && !parcel.batch.in_doubt;
    if row.retry == Retry::No && !answer.bad_records.is_empty() && some_may_go_again {
        return drop_bad_records(core, parcel, &answer, &error, row, broker, now);
    }
    failed(core, parcel, &error, row, broker, now);
}

/// The error that an answer is, for one partition.
fn refusal(answer: &Answer, detail: Option<&str>, broker: &Arc<str>, partition: &Partition) -> Error {
    Error::for_partition(answer.error_code, detail, broker, partition.topic(), partition.index())
}

/// The broker refused the whole batch because of some of its records, and said which: they fail, the others are
/// sent again.
fn drop_bad_records(
    core: &Arc<Core>,
    parcel: Parcel,
    answer: &Answer,
    error: &Error,
    row: Row,
    broker: &Arc<str>,
    now: Instant,
) {
    let batch = &parcel.batch;
    let mut bad = BTreeMap::new();
    for (position, said) in &answer.bad_records {
        let position = *position as usize;
        if position < batch.len() {
            let said = said.as_deref().or(answer.detail.as_deref());
            bad.entry(position).or_insert_with(|| refusal(answer, said, broker, &parcel.partition));
        }
    }
    let spent = core.config.retry.max_attempts.is_some_and(|most| batch.attempts >= most);
    // An answer that names none of these records would be given again.
    if bad.is_empty() || bad.len() == batch.len() || spent {
        return failed(core, parcel, error, row, broker, now);
    }
    // One answer names all that is bad, as a rule.
    let at = (batch.attempts > 1).then(|| retry_at(core, batch, error, Retry::Backoff, broker, now));
    let verdict = Verdict { error: error.clone(), fate: row.fate };
    let Parcel { partition, batch, .. } = parcel;
    let dropped = partition.drop_records(batch, &verdict, at, bad.into_iter().collect());
    core.stats.failed(partition.topic(), dropped, error);
}

/// When a batch is sent again.
fn retry_at(
    core: &Core,
    batch: &Batch,
    error: &Error,
    retry: Retry,
    broker: &Arc<str>,
    now: Instant,
) -> Instant {
    let doubtful = !core.policy.idempotent && error.fate() == Fate::PossiblyPersisted;
    core.stats.retried(error, if doubtful { batch.len() } else { 0 });
    let delay = core.retry_delay(batch.attempts, error, retry, now);
    core.log.batch_retry(broker, &batch.told(error.clone()), delay, now);
    later(now, delay)
}

/// A batch that was not stored, as far as anyone knows.
fn failed(core: &Arc<Core>, parcel: Parcel, error: &Error, row: Row, broker: &Arc<str>, now: Instant) {
    let Parcel { partition, batch, .. } = parcel;
    if row.refresh {
        core.metadata.refresh_soon(core);
    }
    let verdict = Verdict { fate: error.fate(), error: error.clone() };
    let spent = core.config.retry.max_attempts.is_some_and(|most| batch.attempts >= most);
    let give_up = |partition: &Partition, batch: Arc<Batch>| {
        core.log.batch_failed(&batch.told(error.clone()), batch.len());
        partition.failed(batch, &verdict)
    };
    let again = |batch: &Batch| retry_at(core, batch, error, row.retry, broker, now);
    let failed = match row.retry {
        Retry::No | Retry::Stored => give_up(&partition, batch),
        _ if spent => give_up(&partition, batch),
        // An earlier attempt may have stored it, or may still be on its way through a connection that is gone: under
        // other numbers it would be stored again.
        Retry::Divide | Retry::Resequence if batch.in_doubt => give_up(&partition, batch),
        Retry::Divide => {
            let alone = batch.len() == 1;
            let failed = partition.divide(batch, &verdict);
            if alone {
                core.log.batch_failed(error, 1);
            }
            failed
        }
        Retry::Resequence => {
            let at = again(&batch);
            let fenced = error.broker_error().is_some_and(|e| FENCED.contains(&e.code()));
            partition.out_of_sequence(batch, &verdict, fenced, at)
        }
        Retry::Backoff | Retry::Soon => {
            let at = again(&batch);
            partition.retry(batch, &verdict, at)
        }
    };
    core.stats.failed(partition.topic(), failed, error);
}

/// `INVALID_PRODUCER_EPOCH` and `PRODUCER_FENCED`: the broker has a higher epoch for the producer id.
const FENCED: [i16; 2] = [47, 90];

/// `CORRUPT_MESSAGE`: damage on the way, which does not repeat itself; or what a broker before Kafka 2.4 answers where a
/// compacted topic gets a message without a key, without saying which.
const CORRUPT: i16 = 2;
