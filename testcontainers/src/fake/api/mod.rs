//! The requests that the cluster understands.

mod admin;
mod fetch;
mod metadata;
mod produce;
pub(super) mod sasl;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, InitProducerIdRequest, InitProducerIdResponse, ProducerId,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

pub(super) use self::metadata::topics;
pub(super) use self::produce::batches;
use super::state::Shared;

/// What is supported, and in which versions: those of Apache Kafka 4.1.
const APIS: &[(ApiKey, i16, i16)] = &[
    (ApiKey::Produce, 3, 13),
    (ApiKey::Fetch, 4, 12),
    (ApiKey::ListOffsets, 1, 7),
    (ApiKey::Metadata, 0, 13),
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::CreateTopics, 2, 7),
    (ApiKey::DeleteTopics, 1, 5),
    (ApiKey::InitProducerId, 0, 5),
    (ApiKey::SaslHandshake, 1, 1),
    (ApiKey::SaslAuthenticate, 0, 2),
];

/// What one broker offers, by API: its versions.
pub(super) type Offers = BTreeMap<i16, (i16, i16)>;

/// All that this cluster understands.
pub(super) fn all() -> Offers {
    APIS.iter().map(|(api, min, max)| (*api as i16, (*min, *max))).collect()
}

/// How a request is to be answered where a script says so.
pub(super) struct Outcome {
    /// Refuse it with this code.
    pub(super) error: Option<i16>,
    /// Apply it, and answer with this code all the same.
    pub(super) reported: Option<i16>,
    pub(super) throttle_ms: i32,
}

pub(super) fn supports(shared: &Shared, node: i32, api: ApiKey, version: i16) -> bool {
    let offered = |(min, max): &(i16, i16)| (*min..=*max).contains(&version);
    all().get(&(api as i16)).is_some_and(offered)
        && shared.lock().nodes[node as usize].offers.get(&(api as i16)).is_some_and(offered)
}

pub(super) fn versions(shared: &Shared, node: i32, error: i16) -> ApiVersionsResponse {
    let state = shared.lock();
    let keys = state.nodes[node as usize].offers.iter().map(|(key, (min, max))| {
        ApiVersion::default().with_api_key(*key).with_min_version(*min).with_max_version(*max)
    });
    ApiVersionsResponse::default().with_error_code(error).with_api_keys(keys.collect())
}

/// Applies a request and writes its answer. `false` where none is due.
pub(super) async fn handle(
    shared: &Arc<Shared>,
    node: i32,
    api: ApiKey,
    version: i16,
    body: Bytes,
    outcome: &Outcome,
    out: &mut BytesMut,
) -> io::Result<bool> {
    match api {
        ApiKey::ApiVersions => put(&versions(shared, node, outcome.code()), version, out)?,
        ApiKey::Metadata => metadata::handle(shared, version, body, outcome, out)?,
        ApiKey::Produce => return produce::handle(shared, node, version, body, outcome, out),
        ApiKey::Fetch => fetch::fetch(shared, node, version, body, outcome, out).await?,
        ApiKey::ListOffsets => fetch::list_offsets(shared, node, version, body, outcome, out)?,
        ApiKey::CreateTopics => admin::create_topics(shared, node, version, body, outcome, out)?,
        ApiKey::DeleteTopics => admin::delete_topics(shared, node, version, body, outcome, out)?,
        ApiKey::InitProducerId => {
            let _request: InitProducerIdRequest = get(body, version)?;
            let id = {
                let mut state = shared.lock();
                state.next_producer_id += 1;
                state.next_producer_id
            };
            let code = outcome.code();
            let answer = InitProducerIdResponse::default()
                .with_throttle_time_ms(outcome.throttle_ms)
                .with_error_code(code)
                .with_producer_id(ProducerId(if code == 0 { id } else { -1 }))
                .with_producer_epoch(if code == 0 { 0 } else { -1 });
            put(&answer, version, out)?;
        }
        _ => return Err(io::ErrorKind::Unsupported.into()),
    }
    Ok(true)
}

impl Outcome {
    fn code(&self) -> i16 {
        self.error.or(self.reported).unwrap_or(0)
    }
}

/// Reads a request that fills its frame, as Kafka demands.
fn get<T: Decodable>(mut body: Bytes, version: i16) -> io::Result<T> {
    let request = T::decode(&mut body, version).map_err(io::Error::other)?;
    match body.is_empty() {
        true => Ok(request),
        false => Err(io::Error::other("bytes are left at the end of a request")),
    }
}

fn put<T: Encodable>(answer: &T, version: i16, out: &mut BytesMut) -> io::Result<()> {
    answer.encode(out, version).map_err(io::Error::other)
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
