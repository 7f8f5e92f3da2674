//! librdkafka by the `rdkafka` crate; the first word is `threaded` (callbacks) or `future`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use peers::{Args, Meter, WINDOW, latency};
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{
    BaseRecord, DeliveryFuture, DeliveryResult, FutureProducer, FutureRecord, Producer, ProducerContext,
    ThreadedProducer,
};

struct Count(Arc<AtomicUsize>);

impl ClientContext for Count {}

impl ProducerContext for Count {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.fetch_add(1, Relaxed);
        }
    }
}

fn main() {
    let threaded = std::env::args().nth(1).as_deref() == Some("threaded");
    let args = Args::parse(1);
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &args.bootstrap)
        .set("acks", "all")
        .set("enable.idempotence", args.idempotent.to_string())
        .set("max.in.flight", "5")
        .set("linger.ms", if args.latency { "0" } else { "5" })
        .set("batch.size", "1000000")
        .set("batch.num.messages", "100000")
        .set("queue.buffering.max.messages", "1000000")
        .set("compression.type", &args.compression)
        .set("socket.nagle.disable", "true");
    if let Some(ca) = &args.ca {
        config.set("security.protocol", "ssl").set("ssl.ca.location", ca);
    }
    if threaded { flood_threaded(&config, &args) } else { with_futures(&config, &args) }
}

fn flood_threaded(config: &ClientConfig, args: &Args) {
    let failed = Arc::new(AtomicUsize::new(0));
    let producer: ThreadedProducer<Count> =
        config.create_with_context(Count(failed.clone())).expect("a producer");
    let payloads = args.payloads();
    let send = |n: usize| {
        let (topic, partition) = args.place(n);
        let mut record = BaseRecord::<(), [u8]>::to(&args.topics[topic])
            .partition(partition)
            .payload(&payloads[n % 64][..]);
        while let Err((error, back)) = producer.send(record) {
            assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull));
            std::thread::sleep(Duration::from_millis(1));
            record = back;
        }
    };
    (0..args.partitions).for_each(send);
    producer.flush(Duration::from_secs(60)).expect("a warm-up");
    let meter = Meter::default();
    (0..args.records).for_each(send);
    producer.flush(Duration::from_secs(120)).expect("a flush");
    meter.flood(args, failed.load(Relaxed));
}

#[tokio::main(flavor = "current_thread")]
async fn with_futures(config: &ClientConfig, args: &Args) {
    let producer: FutureProducer = config.create().expect("a producer");
    let payloads = args.payloads();
    let record = |n: usize| {
        let (topic, partition) = args.place(n);
        FutureRecord::<(), [u8]>::to(&args.topics[topic]).partition(partition).payload(&payloads[n % 64][..])
    };
    for n in 0..args.partitions {
        producer.send(record(n), Duration::from_secs(30)).await.expect("a warm-up");
    }
    if args.latency {
        let mut times = Vec::with_capacity(args.records);
        for n in 0..args.records {
            let started = Instant::now();
            producer.send(record(n), Duration::from_secs(30)).await.expect("a delivery");
            times.push(started.elapsed());
        }
        return latency(times);
    }
    let (meter, mut failed) = (Meter::default(), 0);
    let mut receipts: VecDeque<DeliveryFuture> = VecDeque::with_capacity(WINDOW);
    for n in 0..args.records {
        if receipts.len() >= WINDOW {
            if let Some(oldest) = receipts.pop_front() {
                failed += usize::from(!matches!(oldest.await, Ok(Ok(_))));
            }
        }
        receipts.push_back(producer.send_result(record(n)).map_err(|(error, _)| error).expect("room"));
    }
    for receipt in receipts {
        failed += usize::from(!matches!(receipt.await, Ok(Ok(_))));
    }
    meter.flood(args, failed);
}
