//! The blocking producer: on any thread, whatever runs there, and whatever happens to its own thread.

use std::sync::{Arc, LazyLock, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use kafka_testbed::{Api, FakeCluster, Fault, JvmCluster, Rule};
use rskafka_producer::blocking::Producer;
use rskafka_producer::{
    BatchConfig, BufferConfig, ByteStream, ConnectError, Connector, Context, ErrorCode, ErrorKind, Fate,
    HealthRegistry, Message, ProducerConfig, Status, TimeoutConfig,
};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

use crate::cluster::turn;
use crate::logging::Lines;
use crate::support::{LATE, SECOND, assert_numbers_in_order, ctx, minute};

/// A cluster on a separate runtime.
struct Brokers {
    runtime: Runtime,
    cluster: FakeCluster,
}

impl Brokers {
    fn start(partitions: i32) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let cluster = runtime.block_on(FakeCluster::with_topic("t", partitions)).unwrap();
        Self { runtime, cluster }
    }

    fn config(&self) -> ProducerConfig {
        ProducerConfig::new(self.cluster.bootstrap()).topic("t")
    }

    fn wait_until(&self, condition: impl Fn(&FakeCluster) -> bool) {
        self.runtime.block_on(self.cluster.wait_until(condition));
    }
}

fn number(n: usize) -> Message {
    Message::new(n.to_string())
}

