//! `Produce`: record batches, encoded straight into the buffer of their request.

use std::time::Duration;

use super::{Malformed, Reader, Writer, request_body};
use crate::clock::millis;
use crate::compression::Compression;
use crate::engine::{Answer, PartitionBatch};
use crate::record::{BATCH_OVERHEAD, bytes_in_request, encode_batch};
use crate::telemetry::Log;

/// The last offset at which a batch can begin, and every one of its records still has one.
const MAX_OFFSET: i64 = i64::MAX - u32::MAX as i64;

/// Batches for one broker, at most one per partition.
pub(crate) struct ProduceRequest<'a> {
    pub(crate) acks: i16,
    /// How long the broker may wait for its replicas.
    pub(crate) timeout: Duration,
    pub(crate) compression: Compression,
    pub(crate) log: &'a Log,
    /// Topics stand together.
    pub(crate) batches: &'a [PartitionBatch<'a>],
}

#[derive(Debug)]
pub(crate) struct ProduceResponse {
    pub(crate) topics: Vec<(String, Vec<(i32, Answer)>)>,
    pub(crate) throttle: Duration,
}

request_body!(ProduceRequest<'_> => ProduceResponse, Produce, 3..=12, flexible from 9);

impl ProduceRequest<'_> {
    fn write(&self, writer: &mut Writer<'_>, _: i16) {
        let topics = || self.batches.chunk_by(same_topic);
        let bytes =
            self.batches.iter().map(|batch| bytes_in_request(self.expected_bytes(batch), batch.topic));
        // 16 more for what is in front of them: a batch must not be moved for a few bytes.
        writer.reserve(bytes.sum::<usize>() + 16);

        writer.null_string(); // no transactional id
        writer.i16(self.acks);
        writer.i32(i32::try_from(millis(self.timeout)).unwrap_or(i32::MAX));
        writer.length(topics().count());
        for topic in topics() {
            writer.string(topic[0].topic);
            writer.length(topic.len());
            for batch in topic {
                writer.i32(batch.partition);
                // Compressed it will mostly have a length of as many bytes.
                let expected = batch.encoded.map_or_else(|| batch.records.wire_bytes(), <[u8]>::len);
                writer.bytes_in_place(expected, |out| match &batch.encoded {
                    Some(encoded) => out.extend_from_slice(encoded),
                    None => self.encode(batch, out),
                });
                writer.tagged_fields();
            }
            writer.tagged_fields();
        }
    }

    fn encode(&self, batch: &PartitionBatch<'_>, out: &mut Vec<u8>) {
        let problem = encode_batch(batch.records, batch.sequence, self.compression, out);
        if let Some(problem) = problem {
            self.log.compression_failed(batch.topic, &problem);
        }
    }

    /// Bytes of a batch in the request, as far as they are known.
    fn expected_bytes(&self, batch: &PartitionBatch<'_>) -> usize {
        match &batch.encoded {
            Some(encoded) => encoded.len(),
            None if self.compression == Compression::None => batch.records.wire_bytes(),
            None => BATCH_OVERHEAD,
        }
    }
}

fn same_topic(a: &PartitionBatch<'_>, b: &PartitionBatch<'_>) -> bool {
    std::sync::Arc::ptr_eq(a.topic, b.topic)
}

impl ProduceResponse {
    fn read(reader: &mut Reader<'_>, version: i16) -> Result<Self, Malformed> {
        let topics = reader.array(3, |r| {
            let name = r.string()?;
            let partitions = r.array(22, |r| {
                let index = r.i32()?;
                let error_code = r.i16()?;
                let base_offset = r.i64()?;
                let append_time = r.i64()?;
                if version >= 5 {
                    let _log_start_offset = r.i64()?;
                }
                let (mut bad_records, mut detail) = (Vec::new(), None);
                if version >= 8 {
                    bad_records = r.array(6, |r| {
                        let bad = (r.i32()? as u32, r.nullable_string()?);
                        r.tagged_fields()?;
                        Ok(bad)
                    })?;
                    detail = r.nullable_string()?;
                }
                r.tagged_fields()?;
                let answer = Answer {
                    error_code,
                    base_offset: (0..=MAX_OFFSET).contains(&base_offset).then_some(base_offset),
                    appended: base_offset >= 0,
                    append_time: (append_time >= 0).then_some(append_time),
                    detail,
                    names_bad_records: version >= 8,
                    bad_records,
                };
                Ok((index, answer))
            })?;
            r.tagged_fields()?;
            Ok((name, partitions))
        })?;
        let throttle = Duration::from_millis(u64::try_from(reader.i32()?).unwrap_or(0));
        Ok(Self { topics, throttle })
    }
}
