//! The topics of one scenario, to which all programs write, and how many records each partition must have.

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

    pub async fn delete(&self) -> Result<(), Error> {
        for topic in &self.topics {
            self.cluster.delete_topic(topic).await?;
        }
        Ok(())
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
