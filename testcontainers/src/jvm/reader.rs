//! Reading back by clients that share no code with the producer.

use std::io;

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, FetchRequest, ListOffsetsRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::java_reader::JavaReader;
use super::wire::Wire;
use super::{JvmCluster, JvmError, Result, admin};
use crate::StoredRecord;
use crate::decode::{self, BatchHeader};

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Kafka's own Java consumer, from the same jars. Always there where a cluster is.
    Java,
    /// kcat, on librdkafka, where it is installed.
    Kcat,
}

/// What kcat prints of a record: fields with their lengths, so that any bytes survive.
const KCAT_FORMAT: &str = "%p %o %T %K %S %h\n%k%s\n";

impl Reader {
    /// Whether it can be used here.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Java => true,
            Self::Kcat => std::process::Command::new("kcat").arg("-V").output().is_ok(),
        }
    }
}

impl JvmCluster {
    /// Reads a whole topic, sorted by partition and offset.
    ///
    /// kcat's headers are not read: its output does not keep them apart.
    ///
    /// # Errors
    ///
    /// If the reader fails.
    pub async fn read(&self, reader: Reader, topic: &str) -> Result<Vec<StoredRecord>> {
        let mut records = match reader {
            Reader::Java => self.read_by_java(topic).await?,
            Reader::Kcat => read_by_kcat(&self.bootstrap(), topic).await?,
        };
        records.sort_by_key(|record| (record.partition, record.offset));
        Ok(records)
    }

    async fn read_by_java(&self, topic: &str) -> Result<Vec<StoredRecord>> {
        let mut slot = self.java_reader.lock().await;
        // Taken out while it reads: one that failed, or whose caller has gone, is not used again.
        let mut reader = match slot.take() {
            Some(reader) => reader,
            None => JavaReader::start(&self.data, &self.libs, &self.bootstrap())?,
        };
        let lines = reader.read(topic).await?;
        *slot = Some(reader);
        lines.iter().map(|line| of_java(topic, line).ok_or_else(|| garbled(line))).collect()
    }

    /// Reads a whole topic through the Fetch API: for checks of many records, in place of a JVM's start.
    ///
    /// # Errors
    ///
    /// If a leader does not answer, or a batch does not decode.
    pub async fn read_fast(&self, topic: &str) -> Result<Vec<StoredRecord>> {
        read(&self.bootstrap(), topic).await
    }

    /// The offset after the last record of each partition.
    ///
    /// # Errors
    ///
    /// If a leader does not answer.
    pub async fn high_watermarks(&self, topic: &str) -> Result<Vec<i64>> {
        let mut ends = Vec::new();
        for (partition, leader) in self.leaders(topic).await?.into_iter().enumerate() {
            let leader = leader.unwrap_or(1);
            let mut wire = Wire::connect(&self.bootstrap()[leader as usize - 1]).await?;
            ends.push(end_of(&mut wire, topic, partition as i32).await?);
        }
        Ok(ends)
    }
}

