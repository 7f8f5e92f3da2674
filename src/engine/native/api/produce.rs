//! `Produce`: record batches, whose records are sent from where they are.

use std::sync::Arc;
use std::time::Duration;

use super::{ApiKey, Broker, Malformed, Parts, Reader, Request, VersionRange, Writer};
use crate::clock::millis;
use crate::engine::{Answer, Leadership, NodeId, PartitionBatch, TopicId};
use crate::record::{BATCH_OVERHEAD, Encoded, bytes_in_request, encode_head};

/// The last offset at which a batch can begin, and every one of its records still has one.
const MAX_OFFSET: i64 = i64::MAX - u32::MAX as i64;

/// Batches for one broker, at most one per partition.
pub(crate) struct ProduceRequest<'a> {
    pub(crate) acks: i16,
    /// How long the broker may wait for its replicas.
    pub(crate) timeout: Duration,
    /// Topics stand together.
    pub(crate) batches: &'a [PartitionBatch<'a>],
}

#[derive(Debug)]
pub(crate) struct ProduceResponse {
    pub(crate) topics: Vec<(TopicKey, Vec<(i32, Answer)>)>,
    pub(crate) throttle: Duration,
    /// Addresses of the leaders that its answers name (KIP-951).
    pub(crate) brokers: Vec<Broker>,
}

/// What an answer calls a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TopicKey {
    /// Up to version 12.
    Name(String),
    /// From version 13 on (KIP-516).
    Id(Option<TopicId>),
}

/// The first version whose answers say who leads now (KIP-951).
const LEADERS: i16 = 10;
/// The first version that names topics by their ids (KIP-516).
const IDS: i16 = 13;

impl Request for ProduceRequest<'_> {
    const KEY: ApiKey = ApiKey::Produce;
    const VERSIONS: VersionRange = VersionRange::new(3, 13);
    const FLEXIBLE_FROM: i16 = 9;
    type Answer = ProduceResponse;

    fn newest(&self) -> i16 {
        let known = self.batches.iter().all(|batch| batch.topic_id.is_some());
        if known { Self::VERSIONS.max } else { IDS - 1 }
    }

    fn write<'a>(&'a self, writer: &mut Writer<'_, 'a>, version: i16) {
        let topics = || self.batches.chunk_by(same_topic);
        let heads = self.batches.iter().map(|batch| bytes_in_request(BATCH_OVERHEAD, batch.topic));
        // 16 more for what is in front of them.
        writer.reserve(heads.sum::<usize>() + 16);

        writer.null_string(); // no transactional id
        writer.i16(self.acks);
        writer.i32(i32::try_from(millis(self.timeout)).unwrap_or(i32::MAX));
        writer.length(topics().count());
        for topic in topics() {
            match version >= IDS {
                true => writer.u128(topic[0].topic_id.map_or(0, TopicId::raw)),
                false => writer.string(topic[0].topic),
            }
            writer.length(topic.len());
            for batch in topic {
                writer.i32(batch.partition);
                let len = batch.encoded.map_or_else(|| batch.records.wire_bytes(), Encoded::len);
                writer.length(len);
                put(batch, writer.parts());
                writer.tagged_fields();
            }
            writer.tagged_fields();
        }
        writer.tagged_fields();
    }

    fn read(reader: &mut Reader<'_>, version: i16) -> Result<Self::Answer, Malformed> {
        let topics = reader.array(3, |r| {
            let topic = match version >= IDS {
                true => TopicKey::Id(TopicId::new(r.u128()?)),
                false => TopicKey::Name(r.string()?),
            };
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
                let leader = match version >= LEADERS {
                    true => r.tagged_field(0, leader)?,
                    false => r.tagged_fields().map(|()| None)?,
                };
                let answer = Answer {
                    error_code,
                    base_offset: (0..=MAX_OFFSET).contains(&base_offset).then_some(base_offset),
                    appended: base_offset >= 0,
                    append_time: (append_time >= 0).then_some(append_time),
                    detail,
                    names_bad_records: version >= 8,
                    bad_records,
                    leader: leader.flatten(),
                };
                Ok((index, answer))
            })?;
            r.tagged_fields()?;
            Ok((topic, partitions))
        })?;
        let throttle = Duration::from_millis(u64::try_from(reader.i32()?).unwrap_or(0));
        let brokers = match version >= LEADERS {
            true => reader.tagged_field(0, |r| r.array(11, Broker::read))?,
            false => reader.tagged_fields().map(|()| None)?,
        };
        Ok(ProduceResponse { topics, throttle, brokers: brokers.unwrap_or_default() })
    }
}

/// Appends the batch. Records that are not compressed stay where they are.
fn put<'a>(batch: &PartitionBatch<'a>, parts: &mut Parts<'a>) {
    if let Some(encoded) = batch.encoded {
        return encoded.pieces(batch.records).for_each(|piece| parts.lend(piece));
    }
    encode_head(batch.records, batch.sequence, parts.own());
    batch.records.pieces().for_each(|piece| parts.lend(piece));
}

/// Who leads a partition by now; `None` where the broker does not know.
fn leader(r: &mut Reader<'_>) -> Result<Option<Leadership>, Malformed> {
    let (node, epoch) = (r.i32()?, r.i32()?);
    r.tagged_fields()?;
    let node = (node >= 0).then(|| NodeId(i64::from(node)));
    Ok(node.filter(|_| epoch >= 0).map(|node| Leadership { node: Some(node), epoch }))
}

fn same_topic(a: &PartitionBatch<'_>, b: &PartitionBatch<'_>) -> bool {
    Arc::ptr_eq(a.topic, b.topic) && a.topic_id == b.topic_id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::native::net::frame::frame;
    use crate::message::Message;
    use crate::record::{Records, Stamp};

    #[test]
    fn records_are_sent_from_where_they_are() {
        let mut records = Records::default();
        let stamp = Stamp { timestamp: 1, expires_after: u32::MAX };
        let long = bytes::Bytes::from(vec![b'v'; 20_000]);
        for value in [bytes::Bytes::from_static(&[b'x'; 100]), long.clone()] {
            assert!(records.push(&Message::new(value), stamp, usize::MAX));
        }
        let topic = Arc::from("t");
        let batch = PartitionBatch {
            topic: &topic,
            topic_id: None,
            partition: 0,
            records: &records,
            sequence: None,
            encoded: None,
        };
        let request = ProduceRequest { acks: -1, timeout: Duration::from_secs(1), batches: &[batch] };
        let frame = frame(&request, 9, 1, "us");
        let places: Vec<_> = frame.iter().map(<[u8]>::as_ptr).collect();
        let own: usize = frame
            .iter()
            .filter(|part| !records.pieces().any(|piece| piece.as_ptr() == part.as_ptr()))
            .map(<[u8]>::len)
            .sum();
        assert!(records.pieces().all(|piece| places.contains(&piece.as_ptr())));
        assert!(places.contains(&long.as_ptr()), "not even copied into its batch");
        assert!(own < 200, "{own} bytes beside the records");
    }
}
