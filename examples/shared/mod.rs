//! What both migrations show: each key lands in the partition that the former client chose for it.

use std::time::Duration;

use rskafka_producer::{Context, Message, Partitioning, Producer, ProducerConfig};

/// Keys and the partitions that other clients, run for it, chose over several numbers of partitions.
const VECTORS: &str = include_str!("../../src/partitioner/vectors.csv");
const PARTITIONS: i32 = 12;
const SHOWN: usize = 8;

/// Sends a message for each key and compares where it went with what `column` of the vectors says.
pub(crate) async fn compare(
    partitioning: Partitioning,
    column: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let cluster = kafka_testbed::cluster_from_env(&[("migrated", PARTITIONS)]).await?;
    let config =
        ProducerConfig::new(cluster.bootstrap()).topic("migrated").partitioning(partitioning.clone());
    let producer = Producer::connect(&Context::timeout(Duration::from_secs(10)), config).await?;
    let ctx = Context::timeout(Duration::from_secs(10));

    let mut lines = VECTORS.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().ok_or("no header")?;
    let wanted = format!("{column}_n{PARTITIONS}");
    let at = header.iter().position(|name| *name == wanted).ok_or("no such column")?;
    println!("\n{:<26} {column:>16} {:>16}", "key", format!("{partitioning:?}"));
    let (mut same, mut keys) = (0, 0);
    // librdkafka's default takes an empty key for none, and chooses at random.
    for fields in lines.filter(|fields| !fields[0].is_empty()) {
        let key = unhex(fields[0])?;
        let delivery = producer.send(&ctx, Message::new("v").key(key.clone())).await?;
        let theirs: i32 = fields[at].parse()?;
        same += usize::from(delivery.partition() == theirs);
        if keys < SHOWN {
            println!("{:<26} {theirs:>16} {:>16}", key.escape_ascii().to_string(), delivery.partition());
        }
        keys += 1;
    }
    println!("{same} of {keys} keys in the same one of {PARTITIONS} partitions");
    producer.close(&ctx).await?;
    if same == keys { Ok(()) } else { Err("a key would move".into()) }
}

fn unhex(hex: &str) -> Result<Vec<u8>, std::num::ParseIntError> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16)).collect()
}
