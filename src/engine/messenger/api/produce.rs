//! `Produce`: record batches, encoded straight into the buffer of their request.

use std::io::Cursor;
use std::time::Duration;

use rskafka::protocol::api_version::ApiVersion;
use rskafka::protocol::messages::{
    ReadVersionedError, ReadVersionedType, WriteVersionedError, WriteVersionedType,
};

use super::{Reader, put_string, request_body, version};
use crate::Compression;
use crate::engine::Answer;
use crate::engine::Parcel;
use crate::logging::Log;
use crate::record::{BATCH_OVERHEAD, encode_batch};

/// The last offset at which a batch can begin, and every one of its records still has one.
const MAX_OFFSET: i64 = i64::MAX - u32::MAX as i64;

/// Batches for one broker, at most one per partition.
#[derive(Debug)]
pub(in crate::engine::messenger) struct ProduceRequest<'a> {
    pub(in crate::engine::messenger) acks: i16,
    /// How long the broker may wait for its replicas.
    pub(in crate::engine::messenger) timeout: Duration,
    pub(in crate::engine::messenger) compression: Compression,
    pub(in crate::engine::messenger) log: &'a Log,
    /// Topics stand together.
    pub(in crate::engine::messenger) parcels: &'a [Parcel],
}

#[derive(Debug)]
pub(in crate::engine::messenger) struct ProduceResponse {
    pub(in crate::engine::messenger) topics: Vec<(String, Vec<(i32, Answer)>)>,
    pub(in crate::engine::messenger) throttle: Duration,
}

request_body!(ProduceRequest<'_> => ProduceResponse, Produce, 3..=8, flexible from 9);

impl WriteVersionedType<Vec<u8>> for ProduceRequest<'_> {
    fn write_versioned(&self, out: &mut Vec<u8>, _: ApiVersion) -> Result<(), WriteVersionedError> {
        let topics = || self.parcels.chunk_by(same_topic);
        let bytes: usize = self.parcels.iter().map(|parcel| self.expected_bytes(parcel) + 8).sum();
        let names: usize = topics().map(|t| t[0].partition.topic().len() + 6).sum();
        out.reserve(bytes + names + 16);

        out.extend_from_slice(&(-1i16).to_be_bytes()); // no transactional id
        out.extend_from_slice(&self.acks.to_be_bytes());
        out.extend_from_slice(&millis(self.timeout).to_be_bytes());
        out.extend_from_slice(&(topics().count() as i32).to_be_bytes());
        for topic in topics() {
            put_string(out, topic[0].partition.topic());
            out.extend_from_slice(&(topic.len() as i32).to_be_bytes());
            for parcel in topic {
                out.extend_from_slice(&parcel.partition.index().to_be_bytes());
                let size_at = out.len();
                out.extend_from_slice(&[0; 4]);
                match &parcel.encoded {
                    Some(encoded) => out.extend_from_slice(encoded),
                    None => self.encode(parcel, out),
                }
                let size = (out.len() - size_at - 4) as i32;
                out[size_at..][..4].copy_from_slice(&size.to_be_bytes());
            }
        }
        Ok(())
    }
}

impl ProduceRequest<'_> {
    fn encode(&self, parcel: &Parcel, out: &mut Vec<u8>) {
        let problem = encode_batch(parcel.batch.records(), parcel.batch.sequence, self.compression, out);
        if let Some(problem) = problem {
            self.log.compression_failed(parcel.partition.topic(), &problem);
        }
    }

    /// Bytes of a batch in the request, as far as they can be told.
    fn expected_bytes(&self, parcel: &Parcel) -> usize {
        match &parcel.encoded {
            Some(encoded) => encoded.len(),
            None if self.compression == Compression::None => parcel.batch.wire_bytes(),
            None => BATCH_OVERHEAD,
        }
    }
}

fn same_topic(a: &Parcel, b: &Parcel) -> bool {
    std::sync::Arc::ptr_eq(a.partition.topic(), b.partition.topic())
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

impl ReadVersionedType<Cursor<Vec<u8>>> for ProduceResponse {
    fn read_versioned(
        cursor: &mut Cursor<Vec<u8>>,
        api_version: ApiVersion,
    ) -> Result<Self, ReadVersionedError> {
        let mut reader = Reader::new(cursor);
        let topics = reader.array(6, |r| {
            let name = r.string()?;
            let partitions = r.array(22, |r| {
                let index = r.i32()?;
                let error_code = r.i16()?;
                let base_offset = r.i64()?;
                let append_time = r.i64()?;
                if api_version >= version(5) {
                    let _log_start_offset = r.i64()?;
                }
                let (mut bad_records, mut detail) = (Vec::new(), None);
                if api_version >= version(8) {
                    bad_records = r.array(6, |r| Ok((r.i32()? as u32, r.nullable_string()?)))?;
                    detail = r.nullable_string()?;
                }
                let answer = Answer {
                    error_code,
                    base_offset: (0..=MAX_OFFSET).contains(&base_offset).then_some(base_offset),
                    appended: base_offset >= 0,
                    append_time: (append_time >= 0).then_some(append_time),
                    detail,
                    bad_records,
                };
                Ok((index, answer))
            })?;
            Ok((name, partitions))
        })?;
        let throttle = Duration::from_millis(u64::try_from(reader.i32()?).unwrap_or(0));
        Ok(Self { topics, throttle })
    }
}
