//! `Metadata`.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};

use super::{Outcome, get, put, text};
use crate::fake::state::{Shared, State};

/// Said of an answer as a whole, and not of a topic (KIP-1102).
const REBOOTSTRAP_REQUIRED: i16 = 129;

/// The topics that are requested by name.
pub(in crate::fake) fn topics(body: Bytes, version: i16) -> io::Result<Vec<String>> {
    let request: MetadataRequest = get(body, version)?;
    let topics = request.topics.unwrap_or_default();
    Ok(topics.into_iter().filter_map(|topic| topic.name).map(|name| name.to_string()).collect())
}

pub(super) fn handle(
    shared: &Arc<Shared>,
    version: i16,
    body: Bytes,
    outcome: &Outcome,
    out: &mut BytesMut,
) -> io::Result<()> {
    let request: MetadataRequest = get(body, version)?;
    if version >= 13 && outcome.error == Some(REBOOTSTRAP_REQUIRED) {
        return put(&MetadataResponse::default().with_error_code(REBOOTSTRAP_REQUIRED), version, out);
    }
    let mut state = shared.lock();
    // Version 0 asks for all topics by an empty list, later ones by null.
    let asked = request.topics.filter(|topics| version > 0 || !topics.is_empty());
    let names: Vec<String> = match &asked {
        None => state.topics.keys().cloned().collect(),
        Some(topics) => topics.iter().filter_map(|t| t.name.as_ref()).map(|name| name.to_string()).collect(),
    };
    let may_create = asked.is_some() && (version < 4 || request.allow_auto_topic_creation);
    let topics = names.iter().map(|name| describe(&mut state, name, may_create, version, outcome)).collect();
    let listed = state.nodes.iter().enumerate().filter(|(_, node)| !node.fenced);
    let brokers = listed.map(|(id, node)| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(state.first_node_id + id as i32))
            .with_host(text(&node.address.ip().to_string()))
            .with_port(i32::from(node.address.port()))
            .with_rack(node.rack.as_deref().map(text).filter(|_| version >= 1))
    });
    let answer = MetadataResponse::default()
        .with_throttle_time_ms(if version >= 3 { outcome.throttle_ms } else { 0 })
        .with_brokers(brokers.collect())
        .with_cluster_id(state.cluster_id.as_deref().map(text).filter(|_| version >= 2))
        .with_controller_id(BrokerId(state.first_node_id))
        .with_topics(topics);
    put(&answer, version, out)
}

fn describe(
    state: &mut State,
    name: &str,
    may_create: bool,
    version: i16,
    outcome: &Outcome,
) -> MetadataResponseTopic {
    let topic = MetadataResponseTopic::default().with_name(Some(TopicName(text(name))));
    if let Some(code) = outcome.error.or(outcome.reported) {
        return topic.with_error_code(code);
    }
    if !is_valid(name) {
        return topic.with_error_code(17);
    }
    if may_create && state.auto_create {
        let partitions = state.default_partitions;
        state.create_topic(name, partitions);
    }
    let Some(found) = state.topics.get(name) else {
        return topic.with_error_code(3);
    };
    let first_node_id = state.first_node_id;
    let partitions = found.partitions.iter().enumerate().map(|(index, log)| {
        let leader = BrokerId(log.leader.map_or(-1, |node| first_node_id + node));
        MetadataResponsePartition::default()
            .with_error_code(if log.leader.is_some() { 0 } else { 5 })
            .with_partition_index(index as i32)
            .with_leader_id(leader)
            .with_leader_epoch(if version >= 7 { log.epoch } else { -1 })
            .with_replica_nodes(vec![leader])
            .with_isr_nodes(vec![leader])
    });
    let topic = topic.with_partitions(partitions.collect());
    if version >= 10 {
        let id = found.id.to_be_bytes();
        return topic.with_topic_id(uuid::Uuid::from_bytes(id));
    }
    topic
}

fn is_valid(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty() && name.len() <= 249 && name != "." && name != ".." && name.chars().all(allowed)
}
