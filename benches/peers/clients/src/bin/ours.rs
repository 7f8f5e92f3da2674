//! rskafka-producer; the first word is the engine: `native`, with another cryptography `ring`, or
//! `partition-client`.

use std::collections::VecDeque;
use std::sync::Arc;

use clients::{Args, Meter, Pace, Payloads, Sent, WINDOW};
use rskafka_producer::{
    BatchConfig, Compression, Context, EngineKind, Message, Pem, Producer, ProducerConfig, Receipt, TlsConfig,
};

/// A thread's own producer, or one that it shares.
#[derive(Clone)]
struct Client {
    producer: Producer,
    args: Arc<Args>,
    topics: Arc<[Arc<str>]>,
    payloads: Payloads,
}

fn main() {
    let word = std::env::args().nth(1).unwrap_or_default();
    let args = Arc::new(Args::parse(1));
    args.runtime().block_on(run(&word, args.clone()));
}

async fn run(word: &str, args: Arc<Args>) {
    let mut clients = Vec::new();
    for _ in 0..args.producers {
        let producer =
            Producer::connect(&Context::background(), config(word, &args)).await.expect("a broker");
        let topics = args.topics.iter().map(|topic| topic.as_str().into()).collect();
        let client = Client { producer, args: args.clone(), topics, payloads: args.payloads() };
        for n in 0..args.partitions {
            client.producer.send(&Context::background(), client.message(n)).await.expect("a warm-up");
        }
        clients.push(client);
    }
    if args.latency {
        let client = &clients[0];
        return args
            .one_at_a_time(async |n| {
                client.producer.send(&Context::background(), client.message(n)).await.expect("a delivery");
            })
            .await;
    }
    let meter = Meter::default();
    let pace = meter.pace(&args);
    let sent = args.floods(&clients, |client| client.flood(pace)).await;
    meter.flood(&sent);
}

fn config(word: &str, args: &Args) -> ProducerConfig {
    let engine = match word {
        "partition-client" => EngineKind::PartitionClient,
        _ => EngineKind::Native,
    };
    let codec =
        Compression::ALL.into_iter().find(|codec| codec.as_str() == args.compression).expect("a codec");
    let config = ProducerConfig::new([args.bootstrap.clone()])
        .engine(engine)
        .idempotence(args.idempotent)
        .batch(BatchConfig::default().compression(codec));
    let Some(ca) = &args.ca else { return config };
    let tls = TlsConfig::default().ca(Pem::file(ca));
    config.tls(match word {
        "ring" => tls.provider(Arc::new(rustls::crypto::ring::default_provider())),
        _ => tls.provider(Arc::new(rustls_graviola::default_provider())),
    })
}

impl Client {
    fn message(&self, n: usize) -> Message {
        let (topic, partition) = self.args.place(n);
        Message::new(self.payloads.of(n).clone()).to(self.topics[topic].clone()).partition(partition)
    }

    async fn flood(self, pace: Pace) -> Sent {
        let (ctx, mut sent) = (Context::background(), Sent::default());
        if self.args.bulk {
            let most = self.args.bulk_size();
            while !pace.is_over() {
                let from = sent.records;
                let results =
                    self.producer.send_all(&ctx, (from..from + most).map(|n| self.message(n))).await;
                sent.failed += results.iter().filter(|result| result.is_err()).count();
                sent.records += most;
            }
            return sent;
        }
        let mut receipts: VecDeque<Receipt> = VecDeque::with_capacity(WINDOW);
        while pace.goes_on(sent.records) {
            if receipts.len() >= WINDOW
                && let Some(oldest) = receipts.pop_front()
            {
                sent.failed += usize::from(oldest.await.is_err());
            }
            receipts.push_back(self.producer.enqueue(&ctx, self.message(sent.records)).await.expect("room"));
            sent.records += 1;
        }
        for receipt in receipts {
            sent.failed += usize::from(receipt.await.is_err());
        }
        sent
    }
}
