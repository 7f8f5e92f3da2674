//! `Metadata` of the topics in use, never of all.

use std::io::Cursor;
use std::sync::Arc;

use rskafka::protocol::api_version::ApiVersion;
use rskafka::protocol::messages::{
    ReadVersionedError, ReadVersionedType, WriteVersionedError, WriteVersionedType,
};

use super::{Reader, put_string, request_body, version};

/// Asks for these topics, and for the brokers.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine::messenger) struct MetadataRequest<'a> {
    pub(in crate::engine::messenger) topics: &'a [Arc<str>],
    pub(in crate::engine::messenger) allow_auto_topic_creation: bool,
}

#[derive(Debug)]
pub(in crate::engine::messenger) struct MetadataResponse {
    pub(in crate::engine::messenger) brokers: Vec<Broker>,
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
    pub(in crate::engine::messenger) partitions: Vec<Partition>,
}

#[derive(Debug)]
pub(in crate::engine::messenger) struct Partition {
    pub(in crate::engine::messenger) index: i32,
    /// -1 where there is none.
    pub(in crate::engine::messenger) leader: i32,
}

request_body!(MetadataRequest<'_> => MetadataResponse, Metadata, 4..=7, flexible from 9);

impl WriteVersionedType<Vec<u8>> for MetadataRequest<'_> {
    fn write_versioned(&self, out: &mut Vec<u8>, _: ApiVersion) -> Result<(), WriteVersionedError> {
        out.extend_from_slice(&(self.topics.len() as i32).to_be_bytes());
        for topic in self.topics {
            put_string(out, topic);
        }
        out.push(u8::from(self.allow_auto_topic_creation));
        Ok(())
    }
}

impl ReadVersionedType<Cursor<Vec<u8>>> for MetadataResponse {
    fn read_versioned(
        cursor: &mut Cursor<Vec<u8>>,
        api_version: ApiVersion,
    ) -> Result<Self, ReadVersionedError> {
        let mut reader = Reader::new(cursor);
        let _throttle_ms = reader.i32()?;
        let brokers = reader.array(12, |r| {
            let broker = Broker { id: r.i32()?, host: r.string()?, port: r.i32()? };
            let _rack = r.nullable_string()?;
            Ok(broker)
        })?;
        let _cluster_id = reader.nullable_string()?;
        let _controller = reader.i32()?;
        let topics = reader.array(9, |r| {
            Ok(Topic {
                error_code: r.i16()?,
                name: r.string()?,
                partitions: {
                    let _internal = r.bool()?;
                    r.array(18, |r| {
                        let _error_code = r.i16()?;
                        let partition = Partition { index: r.i32()?, leader: r.i32()? };
                        if api_version >= version(7) {
                            let _leader_epoch = r.i32()?;
                        }
                        let _replicas = r.array(4, Reader::i32)?;
                        let _in_sync = r.array(4, Reader::i32)?;
                        if api_version >= version(5) {
                            let _offline = r.array(4, Reader::i32)?;
                        }
                        Ok(partition)
                    })?
                },
            })
        })?;
        Ok(Self { brokers, topics })
    }
}
