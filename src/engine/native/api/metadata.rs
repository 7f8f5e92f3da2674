//! `Metadata` of the topics in use, never of all.

use std::sync::Arc;

use super::{ApiKey, Malformed, Reader, Request, VersionRange, Writer};
use crate::engine::TopicId;

/// Asks for these topics, and for the brokers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MetadataRequest<'a> {
    pub(crate) topics: &'a [Arc<str>],
    pub(crate) allow_auto_topic_creation: bool,
}

#[derive(Debug)]
pub(crate) struct MetadataResponse {
    /// Of the answer as a whole; from version 13 on (KIP-1102).
    pub(crate) error_code: i16,
    pub(crate) brokers: Vec<Broker>,
    /// `None` where the broker does not know it.
    pub(crate) cluster_id: Option<String>,
    pub(crate) topics: Vec<Topic>,
}

#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) id: i32,
    pub(crate) host: String,
    pub(crate) port: i32,
    pub(crate) rack: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) error_code: i16,
    pub(crate) name: String,
    /// From version 10 on.
    pub(crate) id: Option<TopicId>,
    pub(crate) partitions: Vec<Partition>,
}

#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) index: i32,
    /// -1 where there is none.
    pub(crate) leader: i32,
    /// -1 where it is not known; from version 7 on.
    pub(crate) leader_epoch: i32,
}

impl Request for MetadataRequest<'_> {
    const KEY: ApiKey = ApiKey::Metadata;
    const VERSIONS: VersionRange = VersionRange::new(4, 13);
    const FLEXIBLE_FROM: i16 = 9;
    type Answer = MetadataResponse;

    fn write<'a>(&'a self, writer: &mut Writer<'_, 'a>, version: i16) {
        writer.length(self.topics.len());
        for topic in self.topics {
            if version >= 10 {
                writer.u128(0); // requested by name
            }
            writer.string(topic);
            writer.tagged_fields();
        }
        writer.bool(self.allow_auto_topic_creation);
        if (8..=10).contains(&version) {
            writer.bool(false); // no authorized operations of the cluster
        }
        if version >= 8 {
            writer.bool(false); // nor of the topics
        }
        writer.tagged_fields();
    }

    fn read(reader: &mut Reader<'_>, version: i16) -> Result<Self::Answer, Malformed> {
        let _throttle_ms = reader.i32()?;
        let brokers = reader.array(11, Broker::read)?;
        let cluster_id = reader.nullable_string()?;
        let _controller = reader.i32()?;
        let topics = reader.array(5, |r| {
            let error_code = r.i16()?;
            // Null where a topic was requested by an id that is not known, which is not done here.
            let name = r.nullable_string()?.unwrap_or_default();
            let id = match version >= 10 {
                true => TopicId::new(r.u128()?),
                false => None,
            };
            let _internal = r.bool()?;
            let partitions = r.array(13, |r| partition(r, version))?;
            if version >= 8 {
                let _authorized_operations = r.i32()?;
            }
            r.tagged_fields()?;
            Ok(Topic { error_code, name, id, partitions })
        })?;
        if (8..=10).contains(&version) {
            let _authorized_operations = reader.i32()?;
        }
        let error_code = if version >= 13 { reader.i16()? } else { 0 };
        reader.tagged_fields()?;
        Ok(MetadataResponse { error_code, brokers, cluster_id, topics })
    }
}

impl Broker {
    /// In answers to `Produce` they look the same.
    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (id, host, port) = (r.i32()?, r.string()?, r.i32()?);
        let broker = Self { id, host, port, rack: r.nullable_string()? };
        r.tagged_fields()?;
        Ok(broker)
    }
}

fn partition(r: &mut Reader<'_>, version: i16) -> Result<Partition, Malformed> {
    let _error_code = r.i16()?;
    let (index, leader) = (r.i32()?, r.i32()?);
    let leader_epoch = if version >= 7 { r.i32()? } else { -1 };
    let _replicas = r.array(4, Reader::i32)?;
    let _in_sync = r.array(4, Reader::i32)?;
    if version >= 5 {
        let _offline = r.array(4, Reader::i32)?;
    }
    r.tagged_fields()?;
    Ok(Partition { index, leader, leader_epoch })
}
