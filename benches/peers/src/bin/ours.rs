//! rskafka-producer; the first word is the engine: `native`, with another cryptography `ring`, or
//! `partition-client`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use peers::{Args, Meter, WINDOW, latency};
use rskafka_producer::{
    BatchConfig, Compression, Context, EngineKind, Message, Pem, Producer, ProducerConfig, Receipt, TlsConfig,
};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let word = std::env::args().nth(1);
    let engine = match word.as_deref() {
        Some("partition-client") => EngineKind::PartitionClient,
        _ => EngineKind::Native,
    };
    let args = Args::parse(1);
    let codec =
        Compression::ALL.into_iter().find(|codec| codec.as_str() == args.compression).expect("a codec");
    let mut config = ProducerConfig::new([args.bootstrap.clone()])
        .engine(engine)
        .idempotence(args.idempotent)
        .batch(BatchConfig::default().compression(codec));
    if let Some(ca) = &args.ca {
        let tls = TlsConfig::default().ca(Pem::file(ca));
        config = config.tls(match word.as_deref() {
            Some("ring") => tls.provider(Arc::new(rustls::crypto::ring::default_provider())),
            _ => tls.provider(Arc::new(rustls_graviola::default_provider())),
        });
    }
    let ctx = Context::background();
    let producer = Producer::connect(&ctx, config).await.expect("a broker");
    let payloads = args.payloads();
    let topics: Vec<Arc<str>> = args.topics.iter().map(|topic| topic.as_str().into()).collect();
    let message = |n: usize| {
        let (topic, partition) = args.place(n);
        Message::new(payloads[n % 64].clone()).to(topics[topic].clone()).partition(partition)
    };
    for n in 0..args.partitions {
        producer.send(&ctx, message(n)).await.expect("a warm-up");
    }
    if args.latency {
        let mut times = Vec::with_capacity(args.records);
        for n in 0..args.records {
            let started = Instant::now();
            producer.send(&ctx, message(n)).await.expect("a delivery");
            times.push(started.elapsed());
        }
        return latency(times);
    }
    let (meter, mut failed) = (Meter::default(), 0);
    let mut receipts: VecDeque<Receipt> = VecDeque::with_capacity(WINDOW);
    for n in 0..args.records {
        if receipts.len() >= WINDOW {
            if let Some(oldest) = receipts.pop_front() {
                failed += usize::from(oldest.await.is_err());
            }
        }
        receipts.push_back(producer.enqueue(&ctx, message(n)).await.expect("room"));
    }
    for receipt in receipts {
        failed += usize::from(receipt.await.is_err());
    }
    meter.flood(&args, failed);
}
