//! `Produce`: checked as a broker checks it, then appended.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::produce_request::TopicProduceData;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{ApiKey, BrokerId, ProduceRequest, ProduceResponse};

use super::{Outcome, get, put, text};
use crate::decode::{self, BatchHeader};
use crate::fake::fault::BatchSeen;
use crate::fake::log::{Appended, Generation};
use crate::fake::state::{Shared, State};

const HOUR_MS: i64 = 3_600_000;

const ZSTD: i16 = 4;
/// The version of Produce that knows it.
const ZSTD_SINCE: i16 = 7;
/// The version of Produce that calls topics by their ids (KIP-516).
const IDS: i16 = 13;
const UNKNOWN_TOPIC_ID: i16 = 100;

/// `acks` and what the batches claim to be.
pub(in crate::fake) fn batches(
    shared: &Shared,
    body: Bytes,
    version: i16,
) -> io::Result<(Option<i16>, Vec<BatchSeen>)> {
    let request: ProduceRequest = get(body, version)?;
    let state = shared.lock();
    let mut seen = Vec::new();
    for topic in &request.topic_data {
        let name = name(&state, topic, version).unwrap_or_default();
        for partition in &topic.partition_data {
            let batch = partition.records.as_deref().unwrap_or_default();
            let header = BatchHeader::read(batch);
            seen.push(BatchSeen {
                topic: name.clone(),
                partition: partition.index,
                records: header.map_or(0, |h| h.count),
                bytes: batch.len(),
                producer_id: header.map_or(-1, |h| h.producer_id),
                epoch: header.map_or(-1, |h| h.epoch),
                sequence: header.map_or(-1, |h| h.sequence),
            });
        }
    }
    Ok((Some(request.acks), seen))
}

/// The name of a topic, which the newest versions call by its id; `None` where there is none with this id.
fn name(state: &State, topic: &TopicProduceData, version: i16) -> Option<String> {
    match version >= IDS {
        true => state.named(topic.topic_id.as_u128()).map(str::to_owned),
        false => Some(topic.name.to_string()),
    }
}

pub(super) fn handle(
    shared: &Arc<Shared>,
    node: i32,
    version: i16,
    body: Bytes,
    outcome: &Outcome,
    out: &mut BytesMut,
) -> io::Result<bool> {
    let request: ProduceRequest = get(body, version)?;
    let acks = request.acks;
    let mut state = shared.lock();
    let mut answer = ProduceResponse::default().with_throttle_time_ms(outcome.throttle_ms);
    for topic in request.topic_data {
        let name = name(&state, &topic, version);
        let mut partitions: Vec<_> = topic
            .partition_data
            .iter()
            .map(|partition| {
                let batch = partition.records.clone().unwrap_or_default();
                let verdict = match outcome.error {
                    Some(code) => Err(Refusal::new(code)),
                    None if !matches!(acks, -1..=1) => Err(Refusal::new(21)),
                    None => match &name {
                        Some(name) => append(&mut state, name, partition.index, node, version, &batch),
                        None => Err(Refusal::new(UNKNOWN_TOPIC_ID)),
                    },
                };
                let name = name.as_deref().unwrap_or_default();
                answer_of(&mut state, name, partition.index, version, verdict, outcome)
            })
            .collect();
        // Kafka answers in another order than it was asked.
        partitions.reverse();
        let answered = TopicProduceResponse::default().with_partition_responses(partitions);
        answer.responses.push(match version >= IDS {
            true => answered.with_topic_id(topic.topic_id),
            false => answered.with_name(topic.name),
        });
    }
    answer.node_endpoints = endpoints(&state, &answer);
    drop(state);
    if acks == 0 {
        return Ok(false);
    }
    answer.responses.reverse();
    put(&answer, version, out)?;
    Ok(true)
}

/// Where the leaders are that an answer names (KIP-951).
fn endpoints(state: &State, answer: &ProduceResponse) -> Vec<NodeEndpoint> {
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partition_responses);
    let leaders: BTreeSet<_> = partitions.map(|partition| partition.current_leader.leader_id.0).collect();
    let endpoint = |id: i32| {
        let node = state.nodes.get(usize::try_from(id - state.first_node_id).ok()?)?;
        let endpoint = NodeEndpoint::default()
            .with_node_id(BrokerId(id))
            .with_host(text(&node.address.ip().to_string()))
            .with_port(i32::from(node.address.port()))
            .with_rack(node.rack.as_deref().map(text));
        Some(endpoint)
    };
    leaders.into_iter().filter_map(endpoint).collect()
}

struct Refusal {
    code: i16,
    bad_records: Vec<i32>,
    message: Option<&'static str>,
}

impl Refusal {
    fn new(code: i16) -> Self {
        Self { code, bad_records: Vec::new(), message: None }
    }
}