/// Every call, and what each promises, on the thread where this is called.
fn every_call(brokers: &Brokers) {
    let producer = Producer::connect(&minute(), brokers.config()).unwrap();
    assert_eq!(producer.send_message(&minute(), "k", "0").unwrap().offset(), Some(0));
    assert_eq!(producer.send(&minute(), number(1)).unwrap().topic(), "t");
    let mut receipt = producer.enqueue(&minute(), number(2)).unwrap();
    assert_eq!((receipt.topic(), receipt.partition()), ("t", 0));
    assert_eq!(receipt.wait_timeout(60 * SECOND).unwrap().unwrap().offset(), Some(2));
    producer.try_enqueue(number(3)).unwrap().wait().unwrap();
    assert!(producer.send_all(&minute(), (4..300).map(number)).iter().all(Result::is_ok));
    let receipts = producer.enqueue_all(&minute(), (300..600).map(number));
    assert_eq!((receipts.len(), receipts.rejected().count()), (300, 0));
    assert!(receipts.wait().iter().all(Result::is_ok));
    let receipts = producer.enqueue_all(&minute(), (600..650).map(number));
    for (receipt, offset) in receipts.into_iter().zip(600..) {
        assert_eq!(receipt.unwrap().wait().unwrap().offset(), Some(offset));
    }
    let topic = producer.topic("t");
    topic.send_message(&minute(), "k", "650").unwrap();
    topic.send(&minute(), number(651)).unwrap();
    topic.enqueue(&minute(), number(652)).unwrap().wait().unwrap();
    topic.try_enqueue(number(653)).unwrap().wait().unwrap();
    assert!(topic.send_all(&minute(), [number(654)])[0].is_ok());
    drop(topic.enqueue_all(&minute(), [number(655)]));
    producer.flush(&minute()).unwrap();
    assert_numbers_in_order(&brokers.cluster.records("t", 0), 656);
    producer.health(&minute()).unwrap();
    assert_eq!(producer.partitions(&minute(), "t").unwrap().len(), 1);
    assert!(producer.cluster_id(&minute()).unwrap().is_some());
    assert_eq!(producer.stats().records_acked, 656);
    assert!(producer.explain().is_empty(), "{}", producer.explain());
    let missing = producer.send(&minute(), Message::new("v").to("missing")).unwrap_err();
    assert_eq!((missing.kind(), missing.fate()), (ErrorKind::UnknownTopic, Fate::NotPersisted));
    assert!(missing.into_message().is_some());
    producer.close(&minute()).unwrap();
    assert!(producer.is_closed());
    assert_eq!(producer.send(&minute(), number(0)).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(producer.health(&minute()).unwrap_err().code(), ErrorCode::BrokersUnavailable);
    producer.close(&minute()).unwrap();
}

#[test]
fn every_call_works_outside_of_a_runtime() {
    every_call(&Brokers::start(1));
}

#[test]
fn every_call_works_on_a_thread_that_runs_a_runtime() {
    let one = || Builder::new_current_thread().enable_all().build().unwrap();
    let several = || Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for runtime in [one(), several()] {
        let brokers = Arc::new(Brokers::start(1));
        let here = brokers.clone();
        runtime.block_on(async move { every_call(&here) });
        drop(brokers);
        let brokers = Arc::new(Brokers::start(1));
        let here = brokers.clone();
        // In a task, which has a budget.
        runtime.block_on(runtime.spawn(async move { every_call(&here) })).unwrap();
        drop(brokers);
    }
}

#[test]
fn a_flood_in_a_task_goes_on_although_the_runtime_of_the_task_stands_still() {
    const MESSAGES: usize = 20_000;
    let brokers = Arc::new(Brokers::start(1));
    let here = brokers.clone();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let flood = async move {
        // Full batches, and a buffer that is full again and again.
        let config = here.config().batch(BatchConfig::default().max_bytes(1_000));
        let config = config.buffer(BufferConfig::default().max_bytes(100_000));
        let producer = Producer::connect(&minute(), config).unwrap();
        for n in 0..MESSAGES / 2 {
            drop(producer.enqueue(&minute(), number(n)).unwrap());
        }
        let rest = producer.send_all(&minute(), (MESSAGES / 2..MESSAGES).map(number));
        assert!(rest.iter().all(Result::is_ok));
        producer.close(&minute()).unwrap();
    };
    runtime.block_on(runtime.spawn(flood)).unwrap();
    assert_numbers_in_order(&brokers.cluster.records("t", 0), MESSAGES);
}

#[test]
fn many_threads_share_one_producer_and_each_keeps_its_order() {
    const THREADS: i32 = 8;
    let brokers = Brokers::start(THREADS);
    let producer = Producer::connect(&minute(), brokers.config()).unwrap();
    thread::scope(|scope| {
        for partition in 0..THREADS {
            let producer = producer.clone();
            scope.spawn(move || {
                for n in 0..200 {
                    match n % 2 {
                        0 => drop(producer.enqueue(&minute(), number(n).partition(partition)).unwrap()),
                        _ => drop(producer.send(&minute(), number(n).partition(partition)).unwrap()),
                    }
                }
            });
        }
    });
    producer.close(&minute()).unwrap();
    for partition in 0..THREADS {
        assert_numbers_in_order(&brokers.cluster.records("t", partition), 200);
    }
}

#[test]
fn a_producer_in_a_static_is_connected_by_its_first_message() {
    static BROKERS: LazyLock<Brokers> = LazyLock::new(|| Brokers::start(1));
    static PRODUCER: LazyLock<Producer> = LazyLock::new(|| Producer::new(BROKERS.config()).unwrap());
    thread::spawn(|| PRODUCER.send(&minute(), number(0)).unwrap()).join().unwrap();
    thread::spawn(|| PRODUCER.send(&minute(), number(1)).unwrap()).join().unwrap();
    PRODUCER.close(&minute()).unwrap();
    assert_numbers_in_order(&BROKERS.cluster.records("t", 0), 2);
}

#[test]
fn the_last_handle_dropped_delivers_in_the_background_and_ends_the_thread() {
    let brokers = Brokers::start(1);
    let held = Arc::new(());
    let config = brokers.config().wall_clock({
        let held = held.clone();
        move || {
            let _held = &held;
            std::time::SystemTime::now()
        }
    });
    let producer =
        Producer::connect(&minute(), config.batch(BatchConfig::default().linger(60 * SECOND))).unwrap();
    let other = producer.clone();
    let topic = producer.topic("t");
    let receipts: Vec<_> =
        (0..1_000).map(|n| producer.enqueue(&Context::background(), number(n)).unwrap()).collect();
    drop(producer);
    drop(other);
    topic.enqueue(&Context::background(), number(1_000)).map(drop).unwrap();
    drop(topic);
    for receipt in receipts {
        receipt.wait().unwrap();
    }
    assert_numbers_in_order(&brokers.cluster.records("t", 0), 1_001);
    brokers.wait_until(|cluster| cluster.connections_open(0) == 0);
    brokers.wait_until(|_| Arc::strong_count(&held) == 1);
}

#[test]
fn what_a_dropped_producer_could_not_deliver_is_reported() {
    let (brokers, lines) = (Brokers::start(1), Lines::default());
    let timeouts = TimeoutConfig::default().delivery(SECOND).request(SECOND / 2);
    let config = brokers.config().timeouts(timeouts).logger(lines.logger());
    let producer = Producer::connect(&minute(), config).unwrap();
    brokers.cluster.inject(Rule::on(Api::Produce).always(), Fault::Silence);
    let receipt = producer.enqueue(&Context::background(), number(0)).unwrap();
    drop(producer);
    // By its own limit, or by that of the drain.
    let kind = receipt.wait().unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::DeliveryTimeout | ErrorKind::Closed), "{kind}");
    brokers.wait_until(|_| {
        lines.all().iter().any(|line| line["event"] == "producer.dropped" && line["undelivered"] == 1)
    });
}

