//! partitionline, pure Rust with its own protocol. Its flood, `try_send`, has no result for each record: `flush` fails where
//! one failed.

use std::sync::Arc;
use std::time::Duration;

use clients::{Args, Meter, Pace, Payloads, Sent};
use partitionline::{Acks, Compression, Error, ProduceRecord, Producer, ProducerConfig, TlsConfig};

#[derive(Clone)]
struct Client {
    producer: Arc<Producer>,
    args: Arc<Args>,
    topics: Arc<[Arc<str>]>,
    payloads: Payloads,
}

fn main() {
    let args = Arc::new(Args::parse(0));
    args.runtime().block_on(run(args.clone()));
}

async fn run(args: Arc<Args>) {
    let mut clients = Vec::new();
    for _ in 0..args.producers {
        let producer = Arc::new(Producer::new(config(&args)).await.expect("a broker"));
        let topics = args.topics.iter().map(|topic| topic.as_str().into()).collect();
        let client = Client { producer, args: args.clone(), topics, payloads: args.payloads() };
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
    let mut sent = args.floods(&clients, |client| client.flood(pace)).await;
    if !args.bulk {
        for client in &clients {
            let flushed = client.producer.flush().await;
            sent[0].failed += usize::from(flushed.is_err());
        }
    }
    meter.flood(&sent);
}

fn config(args: &Args) -> ProducerConfig {
    let codec = match args.compression.as_str() {
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "none" => Compression::None,
        other => panic!("partitionline has no {other}"),
    };
    let linger = Duration::from_millis(if args.latency { 0 } else { 5 });
    let config = ProducerConfig::bootstrap([args.bootstrap.clone()])
        .acks(Acks::All)
        .idempotent(args.idempotent)
        .linger(linger)
        .delivery_timeout(Duration::from_secs(120))
        .compression(codec);
    match &args.ca {
        Some(ca) => config.tls(TlsConfig::default().ca_pem(std::fs::read(ca).expect("the authority"))),
        None => config,
    }
}

impl Client {
    fn record(&self, n: usize) -> ProduceRecord {
        let (topic, partition) = self.args.place(n);
        ProduceRecord::to(self.topics[topic].clone()).value(self.payloads.of(n).clone()).partition(partition)
    }

    async fn flood(self, pace: Pace) -> Sent {
        let mut sent = Sent::default();
        if self.args.bulk {
            let most = self.args.bulk_size();
            while !pace.is_over() {
                let from = sent.records;
                let stored = self.producer.send_all((from..from + most).map(|n| self.record(n))).await;
                sent.failed += most - stored.map_or(0, |stored| stored.len());
                sent.records += most;
            }
            return sent;
        }
        while pace.goes_on(sent.records) {
            loop {
                match self.producer.try_send(self.record(sent.records)) {
                    Ok(()) => break,
                    Err(Error::QueueFull) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
            sent.records += 1;
        }
        sent
    }
}