/// Reads a whole topic of any cluster by kcat, sorted by partition and offset. Headers are not read: kcat's output does
/// not keep them apart.
///
/// # Errors
///
/// If kcat is not installed, or fails.
pub async fn read_by_kcat(bootstrap: &[String], topic: &str) -> Result<Vec<StoredRecord>> {
    let output = tokio::process::Command::new("kcat")
        .args([
            "-C",
            "-b",
            &bootstrap.join(","),
            "-t",
            topic,
            "-o",
            "beginning",
            "-e",
            "-q",
            "-f",
            KCAT_FORMAT,
        ])
        .args(["-X", "isolation.level=read_committed"])
        .kill_on_drop(true)
        .output()
        .await?;
    if !output.status.success() {
        return Err(JvmError::Command {
            command: "kcat".into(),
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    let mut records = of_kcat(topic, &output.stdout).ok_or_else(|| garbled("kcat"))?;
    records.sort_by_key(|record| (record.partition, record.offset));
    Ok(records)
}

/// Reads a whole topic of the cluster whose node 1 is at the first of these addresses, 2 at the next, and so on.
pub(crate) async fn read(addresses: &[String], topic: &str) -> Result<Vec<StoredRecord>> {
    let mut records = Vec::new();
    for (partition, leader) in admin::leaders(addresses, topic).await?.into_iter().enumerate() {
        let leader =
            leader.ok_or(JvmError::Refused { what: format!("read {topic}/{partition}"), code: 5 })?;
        let mut wire = Wire::connect(&addresses[leader as usize - 1]).await?;
        read_partition(&mut wire, topic, partition as i32, &mut records).await?;
    }
    Ok(records)
}

async fn end_of(wire: &mut Wire, topic: &str, partition: i32) -> Result<i64> {
    let asked = ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(-1);
    let asked = ListOffsetsTopic::default().with_name(name(topic)).with_partitions(vec![asked]);
    let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![asked]);
    let answer = wire.request(&request, 3).await?;
    let found = answer.topics.first().and_then(|t| t.partitions.first());
    match found {
        Some(found) if found.error_code == 0 => Ok(found.offset),
        found => Err(JvmError::Refused {
            what: format!("end of {topic}/{partition}"),
            code: found.map_or(-1, |f| f.error_code),
        }),
    }
}

async fn read_partition(
    wire: &mut Wire,
    topic: &str,
    partition: i32,
    records: &mut Vec<StoredRecord>,
) -> Result<()> {
    let end = end_of(wire, topic, partition).await?;
    let mut offset = 0;
    while offset < end {
        let asked = FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(offset)
            .with_partition_max_bytes(16 << 20);
        let asked = FetchTopic::default().with_topic(name(topic)).with_partitions(vec![asked]);
        let request = FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(500)
            .with_min_bytes(1)
            .with_max_bytes(16 << 20)
            .with_topics(vec![asked]);
        let answer = wire.request(&request, 4).await?;
        let found = answer.responses.first().and_then(|t| t.partitions.first());
        let Some(found) = found.filter(|found| found.error_code == 0) else {
            return Err(JvmError::Refused {
                what: format!("read {topic}/{partition}"),
                code: found.map_or(-1, |f| f.error_code),
            });
        };
        let mut rest = found.records.clone().unwrap_or_default();
        while let Some(header) = BatchHeader::read(&rest).filter(|header| header.length <= rest.len()) {
            let batch = rest.split_to(header.length);
            let base = i64::from_be_bytes(batch[..8].try_into().map_err(io::Error::other)?);
            // LogAppendTime is a bit of the attributes, its time the newest one of the batch.
            let append_time = (header.attributes & 8 != 0).then_some(header.max_timestamp);
            let decoded = decode::records(topic, partition, base, append_time, &batch)?;
            records.extend(decoded.into_iter().filter(|record| record.offset >= offset));
            offset = base + i64::from(header.last_offset_delta) + 1;
        }
    }
    Ok(())
}

fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

fn garbled(what: &str) -> JvmError {
    io::Error::other(format!("a reader printed what was not expected: {what}")).into()
}

fn of_java(topic: &str, line: &str) -> Option<StoredRecord> {
    let mut fields = line.split(' ');
    let mut record = StoredRecord {
        topic: topic.to_owned(),
        partition: fields.next()?.parse().ok()?,
        offset: fields.next()?.parse().ok()?,
        timestamp: fields.next()?.parse().ok()?,
        key: bytes_of(fields.next()?)?,
        value: bytes_of(fields.next()?)?,
        headers: Vec::new(),
    };
    while let Some(name) = fields.next() {
        let name = String::from_utf8(bytes_of(name)??.to_vec()).ok()?;
        record.headers.push((name, bytes_of(fields.next()?)?));
    }
    Some(record)
}

/// `-` is null, `=` begins Base64.
fn bytes_of(field: &str) -> Option<Option<Bytes>> {
    match field.strip_prefix('=') {
        None => (field == "-").then_some(None),
        Some(encoded) => base64(encoded).map(|bytes| Some(bytes.into())),
    }
}

fn base64(encoded: &str) -> Option<Vec<u8>> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let mut out = Vec::new();
    for chunk in encoded.trim_end_matches('=').as_bytes().chunks(4) {
        let mut bits = 0u32;
        for c in chunk {
            bits = bits << 6 | u32::from(value(*c)?);
        }
        bits <<= 6 * (4 - chunk.len() as u32);
        out.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
    }
    Some(out)
}

fn of_kcat(topic: &str, mut out: &[u8]) -> Option<Vec<StoredRecord>> {
    let mut records = Vec::new();
    while !out.is_empty() {
        let end = out.iter().position(|b| *b == b'\n')?;
        let line = std::str::from_utf8(&out[..end]).ok()?;
        out = &out[end + 1..];
        let mut fields = line.splitn(6, ' ');
        let (partition, offset, timestamp) =
            (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let mut take = |length: &str| -> Option<Option<Bytes>> {
            let length: i64 = length.parse().ok()?;
            let Ok(length) = usize::try_from(length) else {
                return Some(None);
            };
            let taken = out.get(..length)?;
            out = &out[length..];
            Some(Some(Bytes::copy_from_slice(taken)))
        };
        let key = take(fields.next()?)?;
        let value = take(fields.next()?)?;
        out = out.strip_prefix(b"\n")?;
        records.push(StoredRecord {
            topic: topic.to_owned(),
            partition,
            offset,
            timestamp,
            key,
            value,
            headers: Vec::new(),
        });
    }
    Some(records)
}
