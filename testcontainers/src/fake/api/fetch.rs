//! `Fetch` and `ListOffsets`, for readers that check what was stored.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse};
use tokio::time::Instant;

use super::{Outcome, get, put};
use crate::fake::state::{Shared, State};

pub(super) async fn fetch(
    shared: &Arc<Shared>,
    node: i32,
    version: i16,
    body: Bytes,
    outcome: &Outcome,
    out: &mut BytesMut,
) -> io::Result<()> {
    let request: FetchRequest = get(body, version)?;
    let until = Instant::now() + Duration::from_millis(request.max_wait_ms.max(0) as u64);
    loop {
        let seen = shared.changes().count();
        let (answer, found) = read(&mut shared.lock(), &request, node, outcome);
        if found || Instant::now() >= until || request.min_bytes <= 0 {
            return put(&answer, version, out);
        }
        // Whatever ends the wait, the log is read again.
        _ = tokio::time::timeout_at(until, shared.changes().beyond(seen)).await;
    }
}

fn read(state: &mut State, request: &FetchRequest, node: i32, outcome: &Outcome) -> (FetchResponse, bool) {
    let mut found = false;
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let data = PartitionData::default()
                .with_partition_index(asked.partition)
                .with_high_watermark(-1)
                .with_records(Some(Bytes::new()));
            let led = match outcome.error {
                Some(code) => Err(code),
                None => state.led(&topic.topic, asked.partition, node),
            };
            let data = match led {
                Err(code) => data.with_error_code(code),
                Ok(log) if !(0..=log.next).contains(&asked.fetch_offset) => data.with_error_code(1),
                Ok(log) => {
                    let from = log
                        .batches
                        .partition_point(|b| b.base_offset + i64::from(b.records) <= asked.fetch_offset);
                    let mut bytes = BytesMut::new();
                    for batch in &log.batches[from..] {
                        let limit = asked.partition_max_bytes.min(request.max_bytes).max(0) as usize;
                        if !bytes.is_empty() && bytes.len() + batch.bytes.len() > limit {
                            break;
                        }
                        bytes.extend_from_slice(&batch.bytes);
                    }
                    found |= !bytes.is_empty();
                    data.with_high_watermark(log.next)
                        .with_last_stable_offset(log.next)
                        .with_log_start_offset(0)
                        .with_records(Some(bytes.freeze()))
                }
            };
            found |= data.error_code != 0;
            data
        });
        FetchableTopicResponse::default()
            .with_topic(topic.topic.clone())
            .with_partitions(partitions.collect())
    });
    let topics = topics.collect();
    (FetchResponse::default().with_responses(topics), found)
}

pub(super) fn list_offsets(
    shared: &Arc<Shared>,
    node: i32,
    version: i16,
    body: Bytes,
    outcome: &Outcome,
    out: &mut BytesMut,
) -> io::Result<()> {
    let request: ListOffsetsRequest = get(body, version)?;
    let mut state = shared.lock();
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let answer = ListOffsetsPartitionResponse::default()
                .with_partition_index(asked.partition_index)
                .with_timestamp(-1)
                .with_offset(-1);
            let led = match outcome.error {
                Some(code) => Err(code),
                None => state.led(&topic.name, asked.partition_index, node),
            };
            match led {
                Err(code) => answer.with_error_code(code),
                Ok(log) => {
                    let offset = match asked.timestamp {
                        // Earliest; everything else counts as latest, which is all that readers of tests ask.
                        -2 => 0,
                        _ => log.next,
                    };
                    let epoch = if version >= 4 { log.epoch } else { -1 };
                    answer.with_offset(offset).with_leader_epoch(epoch)
                }
            }
        });
        ListOffsetsTopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    let topics = topics.collect();
    put(&ListOffsetsResponse::default().with_topics(topics), version, out)
}
