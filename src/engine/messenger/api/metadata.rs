//! `Metadata` of the topics in use, never of all.

use std::io::Cursor;
use std::sync::Arc;

use rskafka::protocol::api_version::ApiVersion;
use rskafka::protocol::messages::{
    ReadVersionedError, ReadVersionedType, WriteVersionedError, WriteVersionedType,
};

use super::reader::PREALLOCATED;
use super::{Malformed, Reader, put_string, request_body, version};
use crate::engine::TopicId;

/// Asks for these topics, and for the brokers.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine::messenger) struct MetadataRequest<'a> {
    pub(in crate::engine::messenger) topics: &'a [Arc<str>],
    pub(in crate::engine::messenger) allow_auto_topic_creation: bool,
}

#[derive(Debug)]
pub(in crate::engine::messenger) struct MetadataResponse {
    pub(in crate::engine::messenger) brokers: Vec<Broker>,
    /// `None` where the broker does not know it.
    pub(in crate::engine::messenger) cluster_id: Option<String>,
    pub(in crate::engine::messenger) topics: Vec<Topic>,
}

#[derive(Debug)]
pub(in crate::engine::messenger) struct Broker {
    pub(in crate::engine::messenger) id: i32,
    pub(in crate::engine::messenger) host: String,
    pub(in crate::engine::messenger) port: i32,
}

#[derive(Debug)]
pub(in crate::engine::messenger) struct Topic {
    pub(in crate::engine::messenger) error_code: i16,
    pub(in crate::engine::messenger) name: String,
    /// From version 10 on.
    pub(in crate::engine::messenger) id: Option<TopicId>,
    pub(in crate::engine::messenger) partitions: Vec<Partition>,
}

#[derive(Debug)]
pub(in crate::engine::messenger) struct Partition {
    pub(in crate::engine::messenger) index: i32,
    /// -1 where there is none.
    pub(in crate::engine::messenger) leader: i32,
    /// -1 where it is not known; from version 7 on.
    pub(in crate::engine::messenger) leader_epoch: i32,
}

request_body!(MetadataRequest<'_> => MetadataResponse, Metadata, 4..=12, flexible from 9);

const NO_TAGGED_FIELDS: u8 = 0;

impl WriteVersionedType<Vec<u8>> for MetadataRequest<'_> {
    fn write_versioned(&self, out: &mut Vec<u8>, api_version: ApiVersion) -> Result<(), WriteVersionedError> {
        let flexible = api_version >= version(9);
        if flexible {
            put_compact_len(out, self.topics.len());
        } else {
            out.extend_from_slice(&(self.topics.len() as i32).to_be_bytes());
        }
        for topic in self.topics {
            if api_version >= version(10) {
                out.extend_from_slice(&[0; 16]); // asked for by name
            }
            if flexible {
                put_compact_len(out, topic.len());
                out.extend_from_slice(topic.as_bytes());
                out.push(NO_TAGGED_FIELDS);
            } else {
                put_string(out, topic);
            }
        }
        out.push(u8::from(self.allow_auto_topic_creation));
        if (version(8)..=version(10)).contains(&api_version) {
            out.push(0); // no authorized operations of the cluster
        }
        if api_version >= version(8) {
            out.push(0); // nor of the topics
        }
        if flexible {
            out.push(NO_TAGGED_FIELDS);
        }
        Ok(())
    }
}

/// The length of a string or an array in flexible versions: one more, as a varint.
fn put_compact_len(out: &mut Vec<u8>, len: usize) {
    let mut rest = len + 1;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

impl ReadVersionedType<Cursor<Vec<u8>>> for MetadataResponse {
    fn read_versioned(
        cursor: &mut Cursor<Vec<u8>>,
        api_version: ApiVersion,
    ) -> Result<Self, ReadVersionedError> {
        let mut reader = Fields { reader: Reader::new(cursor), flexible: api_version >= version(9) };
        let _throttle_ms = reader.reader.i32()?;
        let brokers = reader.array(11, |r| {
            let broker = Broker { id: r.reader.i32()?, host: r.string()?, port: r.reader.i32()? };
            let _rack = r.nullable_string()?;
            r.tagged_fields()?;
            Ok(broker)
        })?;
        let cluster_id = reader.nullable_string()?;
        let _controller = reader.reader.i32()?;
        let topics = reader.array(5, |r| {
            let error_code = r.reader.i16()?;
            // Null where a topic was asked for by an id that is not known, which is not done here.
            let name = r.nullable_string()?.unwrap_or_default();
            let id = match api_version >= version(10) {
                true => TopicId::new(r.reader.u128()?),
                false => None,
            };
            let _internal = r.reader.bool()?;
            let partitions = r.array(13, |r| partition(r, api_version))?;
            if api_version >= version(8) {
                let _authorized_operations = r.reader.i32()?;
            }
            r.tagged_fields()?;
            Ok(Topic { error_code, name, id, partitions })
        })?;
        if (version(8)..=version(10)).contains(&api_version) {
            let _authorized_operations = reader.reader.i32()?;
        }
        reader.tagged_fields()?;
        Ok(Self { brokers, cluster_id, topics })
    }
}

fn partition(r: &mut Fields<'_>, api_version: ApiVersion) -> Result<Partition, Malformed> {
    let _error_code = r.reader.i16()?;
    let (index, leader) = (r.reader.i32()?, r.reader.i32()?);
    let leader_epoch = if api_version >= version(7) { r.reader.i32()? } else { -1 };
    let _replicas = r.array(4, |r| r.reader.i32())?;
    let _in_sync = r.array(4, |r| r.reader.i32())?;
    if api_version >= version(5) {
        let _offline = r.array(4, |r| r.reader.i32())?;
    }
    r.tagged_fields()?;
    Ok(Partition { index, leader, leader_epoch })
}

/// Reads what flexible versions write in another way than those before.
struct Fields<'a> {
    reader: Reader<'a>,
    flexible: bool,
}

impl<'a> Fields<'a> {
    fn nullable_string(&mut self) -> Result<Option<String>, Malformed> {
        match self.flexible {
            true => self.reader.compact_nullable_string(),
            false => self.reader.nullable_string(),
        }
    }

    fn string(&mut self) -> Result<String, Malformed> {
        Ok(self.nullable_string()?.unwrap_or_default())
    }

    fn tagged_fields(&mut self) -> Result<(), Malformed> {
        if self.flexible { self.reader.tagged_fields() } else { Ok(()) }
    }

    /// An array whose elements take at least `least` bytes each.
    fn array<T>(
        &mut self,
        least: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let len = match self.flexible {
            true => self.reader.compact_len(least)?,
            false => self.reader.len(least)?,
        };
        let mut elements = Vec::with_capacity(len.min(PREALLOCATED));
        for _ in 0..len {
            elements.push(element(self)?);
        }
        Ok(elements)
    }
}
