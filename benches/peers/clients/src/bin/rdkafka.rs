//! librdkafka by the `rdkafka` crate; the first word is `threaded` (callbacks) or `future`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use clients::{Args, Meter, Pace, Payloads, Sent, WINDOW};
use rdkafka::ClientContext;
use rdkafka::bindings;
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
    if threaded { flood_threaded(&config, args) } else { with_futures(&config, &args) }
}

#[derive(Clone)]
struct Client {
    producer: Arc<ThreadedProducer<Count>>,
    args: Arc<Args>,
    payloads: Payloads,
}

fn flood_threaded(config: &ClientConfig, args: Args) {
    let (args, failed) = (Arc::new(args), Arc::new(AtomicUsize::new(0)));
    let mut clients = Vec::new();
    for _ in 0..args.producers {
        let producer = config.create_with_context(Count(failed.clone())).expect("a producer");
        let client = Client { producer: Arc::new(producer), args: args.clone(), payloads: args.payloads() };
        (0..args.partitions).for_each(|n| client.send(n));
        client.producer.flush(Duration::from_secs(60)).expect("a warm-up");
        clients.push(client);
    }
    let meter = Meter::default();
    let pace = meter.pace(&args);
    let threads =
        args.share(&clients).into_iter().map(|client| std::thread::spawn(move || client.flood(pace)));
    let threads: Vec<_> = threads.collect();
    let mut sent: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
    for client in &clients {
        client.producer.flush(Duration::from_secs(120)).expect("a flush");
    }
    sent[0].failed += failed.load(Relaxed);
    meter.flood(&sent);
}

impl Client {
    fn send(&self, n: usize) {
        let (topic, partition) = self.args.place(n);
        let mut record = BaseRecord::<(), [u8]>::to(&self.args.topics[topic])
            .partition(partition)
            .payload(self.payloads.of(n).as_ref());
        while let Err((error, back)) = self.producer.send(record) {
            assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull));
            std::thread::sleep(Duration::from_millis(1));
            record = back;
        }
    }

    fn flood(&self, pace: Pace) -> Sent {
        let mut sent = Sent::default();
        if self.args.bulk {
            let (batch, most) = (Batch::new(self), self.args.bulk_size());
            while !pace.is_over() {
                batch.produce(sent.records, most);
                sent.records += most;
            }
            return sent;
        }
        while pace.goes_on(sent.records) {
            self.send(sent.records);
            sent.records += 1;
        }
        sent
    }
}

/// `rd_kafka_produce_batch`, which the `rdkafka` crate does not wrap, for one topic.
struct Batch<'a> {
    client: &'a Client,
    topic: *mut bindings::rd_kafka_topic_t,
}

impl<'a> Batch<'a> {
    fn new(client: &'a Client) -> Self {
        let name = std::ffi::CString::new(client.args.topics[0].as_str()).expect("a name");
        let handle = client.producer.client().native_ptr();
        // SAFETY: the handle lives as long as the client; the name is copied; no configuration means the default one.
        let topic = unsafe { bindings::rd_kafka_topic_new(handle, name.as_ptr(), std::ptr::null_mut()) };
        assert!(!topic.is_null(), "a topic");
        Self { client, topic }
    }

    /// Hands over so many records, those again for which there was no space.
    fn produce(&self, from: usize, records: usize) {
        let message = |n: usize| {
            let payload = self.client.payloads.of(n);
            // SAFETY: it is plain data, for which zero is valid.
            let mut message: bindings::rd_kafka_message_t = unsafe { std::mem::zeroed() };
            message.partition = self.client.args.place(n).1;
            message.payload = payload.as_ptr().cast_mut().cast();
            message.len = payload.len();
            message
        };
        let mut messages: Vec<_> = (from..from + records).map(message).collect();
        let flags = bindings::RD_KAFKA_MSG_F_COPY | bindings::RD_KAFKA_MSG_F_PARTITION;
        while !messages.is_empty() {
            // SAFETY: the messages and their payloads outlive the call, which copies the payloads.
            unsafe {
                bindings::rd_kafka_produce_batch(
                    self.topic,
                    // RD_KAFKA_PARTITION_UA: each message has its own.
                    -1,
                    flags,
                    messages.as_mut_ptr(),
                    messages.len() as i32,
                )
            };
            messages
                .retain(|message| message.err != bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR);
            let full = bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__QUEUE_FULL;
            assert!(messages.iter().all(|message| message.err == full), "only a full queue refuses");
            if !messages.is_empty() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        // SAFETY: it was made by `new`, and is not used any more.
        unsafe { bindings::rd_kafka_topic_destroy(self.topic) };
    }
}

#[tokio::main(flavor = "current_thread")]
async fn with_futures(config: &ClientConfig, args: &Args) {
    let producer: FutureProducer = config.create().expect("a producer");
    let payloads = args.payloads();
    let record = |n: usize| {
        let (topic, partition) = args.place(n);
        FutureRecord::<(), [u8]>::to(&args.topics[topic])
            .partition(partition)
            .payload(payloads.of(n).as_ref())
    };
    for n in 0..args.partitions {
        producer.send(record(n), Duration::from_secs(30)).await.expect("a warm-up");
    }
    if args.latency {
        return args
            .one_at_a_time(async |n| {
                producer.send(record(n), Duration::from_secs(30)).await.expect("a delivery");
            })
            .await;
    }
    let (meter, mut sent) = (Meter::default(), Sent::default());
    let pace = meter.pace(args);
    let mut receipts: VecDeque<DeliveryFuture> = VecDeque::with_capacity(WINDOW);
    while pace.goes_on(sent.records) {
        if receipts.len() >= WINDOW
            && let Some(oldest) = receipts.pop_front()
        {
            sent.failed += usize::from(!matches!(oldest.await, Ok(Ok(_))));
        }
        receipts
            .push_back(producer.send_result(record(sent.records)).map_err(|(error, _)| error).expect("room"));
        sent.records += 1;
    }
    for receipt in receipts {
        sent.failed += usize::from(!matches!(receipt.await, Ok(Ok(_))));
    }
    meter.flood(&[sent]);
}