#[test]
fn a_panic_of_its_thread_or_of_a_task_loses_nothing() {
    let brokers = Brokers::start(1);
    let producer = Producer::connect(&minute(), brokers.config()).unwrap();
    for n in 0..5 {
        let receipt = producer.enqueue(&minute(), number(2 * n)).unwrap();
        producer.panic_thread();
        receipt.wait().unwrap();
        producer.send(&minute(), number(2 * n + 1)).unwrap();
    }
    producer.panic_thread();
    producer.close(&minute()).unwrap();
    assert_numbers_in_order(&brokers.cluster.records("t", 0), 10);
}

#[test]
fn a_context_ends_each_call() {
    let brokers = Brokers::start(1);
    let producer = Producer::connect(&minute(), brokers.config()).unwrap();
    brokers.cluster.inject(Rule::on(Api::Produce).always(), Fault::Silence);
    let limit = Duration::from_millis(300);
    let in_time = |call: &dyn Fn(&Context) -> ErrorKind| {
        let started = Instant::now();
        assert_eq!(call(&ctx(limit)), ErrorKind::DeadlineExceeded);
        assert!(started.elapsed() >= limit && started.elapsed() < limit + LATE, "{:?}", started.elapsed());
        let token = CancellationToken::new();
        let canceller = thread::spawn({
            let token = token.clone();
            move || {
                thread::sleep(limit);
                token.cancel();
            }
        });
        assert_eq!(call(&Context::background().with_cancellation(token)), ErrorKind::Cancelled);
        canceller.join().unwrap();
    };
    in_time(&|ctx| producer.send(ctx, number(0)).unwrap_err().kind());
    in_time(&|ctx| producer.flush(ctx).unwrap_err().kind());
    in_time(&|ctx| producer.send_all(ctx, [number(1)]).pop().unwrap().unwrap_err().kind());
    let mut receipt = producer.enqueue(&Context::background(), number(2)).unwrap();
    assert!(receipt.wait_timeout(limit).is_none());
    let closed = producer.close(&ctx(limit)).unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::DeadlineExceeded);
    assert_eq!(receipt.wait().unwrap_err().kind(), ErrorKind::Closed);
}

/// Blocks the thread that it is called on, the second time that it is called.
struct Blocks(std::sync::atomic::AtomicUsize, std::sync::mpsc::SyncSender<()>);

#[async_trait]
impl Connector for Blocks {
    async fn connect(&self, host: &str, port: u16) -> Result<Box<dyn ByteStream>, ConnectError> {
        if self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 0 {
            self.1.send(()).unwrap();
            thread::sleep(4 * SECOND);
        }
        Ok(Box::new(tokio::net::TcpStream::connect((host, port)).await?))
    }
}

#[test]
fn a_callback_that_blocks_the_thread_makes_no_call_miss_its_deadline() {
    let brokers = Brokers::start(1);
    let (blocks, blocked) = std::sync::mpsc::sync_channel(100);
    let config = brokers.config().connector(Blocks(0.into(), blocks));
    let config = config.timeouts(TimeoutConfig::default().delivery(SECOND).request(SECOND / 2));
    let producer = Producer::connect(&minute(), config).unwrap();
    brokers.cluster.cut_connections(0);
    let started = Instant::now();
    let receipt = producer.enqueue(&Context::background(), number(0)).unwrap();
    blocked.recv().unwrap();
    let limit = Duration::from_millis(300);
    let error = producer.send(&ctx(limit), number(1)).unwrap_err();
    assert_eq!((error.kind(), error.fate()), (ErrorKind::DeadlineExceeded, Fate::NotPersisted), "{error}");
    assert!(producer.flush(&ctx(limit)).is_err());
    // Callers settle what is overdue twice a second.
    assert_eq!(receipt.wait().unwrap_err().kind(), ErrorKind::DeliveryTimeout);
    assert!(started.elapsed() < 3 * SECOND, "{:?}", started.elapsed());
}

