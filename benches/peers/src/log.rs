//! The topics of one scenario, to which all programs write, and how many records each partition must have.

use std::io::{ErrorKind, Read, Seek};
use std::time::Duration;

use kafka_testbed::JvmCluster;

use crate::Error;
use crate::scenario::Scenario;

/// What new topics may take to have leaders.
const LIMIT: Duration = Duration::from_secs(180);

pub struct Log<'a> {
    pub cluster: &'a JvmCluster,
    pub prefix: String,
    topics: Vec<String>,
}

impl<'a> Log<'a> {
    pub async fn create(cluster: &'a JvmCluster, prefix: String, scenario: &Scenario) -> Result<Self, Error> {
        let topics: Vec<_> = (0..scenario.topics).map(|n| format!("{prefix}-{n}")).collect();
        for topic in &topics {
            cluster.create_topic(topic, (scenario.partitions / scenario.topics) as i32, &[]).await?;
        }
        let log = Self { cluster, prefix, topics };
        // Leaders of new partitions take a moment.
        let ready = async {
            while log.ends().await.is_err() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(LIMIT, ready).await.map_err(|_| "new topics have no leaders")?;
        Ok(log)
    }

    /// The end of each partition, topic by topic.
    pub async fn ends(&self) -> Result<Vec<i64>, Error> {
        let mut ends = Vec::new();
        for topic in &self.topics {
            ends.extend(self.cluster.high_watermarks(topic).await?);
        }
        Ok(ends)
    }

    /// Bytes that each record of the first partition takes in the broker's files, from offset `from` on: its part of a batch
    /// as it was sent. Files that were deleted meanwhile do not count. `None` if nothing is left.
    pub fn bytes_per_record(&self, from: i64) -> std::io::Result<Option<f64>> {
        let folder = self.cluster.log_dir(1).join(format!("{}-0", self.topics[0]));
        let (mut bytes, mut records) = (0, 0);
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "log") {
                continue;
            }
            let file = match std::fs::File::open(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                opened => opened?,
            };
            each_batch(file, |batch| {
                if batch.base_offset >= from {
                    bytes += batch.bytes;
                    records += batch.records;
                }
            })?;
        }
        Ok((records > 0).then(|| bytes as f64 / records as f64))
    }

    pub async fn delete(&self) -> Result<(), Error> {
        for topic in &self.topics {
            self.cluster.delete_topic(topic).await?;
        }
        Ok(())
    }
}

/// A record batch in a file of the broker's.
struct Stored {
    base_offset: i64,
    bytes: u64,
    records: u64,
}

/// The head of each batch (Kafka: "Record Batch"); the broker may be writing behind the last one.
fn each_batch(mut file: impl Read + Seek, mut seen: impl FnMut(Stored)) -> std::io::Result<()> {
    loop {
        // Base offset, length from here on, leader epoch, magic, CRC, attributes, last offset delta.
        let mut head = [0; 8 + 4 + 4 + 1 + 4 + 2 + 4];
        match file.read_exact(&mut head) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            other => other?,
        }
        let word = |at: usize| i32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (high, low, length) = (word(0), word(4), word(8));
        // The file may be longer than what was written.
        let Ok(length) = u32::try_from(length) else { return Ok(()) };
        if length == 0 {
            return Ok(());
        }
        seen(Stored {
            base_offset: i64::from(high) << 32 | i64::from(low as u32),
            bytes: u64::from(length) + 12,
            records: word(23) as u64 + 1,
        });
        file.seek_relative(i64::from(length) + 12 - head.len() as i64)?;
    }
}

/// Compares what each partition got with what the threads sent there: so many, in turn, and `warm_up` beforehand.
pub fn compare(before: &[i64], after: &[i64], counts: &[i64], warm_up: i64) -> Result<(), String> {
    let partitions = after.len() as i64;
    let mut wrong = Vec::new();
    for (partition, (before, after)) in before.iter().zip(after).enumerate() {
        let here = |count: &i64| count / partitions + i64::from((partition as i64) < count % partitions);
        let expected = warm_up + counts.iter().map(here).sum::<i64>();
        let stored = after - before;
        if stored != expected {
            wrong.push(format!("partition {partition}: {stored} stored, {expected} acknowledged"));
        }
    }
    let named: Vec<_> = wrong.iter().take(3).cloned().collect();
    match wrong.len() {
        0 => Ok(()),
        n => Err(format!("records are missing or duplicated in {n} partitions: {}", named.join("; "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_in_a_file_are_found_by_their_heads() {
        let batch = |base_offset: i64, records: u32, payload: usize| {
            let mut bytes = [&base_offset.to_be_bytes()[..], &(49 + payload as u32).to_be_bytes()].concat();
            bytes.extend([0; 4 + 1 + 4 + 2]);
            bytes.extend((records - 1).to_be_bytes());
            bytes.extend(vec![7; 61 - 27 + payload]);
            bytes
        };
        let file = [batch(5, 10, 100), batch(15, 1, 0), batch(1 << 33, 3, 9), vec![0; 100]].concat();
        let mut seen = Vec::new();
        each_batch(std::io::Cursor::new(file), |batch| {
            seen.push((batch.base_offset, batch.bytes, batch.records));
        })
        .unwrap();
        assert_eq!(seen, [(5, 161, 10), (15, 61, 1), (1 << 33, 70, 3)]);
    }

    #[test]
    fn records_are_counted_in_each_partition() {
        // Two threads, of 5 and 3 records over 3 partitions, and one before.
        let (before, after) = ([10, 20, 30], [10 + 1 + 3, 20 + 1 + 3, 30 + 1 + 2]);
        assert_eq!(compare(&before, &after, &[5, 3], 1), Ok(()));
        let missing = compare(&before, &[14, 23, 33], &[5, 3], 1).unwrap_err();
        assert!(missing.contains("partition 1: 3 stored, 4 acknowledged"), "{missing}");
        let moved = compare(&before, &[15, 23, 33], &[5, 3], 1).unwrap_err();
        assert!(moved.contains("in 2 partitions"), "{moved}");
    }
}
