//! rskafka's own `BatchProducer`, one for each partition; it is never idempotent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clients::{Args, Meter, Sent};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, UnknownTopicHandling};
use rskafka::client::producer::BatchProducerBuilder;
use rskafka::client::producer::aggregator::RecordAggregator;
use rskafka::record::Record;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args = Args::parse(0);
    let codec = match args.compression.as_str() {
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => Compression::NoCompression,
    };
    let client = ClientBuilder::new(vec![args.bootstrap.clone()]).build().await.expect("a broker");
    let linger = Duration::from_millis(if args.latency { 0 } else { 5 });
    let mut producers = Vec::new();
    for n in 0..args.partitions {
        let (topic, partition) = args.place(n);
        let partition =
            client.partition_client(&args.topics[topic], partition, UnknownTopicHandling::Retry).await;
        let builder = BatchProducerBuilder::new(Arc::new(partition.expect("a partition")));
        producers.push(
            builder.with_linger(linger).with_compression(codec).build(RecordAggregator::new(1_000_000)),
        );
    }
    let payloads = args.payloads();
    let timestamp = chrono::DateTime::from_timestamp_millis(1_790_000_000_000).expect("a time");
    let record = |n: usize| Record {
        key: None,
        value: Some(payloads.of(n).to_vec()),
        headers: BTreeMap::new(),
        timestamp,
    };
    for (n, producer) in producers.iter().enumerate() {
        producer.produce(record(n)).await.expect("a warm-up");
    }
    if args.latency {
        return args
            .one_at_a_time(async |n| {
                producers[n % args.partitions].produce(record(n)).await.expect("a delivery");
            })
            .await;
    }
    let (meter, mut sent) = (Meter::default(), Sent::default());
    let pace = meter.pace(&args);
    let mut waiting = FuturesUnordered::new();
    while pace.goes_on(sent.records) {
        // It has no bound itself; this window is about 32 MiB of 100 B records.
        if waiting.len() >= clients::WINDOW.min((32 << 20) / args.size)
            && let Some(result) = waiting.next().await
        {
            let result: Result<i64, _> = result;
            sent.failed += usize::from(result.is_err());
        }
        waiting.push(producers[sent.records % args.partitions].produce(record(sent.records)));
        sent.records += 1;
    }
    while let Some(result) = waiting.next().await {
        sent.failed += usize::from(result.is_err());
    }
    meter.flood(&[sent]);
}