#[test]
fn a_runtime_in_the_configuration_and_any_invalid_setting_are_refused() {
    let runtime = Runtime::new().unwrap();
    let config = ProducerConfig::new(["kafka-1:9092"]).runtime(runtime.handle().clone());
    let error = Producer::new(config).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfig);
    assert!(error.to_string().contains("ProducerConfig::runtime"), "{error}");
    assert_eq!(Producer::new(ProducerConfig::default()).unwrap_err().code(), ErrorCode::InvalidConfig);
    let nowhere = ProducerConfig::new(["127.0.0.1:1"]);
    let error = Producer::connect(&ctx(Duration::from_millis(300)), nowhere).unwrap_err();
    assert_eq!(error.code(), ErrorCode::BrokersUnavailable);
}

#[test]
fn it_is_a_health_check_for_any_runtime() {
    let brokers = Brokers::start(1);
    let producer = Producer::connect(&minute(), brokers.config()).unwrap();
    let report = || {
        let registry = HealthRegistry::new();
        registry.register(producer.clone()).unwrap();
        registry.register(producer.liveness()).unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(registry.report(&minute()))
    };
    assert_eq!(report().status(), Status::Pass, "{:?}", report());
    producer.close(&minute()).unwrap();
    assert_eq!(report().status(), Status::Fail, "{:?}", report());
}

#[test]
fn a_callback_that_calls_its_own_producer_is_answered_by_its_context() {
    static PRODUCER: OnceLock<Producer> = OnceLock::new();
    struct Recursive(std::sync::mpsc::SyncSender<ErrorKind>);

    #[async_trait]
    impl Connector for Recursive {
        async fn connect(&self, host: &str, port: u16) -> Result<Box<dyn ByteStream>, ConnectError> {
            if let Some(producer) = PRODUCER.get() {
                assert_eq!(thread::current().name(), Some("kafka-producer"));
                assert!(Handle::try_current().is_ok());
                let failed = producer.send(&ctx(Duration::from_millis(300)), number(1)).unwrap_err();
                _ = self.0.try_send(failed.kind());
            }
            Ok(Box::new(tokio::net::TcpStream::connect((host, port)).await?))
        }
    }

    let brokers = Brokers::start(1);
    let (failed, seen) = std::sync::mpsc::sync_channel(1);
    let producer = Producer::new(brokers.config().connector(Recursive(failed))).unwrap();
    PRODUCER.set(producer.clone()).unwrap();
    producer.send(&minute(), number(0)).unwrap();
    assert_eq!(seen.recv().unwrap(), ErrorKind::DeadlineExceeded);
    producer.close(&minute()).unwrap();
}

#[test]
fn a_real_kafka_has_what_threads_sent_in_order() {
    const MESSAGES: usize = 2_000;
    if !JvmCluster::available_or_skip("a_real_kafka_has_what_threads_sent_in_order") {
        return;
    }
    let runtime = Runtime::new().unwrap();
    let _turn = runtime.block_on(turn(1));
    let cluster = runtime.block_on(JvmCluster::builder().start()).unwrap();
    runtime.block_on(cluster.create_topic("t", 4, &[])).unwrap();
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t");
    let producer = Producer::connect(&minute(), config).unwrap();
    thread::scope(|scope| {
        for partition in 0..4 {
            let producer = producer.clone();
            scope.spawn(move || {
                let message = |n| number(n).partition(partition);
                let first = producer.send_all(&minute(), (0..MESSAGES / 2).map(message));
                assert!(first.iter().all(Result::is_ok));
                for n in MESSAGES / 2..MESSAGES {
                    drop(producer.enqueue(&minute(), message(n)).unwrap());
                }
            });
        }
    });
    producer.close(&minute()).unwrap();
    assert_numbers_in_order(&runtime.block_on(cluster.read_fast("t")).unwrap(), 4 * MESSAGES);
}
