//! One field of an answer changed, and nothing else: what a broker with a defect, or a hostile one, sends.
//!
//! An answer is decoded, the field that is meant is set, and it is encoded again in its version. Fields are found by
//! their place, counted through the whole answer, so that a sweep needs no list of them.

use std::io;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, InitProducerIdResponse, MetadataResponse, ProduceResponse,
    SaslAuthenticateResponse, SaslHandshakeResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

/// Which field of an answer becomes what.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Edit {
    /// The number at this place, counted from 0, becomes an extreme of its type. Of a list, the first two entries count.
    Number(usize, Extreme),
    /// The text or bytes at this place, counted from 0, become this.
    Text(usize, String),
    /// The list at this place, counted from 0, is emptied.
    Empty(usize),
    /// The list at this place, counted from 0, has its first entry twice.
    Twice(usize),
    /// Bytes of the encoded answer, from this offset after its header, are overwritten: lengths too.
    Bytes(usize, Vec<u8>),
}

/// A value at which arithmetic breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are what they are called")]
pub enum Extreme {
    Zero,
    One,
    MinusOne,
    Min,
    Max,
}

impl Extreme {
    /// All that there are.
    pub const ALL: [Self; 5] = [Self::Zero, Self::One, Self::MinusOne, Self::Min, Self::Max];
}

/// Applies an edit to an answer without its header; `None` where there is no such field in this version.
pub(super) fn apply(edit: &Edit, api: ApiKey, version: i16, body: &[u8]) -> io::Result<Option<BytesMut>> {
    if let Edit::Bytes(at, bytes) = edit {
        let mut edited = BytesMut::from(body);
        let place = at.checked_add(bytes.len()).and_then(|end| edited.get_mut(*at..end));
        return Ok(place.map(|place| place.copy_from_slice(bytes)).map(|()| edited));
    }
    match api {
        ApiKey::ApiVersions => edited::<ApiVersionsResponse>(edit, version, body),
        ApiKey::Metadata => edited::<MetadataResponse>(edit, version, body),
        ApiKey::InitProducerId => edited::<InitProducerIdResponse>(edit, version, body),
        ApiKey::Produce => edited::<ProduceResponse>(edit, version, body),
        ApiKey::SaslHandshake => edited::<SaslHandshakeResponse>(edit, version, body),
        ApiKey::SaslAuthenticate => edited::<SaslAuthenticateResponse>(edit, version, body),
        _ => Ok(None),
    }
}

fn edited<T: Decodable + Encodable + Fields>(
    edit: &Edit,
    version: i16,
    body: &[u8],
) -> io::Result<Option<BytesMut>> {
    let mut answer = T::decode(&mut Bytes::copy_from_slice(body), version).map_err(io::Error::other)?;
    let mut editor = Editor { edit, numbers: 0, texts: 0, lists: 0, done: false };
    answer.visit(&mut editor);
    let mut out = BytesMut::new();
    // What this version does not have cannot be encoded in it.
    Ok((editor.done && answer.encode(&mut out, version).is_ok()).then_some(out))
}

/// Walks over an answer and changes the field that is meant.
struct Editor<'a> {
    edit: &'a Edit,
    numbers: usize,
    texts: usize,
    lists: usize,
    done: bool,
}

/// The fields of an answer, in the order of its schema.
trait Fields {
    fn visit(&mut self, editor: &mut Editor<'_>);
}

macro_rules! number {
    ($name:ident, $type:ty) => {
        fn $name(&mut self, field: &mut $type) {
            if let Edit::Number(place, extreme) = self.edit {
                if *place == self.numbers {
                    self.done = true;
                    *field = match extreme {
                        Extreme::Zero => 0,
                        Extreme::One => 1,
                        Extreme::MinusOne => -1,
                        Extreme::Min => <$type>::MIN,
                        Extreme::Max => <$type>::MAX,
                    };
                }
            }
            self.numbers += 1;
        }
    };
}

impl Editor<'_> {
    number!(i16, i16);
    number!(i32, i32);
    number!(i64, i64);

    fn said(&mut self) -> Option<String> {
        let place = self.texts;
        self.texts += 1;
        match self.edit {
            Edit::Text(at, text) if *at == place => {
                self.done = true;
                Some(text.clone())
            }
            _ => None,
        }
    }

    fn text(&mut self, field: &mut StrBytes) {
        if let Some(text) = self.said() {
            *field = StrBytes::from_string(text);
        }
    }

    fn nullable_text(&mut self, field: &mut Option<StrBytes>) {
        if let Some(text) = self.said() {
            *field = Some(StrBytes::from_string(text));
        }
    }

