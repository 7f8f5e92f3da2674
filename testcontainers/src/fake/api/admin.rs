//! `CreateTopics` and `DeleteTopics`.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
};

use super::{Outcome, get, put};
use crate::fake::state::Shared;

/// The first broker is the controller.
const CONTROLLER: i32 = 0;

pub(super) fn create_topics(
    shared: &Arc<Shared>,
    node: i32,
    version: i16,
    body: Bytes,
    outcome: &Outcome,
    out: &mut BytesMut,
) -> io::Result<()> {
    let request: CreateTopicsRequest = get(body, version)?;
    let mut state = shared.lock();
    let results = request.topics.iter().map(|topic| {
        let partitions =
            if topic.num_partitions > 0 { topic.num_partitions } else { state.default_partitions };
        let code = match outcome.error {
            Some(code) => code,
            None if node != CONTROLLER => 41,
            None if request.validate_only => 0,
            None if state.create_topic(&topic.name, partitions) => 0,
            None => 36,
        };
        let result = CreatableTopicResult::default().with_name(topic.name.clone()).with_error_code(code);
        if version >= 5 {
            return result
                .with_num_partitions(partitions)
                .with_replication_factor(1)
                .with_configs(Some(Vec::new()));
        }
        result
    });
    let results = results.collect();
    put(&CreateTopicsResponse::default().with_topics(results), version, out)
}

pub(super) fn delete_topics(
    shared: &Arc<Shared>,
    node: i32,
    version: i16,
    body: Bytes,
    outcome: &Outcome,
    out: &mut BytesMut,
) -> io::Result<()> {
    let request: DeleteTopicsRequest = get(body, version)?;
    let mut state = shared.lock();
    let results = request.topic_names.into_iter().map(|name| {
        let code = match outcome.error {
            Some(code) => code,
            None if node != CONTROLLER => 41,
            None if state.topics.remove(name.as_str()).is_some() => 0,
            None => 3,
        };
        DeletableTopicResult::default().with_name(Some(name)).with_error_code(code)
    });
    let results = results.collect();
    put(&DeleteTopicsResponse::default().with_responses(results), version, out)
}
