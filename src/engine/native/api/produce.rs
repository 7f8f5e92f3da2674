//! `Produce`: record batches, whose records are sent from where they are.

use std::time::Duration;

use super::{ApiKey, Malformed, Parts, Reader, Request, VersionRange, Writer};
use crate::clock::millis;
use crate::compression::Compression;
use crate::engine::{Answer, PartitionBatch};
use crate::record::{BATCH_OVERHEAD, Packed, bytes_in_request, encode_batch};
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

impl Request for ProduceRequest<'_> {
    const KEY: ApiKey = ApiKey::Produce;
    const VERSIONS: VersionRange = VersionRange::new(3, 12);
    const FLEXIBLE_FROM: i16 = 9;
    type Answer = ProduceResponse;

    fn write<'a>(&'a self, writer: &mut Writer<'_, 'a>, _: i16) {
        let topics = || self.batches.chunk_by(same_topic);
        let heads = self.batches.iter().map(|batch| bytes_in_request(BATCH_OVERHEAD, batch.topic));
        // 16 more for what is in front of them.
        writer.reserve(heads.sum::<usize>() + 16);

        writer.null_string(); // no transactional id
        writer.i16(self.acks);
        writer.i32(i32::try_from(millis(self.timeout)).unwrap_or(i32::MAX));
        writer.length(topics().count());
        for topic in topics() {
            writer.string(topic[0].topic);
            writer.length(topic.len());
            for batch in topic {
                writer.i32(batch.partition);
                match batch.encoded {
                    Some(encoded) => writer.bytes(encoded),
                    // Compressed it will mostly have a length of as many bytes.
                    None => {
                        writer.bytes_in_place(batch.records.wire_bytes(), |parts| self.encode(batch, parts))
                    }
                }
                writer.tagged_fields();
            }
            writer.tagged_fields();
        }
        writer.tagged_fields();
    }

    fn read(reader: &mut Reader<'_>, version: i16) -> Result<Self::Answer, Malformed> {
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
        reader.tagged_fields()?;
        Ok(ProduceResponse { topics, throttle })
    }
}

impl<'a> ProduceRequest<'a> {
    /// Appends the batch. Records that are not compressed stay where they are.
    fn encode(&self, batch: &PartitionBatch<'a>, parts: &mut Parts<'a>) {
        match encode_batch(batch.records, batch.sequence, self.compression, parts.own()) {
            Ok(Packed::Yes) => return,
            Ok(Packed::No) => {}
            Err(problem) => self.log.compression_failed(batch.topic, &problem),
        }
        batch.records.pieces().for_each(|piece| parts.lend(piece));
    }
}

fn same_topic(a: &PartitionBatch<'_>, b: &PartitionBatch<'_>) -> bool {
    std::sync::Arc::ptr_eq(a.topic, b.topic)
}
