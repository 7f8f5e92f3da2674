//! Sends records to a Kafka from one small static binary: see the guide `docs::static_builds`.
//!
//! ```text
//! KAFKA_BROKERS=127.0.0.1:9092 static-send TOPIC [COUNT [BYTES]]
//! ```
//!
//! `KAFKA_CA=ca.pem` adds TLS (feature `tls`), `KAFKA_USER` and `KAFKA_PASSWORD` add SCRAM-SHA-512, `KAFKA_MSK_REGION`,
//! which needs TLS, logins at Amazon MSK (feature `aws-msk-iam`).

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rskafka_producer::{
    Context, Delivery, Message, Pem, Producer, ProducerConfig, Result, SaslConfig, TlsConfig,
};

/// musl's own allocator takes one lock for everything, and is slow.
#[cfg(feature = "dlmalloc")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[cfg(feature = "rlsf")]
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

/// Receipts that are kept before the oldest is awaited.
const WINDOW: usize = 16_384;

const USAGE: &str = "usage: KAFKA_BROKERS=HOST:PORT,... static-send TOPIC [COUNT [BYTES]]";

/// One thread: the quickest to start, and the smallest.
#[tokio::main(flavor = "current_thread")]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let set = |name| std::env::var(name).ok();
    let brokers = set("KAFKA_BROKERS").ok_or(USAGE)?;
    let mut args = std::env::args().skip(1);
    let topic = args.next().ok_or(USAGE)?;
    let count = args.next().map_or(Ok(1), |count| count.parse())?;
    let bytes = args.next().map_or(Ok(100), |bytes| bytes.parse())?;

    let mut config = ProducerConfig::new(brokers).topic(topic.as_str());
    if let Some(ca) = set("KAFKA_CA") {
        config = config.tls(TlsConfig::default().ca(Pem::file(ca)));
    }
    if let (Some(user), Some(password)) = (set("KAFKA_USER"), set("KAFKA_PASSWORD")) {
        config = config.sasl(SaslConfig::scram_sha_512(user, password));
    }
    #[cfg(feature = "aws-msk-iam")]
    if let Some(region) = set("KAFKA_MSK_REGION") {
        let iam = rskafka_producer::MskIam::new().region(region);
        config = config.sasl(SaslConfig::msk_iam(iam));
    }
    let producer = Producer::connect(&Context::timeout(Duration::from_secs(10)), config).await?;
    let started = Instant::now();
    let stored = send(&producer, count, bytes).await?;
    let took = started.elapsed();
    producer.close(&Context::timeout(Duration::from_secs(10))).await?;
    for (partition, (first, last, records)) in stored {
        println!("{topic}/{partition}: {records} records, offsets {first} to {last}");
    }
    println!("{count} records in {took:.3?}, {:.0} records/s", count as f64 / took.as_secs_f64());
    Ok(())
}

/// First offset, last offset and number of records of each partition.
type Stored = BTreeMap<i32, (i64, i64, usize)>;

async fn send(producer: &Producer, count: usize, bytes: usize) -> Result<Stored> {
    let (ctx, mut stored) = (Context::timeout(Duration::from_secs(120)), Stored::new());
    let mut receipts = VecDeque::with_capacity(WINDOW.min(count));
    for n in 0..count {
        if receipts.len() == WINDOW {
            if let Some(oldest) = receipts.pop_front() {
                note(&mut stored, &oldest.await?);
            }
        }
        // A new value for each, as a program would have it: what the allocator costs is part of the figure.
        receipts.push_back(producer.enqueue(&ctx, Message::new(format!("{n:0>bytes$}"))).await?);
    }
    for receipt in receipts {
        note(&mut stored, &receipt.await?);
    }
    Ok(stored)
}

fn note(stored: &mut Stored, delivery: &Delivery) {
    let offset = delivery.offset().unwrap_or(-1);
    let (_, last, records) = stored.entry(delivery.partition()).or_insert((offset, offset, 0));
    (*last, *records) = (offset, *records + 1);
}
