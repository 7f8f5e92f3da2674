//! krafka, pure Rust with its own protocol. It has no call for many records.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use clients::{Args, Meter, Pace, Payloads, Sent, WINDOW};
use krafka::auth::{AuthConfig, TlsConfig};
use krafka::producer::{Acks, DeliveryHandle, Producer};
use krafka::{Kafka, Record};

#[derive(Clone)]
struct Client {
    producer: Arc<Producer>,
    args: Arc<Args>,
    payloads: Payloads,
}

fn main() {
    let args = Arc::new(Args::parse(0));
    args.runtime().block_on(run(args.clone()));
}

async fn run(args: Arc<Args>) {
    let mut clients = Vec::new();
    for _ in 0..args.producers {
        let producer = Arc::new(connect(&args).await);
        let client = Client { producer, args: args.clone(), payloads: args.payloads() };
        for n in 0..args.partitions {
            drop(client.producer.send(client.record(n)).await.expect("a warm-up"));
        }
        clients.push(client);
    }
    if args.latency {
        let client = &clients[0];
        return args
            .one_at_a_time(async |n| {
                drop(client.producer.send(client.record(n)).await.expect("a delivery"));
            })
            .await;
    }
    let meter = Meter::default();
    let pace = meter.pace(&args);
    let sent = args.floods(&clients, |client| client.flood(pace)).await;
    meter.flood(&sent);
}

async fn connect(args: &Args) -> Producer {
    let builder = Kafka::builder(args.bootstrap.clone());
    let builder = match &args.ca {
        Some(ca) => builder.security(AuthConfig::ssl(TlsConfig::new().with_ca_cert(ca))),
        None => builder,
    };
    let kafka = builder.connect().await.expect("a broker");
    let linger = if args.latency { Duration::ZERO } else { Duration::from_millis(5) };
    let codec = match args.compression.as_str() {
        "gzip" => krafka::Compression::Gzip,
        "snappy" => krafka::Compression::Snappy,
        "lz4" => krafka::Compression::Lz4,
        "none" => krafka::Compression::None,
        other => panic!("krafka has no {other} without C"),
    };
    let producer = kafka.producer().acks(Acks::All).idempotent(args.idempotent).linger(linger);
    producer.batch_size(1_000_000).compression(codec).build().await.expect("a producer")
}

impl Client {
    fn record(&self, n: usize) -> Record {
        let (topic, partition) = self.args.place(n);
        Record::new(&self.args.topics[topic], self.payloads.of(n).clone()).partition(partition)
    }

    async fn flood(self, pace: Pace) -> Sent {
        let mut sent = Sent::default();
        let mut receipts: VecDeque<DeliveryHandle> = VecDeque::with_capacity(WINDOW);
        while pace.goes_on(sent.records) {
            if receipts.len() >= WINDOW
                && let Some(oldest) = receipts.pop_front()
            {
                sent.failed += usize::from(oldest.await.is_err());
            }
            receipts.push_back(self.producer.enqueue(self.record(sent.records)).await.expect("room"));
            sent.records += 1;
        }
        for receipt in receipts {
            sent.failed += usize::from(receipt.await.is_err());
        }
        sent
    }
}