    /// A list itself, then its first two entries: what makes a difference between two makes none among more.
    fn list<T: Clone>(&mut self, list: &mut Vec<T>, each: impl Fn(&mut Self, &mut T)) {
        let place = self.lists;
        self.lists += 1;
        match self.edit {
            Edit::Empty(at) if *at == place => {
                self.done = true;
                list.clear();
            }
            Edit::Twice(at) if *at == place => {
                if let Some(first) = list.first().cloned() {
                    self.done = true;
                    list.push(first);
                }
            }
            _ => {}
        }
        for entry in list.iter_mut().take(2) {
            each(self, entry);
        }
    }
}

impl Fields for ApiVersionsResponse {
    fn visit(&mut self, editor: &mut Editor<'_>) {
        editor.i16(&mut self.error_code);
        editor.list(&mut self.api_keys, |editor, api| {
            editor.i16(&mut api.api_key);
            editor.i16(&mut api.min_version);
            editor.i16(&mut api.max_version);
        });
        editor.i32(&mut self.throttle_time_ms);
        editor.i64(&mut self.finalized_features_epoch);
    }
}

impl Fields for MetadataResponse {
    fn visit(&mut self, editor: &mut Editor<'_>) {
        editor.i32(&mut self.throttle_time_ms);
        editor.list(&mut self.brokers, |editor, broker| {
            editor.i32(&mut broker.node_id.0);
            editor.text(&mut broker.host);
            editor.i32(&mut broker.port);
            editor.nullable_text(&mut broker.rack);
        });
        editor.nullable_text(&mut self.cluster_id);
        editor.i32(&mut self.controller_id.0);
        editor.list(&mut self.topics, |editor, topic| {
            editor.i16(&mut topic.error_code);
            if let Some(name) = &mut topic.name {
                editor.text(&mut name.0);
            }
            editor.list(&mut topic.partitions, |editor, partition| {
                editor.i16(&mut partition.error_code);
                editor.i32(&mut partition.partition_index);
                editor.i32(&mut partition.leader_id.0);
                editor.i32(&mut partition.leader_epoch);
                for nodes in
                    [&mut partition.replica_nodes, &mut partition.isr_nodes, &mut partition.offline_replicas]
                {
                    editor.list(nodes, |editor, node| editor.i32(&mut node.0));
                }
            });
            editor.i32(&mut topic.topic_authorized_operations);
        });
        editor.i32(&mut self.cluster_authorized_operations);
        editor.i16(&mut self.error_code);
    }
}

impl Fields for InitProducerIdResponse {
    fn visit(&mut self, editor: &mut Editor<'_>) {
        editor.i32(&mut self.throttle_time_ms);
        editor.i16(&mut self.error_code);
        editor.i64(&mut self.producer_id.0);
        editor.i16(&mut self.producer_epoch);
    }
}

impl Fields for ProduceResponse {
    fn visit(&mut self, editor: &mut Editor<'_>) {
        editor.list(&mut self.responses, |editor, topic| {
            editor.text(&mut topic.name.0);
            editor.list(&mut topic.partition_responses, |editor, partition| {
                editor.i32(&mut partition.index);
                editor.i16(&mut partition.error_code);
                editor.i64(&mut partition.base_offset);
                editor.i64(&mut partition.log_append_time_ms);
                editor.i64(&mut partition.log_start_offset);
                editor.list(&mut partition.record_errors, |editor, record| {
                    editor.i32(&mut record.batch_index);
                    editor.nullable_text(&mut record.batch_index_error_message);
                });
                editor.nullable_text(&mut partition.error_message);
                editor.i32(&mut partition.current_leader.leader_id.0);
                editor.i32(&mut partition.current_leader.leader_epoch);
            });
        });
        editor.i32(&mut self.throttle_time_ms);
        editor.list(&mut self.node_endpoints, |editor, node| {
            editor.i32(&mut node.node_id.0);
            editor.text(&mut node.host);
            editor.i32(&mut node.port);
            editor.nullable_text(&mut node.rack);
        });
    }
}

impl Fields for SaslHandshakeResponse {
    fn visit(&mut self, editor: &mut Editor<'_>) {
        editor.i16(&mut self.error_code);
        editor.list(&mut self.mechanisms, |editor, name| editor.text(name));
    }
}

impl Fields for SaslAuthenticateResponse {
    fn visit(&mut self, editor: &mut Editor<'_>) {
        editor.i16(&mut self.error_code);
        editor.nullable_text(&mut self.error_message);
        if let Some(text) = editor.said() {
            self.auth_bytes = text.into_bytes().into();
        }
        editor.i64(&mut self.session_lifetime_ms);
    }
}
