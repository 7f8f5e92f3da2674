//! krafka, pure Rust with its own protocol.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use krafka::producer::{Acks, DeliveryHandle};
use krafka::{Kafka, Record};
use peers::{Args, Meter, WINDOW, latency};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args = Args::parse(0);
    let kafka = Kafka::builder(args.bootstrap.clone()).connect().await.expect("a broker");
    let linger = if args.latency { Duration::ZERO } else { Duration::from_millis(5) };
    let codec = match args.compression.as_str() {
        "gzip" => krafka::Compression::Gzip,
        "snappy" => krafka::Compression::Snappy,
        "lz4" => krafka::Compression::Lz4,
        "none" => krafka::Compression::None,
        other => panic!("krafka has no {other} without C"),
    };
    let producer = kafka
        .producer()
        .acks(Acks::All)
        .idempotent(args.idempotent)
        .linger(linger)
        .batch_size(1_000_000)
        .compression(codec)
        .build()
        .await
        .expect("a producer");
    let payloads = args.payloads();
    let record = |n: usize| {
        let (topic, partition) = args.place(n);
        Record::new(&args.topics[topic], payloads[n % 64].clone()).partition(partition)
    };
    for n in 0..args.partitions {
        drop(producer.send(record(n)).await.expect("a warm-up"));
    }
    if args.latency {
        let mut times = Vec::with_capacity(args.records);
        for n in 0..args.records {
            let started = Instant::now();
            drop(producer.send(record(n)).await.expect("a delivery"));
            times.push(started.elapsed());
        }
        return latency(times);
    }
    let (meter, mut failed) = (Meter::default(), 0);
    let mut receipts: VecDeque<DeliveryHandle> = VecDeque::with_capacity(WINDOW);
    for n in 0..args.records {
        if receipts.len() >= WINDOW {
            if let Some(oldest) = receipts.pop_front() {
                failed += usize::from(oldest.await.is_err());
            }
        }
        receipts.push_back(producer.enqueue(record(n)).await.expect("room"));
    }
    for receipt in receipts {
        failed += usize::from(receipt.await.is_err());
    }
    meter.flood(&args, failed);
}