fn append(
    state: &mut State,
    topic: &str,
    partition: i32,
    node: i32,
    version: i16,
    batch: &Bytes,
) -> Result<(i64, Option<i64>), Refusal> {
    state.led(topic, partition, node).map_err(Refusal::new)?;
    let settings = &state.topics[topic];
    let largest = settings.config.get("max.message.bytes").and_then(|set| set.parse().ok());
    let largest = largest.unwrap_or(state.max_message_bytes);
    let header = check(batch, largest).map_err(Refusal::new)?;
    let now = state.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
    let offers = &state.nodes[node as usize].offers;
    let newest = offers.get(&(ApiKey::Produce as i16)).map_or(i16::MAX, |(_, newest)| *newest);
    let generation = Generation::offering(newest);
    if header.codec() == ZSTD && version < ZSTD_SINCE {
        return Err(Refusal::new(if newest < ZSTD_SINCE { -1 } else { 76 }));
    }
    if settings.is("cleanup.policy", "compact") {
        let bad_records = keyless(topic, partition, batch);
        if !bad_records.is_empty() && generation < Generation::V2_4 {
            return Err(Refusal::new(2));
        }
        if !bad_records.is_empty() {
            return Err(Refusal {
                code: 87,
                bad_records,
                message: Some("One or more records have been rejected"),
            });
        }
    }
    let append_time = settings.is("message.timestamp.type", "LogAppendTime").then_some(now);
    if append_time.is_none() && header.max_timestamp > now + HOUR_MS {
        return Err(Refusal::new(32));
    }
    let log = state.led(topic, partition, node).map_err(Refusal::new)?;
    match log.append(&header, batch, append_time, generation).map_err(Refusal::new)? {
        Appended::At(offset) => Ok((offset, append_time)),
        // Kafka answers when it stored the batch, whatever the topic uses.
        Appended::Duplicate(offset) => Ok((offset, Some(append_time.unwrap_or(now)))),
    }
}

/// What Kafka's `LogValidator` checks of one batch.
fn check(batch: &[u8], largest: usize) -> Result<BatchHeader, i16> {
    if batch.len() > largest {
        return Err(10);
    }
    let header = BatchHeader::read(batch).ok_or(2i16)?;
    if header.magic != 2 {
        return Err(2);
    }
    // More bytes are a second batch, which a partition must not get.
    match header.length {
        length if length < batch.len() => return Err(87),
        length if length > batch.len() => return Err(2),
        _ => {}
    }
    if crc32c::crc32c(&batch[21..]) != header.crc {
        return Err(2);
    }
    if header.count <= 0 || header.last_offset_delta != header.count - 1 {
        return Err(87);
    }
    if header.codec() > 4 {
        return Err(-1);
    }
    Ok(header)
}

fn keyless(topic: &str, partition: i32, batch: &[u8]) -> Vec<i32> {
    let records = decode::records(topic, partition, 0, None, batch).unwrap_or_default();
    let bad = records.iter().enumerate().filter(|(_, record)| record.key.is_none());
    bad.map(|(index, _)| index as i32).collect()
}

fn answer_of(
    state: &mut State,
    topic: &str,
    partition: i32,
    version: i16,
    verdict: Result<(i64, Option<i64>), Refusal>,
    outcome: &Outcome,
) -> PartitionProduceResponse {
    let answer = PartitionProduceResponse::default()
        .with_index(partition)
        .with_base_offset(-1)
        .with_log_append_time_ms(-1);
    match verdict {
        // A real broker reports the offset of what it appended even together with an error.
        Ok((offset, _)) if outcome.reported.is_some() => {
            answer.with_base_offset(offset).with_error_code(outcome.code())
        }
        Ok((offset, append_time)) => {
            let answer = answer.with_base_offset(offset).with_log_append_time_ms(append_time.unwrap_or(-1));
            if version >= 5 { answer.with_log_start_offset(0) } else { answer }
        }
        Err(refusal) => {
            let mut answer = answer.with_error_code(refusal.code);
            if version >= 8 {
                let bad = refusal.bad_records.iter().map(|index| {
                    BatchIndexAndErrorMessage::default()
                        .with_batch_index(*index)
                        .with_batch_index_error_message(Some(text(
                            "Compacted topic cannot accept message without key",
                        )))
                });
                answer =
                    answer.with_record_errors(bad.collect()).with_error_message(refusal.message.map(text));
            }
            // KIP-951
            let first_node_id = state.first_node_id;
            if let (6, true, Some(log)) = (refusal.code, version >= 10, state.log(topic, partition)) {
                let leader = BrokerId(log.leader.map_or(-1, |node| first_node_id + node));
                answer = answer.with_current_leader(
                    LeaderIdAndEpoch::default().with_leader_id(leader).with_leader_epoch(log.epoch),
                );
            }
            answer
        }
    }
}
