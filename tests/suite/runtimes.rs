//! Progress on any runtime: one that ends, one that nobody drives, several at a time, none at all.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as Poller, Poll, Waker};
use std::time::{Duration, Instant};

use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{
    Context, Delivery, ErrorKind, Fate, Message, Producer, ProducerConfig, Result, TimeoutConfig,
};
use tokio::runtime::{Builder, Runtime};

use crate::support::{LATE, SECOND, ctx, seeds};

/// A runtime that runs only within `block_on`.
fn lazy() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A runtime that runs by itself.
fn driven() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// A cluster on a separate runtime, and the configuration of its producers.
fn cluster() -> (Runtime, Arc<FakeCluster>, ProducerConfig) {
    let runtime = driven();
    let cluster = runtime.block_on(FakeCluster::with_topic("t", 1)).unwrap();
    let config = ProducerConfig::new(cluster.bootstrap())
        .topic("t")
        .timeouts(TimeoutConfig::default().delivery(20 * SECOND).request(5 * SECOND));
    (runtime, Arc::new(cluster), config)
}

/// Polls once, on whatever runtime is entered.
fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Poller::from_waker(Waker::noop()))
}

/// A send that must be answered within `limit`, on a separate runtime.
fn send_elsewhere(producer: &Producer, value: &str, limit: Duration) -> Result<Delivery> {
    let started = Instant::now();
    let result = lazy().block_on(producer.send(&Context::background(), Message::new(value.to_owned())));
    assert!(started.elapsed() < limit, "{:?}: {result:?}", started.elapsed());
    result
}

fn values(cluster: &FakeCluster) -> Vec<String> {
    let text = |value: bytes::Bytes| String::from_utf8(value.to_vec()).unwrap();
    cluster.all_records("t").into_iter().map(|record| text(record.value.unwrap())).collect()
}

#[test]
fn a_send_goes_on_when_the_runtime_of_the_tasks_shuts_down() {
    let (_brokers, cluster, config) = cluster();
    let home = driven();
    let producer = home.block_on(Producer::connect(&ctx(10 * SECOND), config)).unwrap();
    home.block_on(producer.send_message(&ctx(10 * SECOND), "k", "first")).unwrap();
    cluster.inject(Rule::on(Api::Produce), Fault::Silence);
    let waiting = std::thread::spawn({
        let producer = producer.clone();
        move || send_elsewhere(&producer, "second", 3 * SECOND)
    });
    let seen = cluster.wait_until(|cluster| cluster.requests(Api::Produce) >= 2);
    lazy().block_on(seen);
    home.shutdown_background();
    let delivery = waiting.join().unwrap().unwrap();
    assert_eq!(delivery.attempts(), 2);
    assert_eq!(values(&cluster), ["first", "second"]);
}

#[test]
fn a_send_completes_although_nobody_drives_the_runtime_of_the_tasks() {
    let (_brokers, cluster, config) = cluster();
    let home = lazy();
    let producer = home.block_on(Producer::connect(&ctx(10 * SECOND), config)).unwrap();
    home.block_on(producer.send_message(&ctx(10 * SECOND), "k", "0")).unwrap();
    for number in 1..5 {
        send_elsewhere(&producer, &number.to_string(), 2 * SECOND).unwrap();
    }
    // And back again.
    home.block_on(producer.send_message(&ctx(10 * SECOND), "k", "5")).unwrap();
    assert_eq!(values(&cluster), ["0", "1", "2", "3", "4", "5"]);
}

#[test]
fn what_was_left_in_a_runtime_that_nobody_drives_is_delivered_when_somebody_waits_for_it() {
    let (_brokers, cluster, config) = cluster();
    let home = lazy();
    let producer = home.block_on(Producer::connect(&ctx(10 * SECOND), config)).unwrap();
    let receipt = home.block_on(producer.enqueue(&Context::background(), Message::new("left"))).unwrap();
    lazy().block_on(async { tokio::time::timeout(2 * SECOND, receipt).await.unwrap().unwrap() });
    let left = home.block_on(producer.enqueue(&Context::background(), Message::new("flushed"))).unwrap();
    drop(left);
    lazy().block_on(producer.flush(&ctx(2 * SECOND))).unwrap();
    assert_eq!(values(&cluster), ["left", "flushed"]);
}

#[test]
fn close_returns_by_its_context_whatever_became_of_the_runtime() {
    for driven_home in [true, false] {
        let (_brokers, cluster, config) = cluster();
        let home = if driven_home { driven() } else { lazy() };
        let producer = home.block_on(Producer::connect(&ctx(10 * SECOND), config)).unwrap();
        cluster.inject(Rule::on(Api::Produce).always(), Fault::Silence);
        let receipt = home.block_on(producer.enqueue(&Context::background(), Message::new("lost"))).unwrap();
        let started = Instant::now();
        let limit = Duration::from_millis(600);
        let closed = lazy().block_on(producer.close(&ctx(limit)));
        assert!(started.elapsed() < limit + LATE, "{:?}", started.elapsed());
        assert_eq!(closed.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
        let error = lazy().block_on(receipt).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
}

#[test]
fn without_any_runtime_each_call_fails_with_one_clear_error_and_accepts_nothing() {
    let (_brokers, _cluster, config) = cluster();
    let producer = Producer::new(config).unwrap();
    let block_on = futures_executor_block_on::<Result<()>>;
    let clear = |error: rskafka_producer::Error| {
        assert_eq!((error.kind(), error.fate()), (ErrorKind::InvalidConfig, Fate::NotPersisted), "{error}");
        assert!(error.to_string().contains("tokio runtime"), "{error}");
    };
    let error = producer.try_enqueue(Message::new("v")).unwrap_err();
    clear(error.clone());
    assert!(error.into_message().is_some());
    let limited = ctx(SECOND);
    for ctx in [&Context::background(), &limited] {
        clear(
            block_on(Box::pin(async { producer.send(ctx, Message::new("v")).await.map(drop) })).unwrap_err(),
        );
        clear(
            block_on(Box::pin(async { producer.enqueue(ctx, Message::new("v")).await.map(drop) }))
                .unwrap_err(),
        );
        clear(block_on(Box::pin(producer.health(ctx))).unwrap_err());
        block_on(Box::pin(producer.flush(ctx))).unwrap();
    }
    assert_eq!(producer.stats().records_accepted, 0);
    block_on(Box::pin(producer.close(&limited))).unwrap();
}

/// Polls on this thread, on which there is no runtime, until the future is ready.
fn futures_executor_block_on<T>(mut future: Pin<Box<dyn Future<Output = T> + '_>>) -> T {
    struct Thread(std::thread::Thread);
    impl std::task::Wake for Thread {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Thread(std::thread::current())));
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Poller::from_waker(&waker)) {
            return done;
        }
        std::thread::park();
    }
}

#[test]
fn a_thread_without_a_runtime_is_served_by_the_one_that_was_used_before() {
    let (_brokers, cluster, config) = cluster();
    let home = driven();
    let producer = home.block_on(Producer::connect(&ctx(10 * SECOND), config)).unwrap();
    let limited = ctx(5 * SECOND);
    let send = producer.send_message(&limited, "k", "v");
    futures_executor_block_on(Box::pin(send)).unwrap();
    cluster.inject(Rule::on(Api::Produce).always(), Fault::Silence);
    let started = Instant::now();
    let short = ctx(Duration::from_millis(300));
    let error = futures_executor_block_on(Box::pin(producer.send_message(&short, "k", "v"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    assert!(started.elapsed() < Duration::from_millis(300) + LATE, "{:?}", started.elapsed());
    // When that one ends too, nothing can be done any more, and that is said.
    let receipt = producer.try_enqueue(Message::new("stranded")).unwrap();
    let waiting = std::thread::spawn(move || futures_executor_block_on(Box::pin(receipt)));
    home.shutdown_timeout(SECOND);
    let error = waiting.join().unwrap().unwrap_err();
    assert!(error.to_string().contains("runtime"), "{error}");
    assert!(producer.try_enqueue(Message::new("v")).is_err());
}

#[test]
fn a_runtime_without_timers_is_refused() {
    let (_brokers, _cluster, config) = cluster();
    let runtime = Builder::new_current_thread().build().unwrap();
    let producer = Producer::new(config).unwrap();
    let error = runtime.block_on(producer.send(&Context::background(), Message::new("v"))).unwrap_err();
    assert!(error.to_string().contains("enable_all"), "{error}");
}

#[test]
fn tasks_stay_on_the_configured_runtime() {
    let (_brokers, cluster, config) = cluster();
    let home = driven();
    let producer = Producer::new(config.runtime(home.handle().clone())).unwrap();
    // From a thread without a runtime, and from runtimes that come and go.
    let receipt = loop {
        match producer.try_enqueue(Message::new("0")) {
            Ok(receipt) => break receipt,
            Err(error) => assert_eq!(error.kind(), ErrorKind::UnknownTopic, "{error}"),
        }
        std::thread::yield_now();
    };
    futures_executor_block_on(Box::pin(receipt)).unwrap();
    for number in 1..4 {
        send_elsewhere(&producer, &number.to_string(), 2 * SECOND).unwrap();
    }
    assert_eq!(cluster.connections_accepted(0), 1, "its connection lives as long as the configured runtime");
    home.shutdown_timeout(SECOND);
    let error = send_elsewhere(&producer, "late", SECOND).unwrap_err();
    assert!(error.to_string().contains("ProducerConfig::runtime"), "{error}");
    assert_eq!(values(&cluster), ["0", "1", "2", "3"]);
}

#[test]
fn a_future_that_is_begun_on_one_runtime_ends_on_another() {
    let (_brokers, cluster, config) = cluster();
    let first = lazy();
    let producer = first.block_on(Producer::connect(&ctx(10 * SECOND), config)).unwrap();
    let limited = ctx(10 * SECOND);
    let mut send = Box::pin(producer.send(&limited, Message::new("carried over")));
    assert!(first.block_on(async { poll_once(&mut send) }).is_pending());
    drop(first);
    lazy().block_on(async { tokio::time::timeout(3 * SECOND, send).await.unwrap().unwrap() });
    assert_eq!(values(&cluster), ["carried over"]);
}

#[test]
fn a_send_that_is_never_polled_again_holds_up_nobody() {
    let (_brokers, cluster, config) = cluster();
    let runtime = lazy();
    runtime.block_on(async {
        let producer = Producer::new(config).unwrap();
        let background = Context::background();
        // The first of all: it would have connected, and fetched the topic's metadata, for everybody.
        let mut left = pin!(producer.send(&background, Message::new("left")));
        assert!(poll_once(&mut left).is_pending());
        let limited = ctx(2 * SECOND);
        producer.send(&limited, Message::new("after")).await.unwrap();
        producer.health(&limited).await.unwrap();
        producer.flush(&limited).await.unwrap();
    });
    assert!(values(&cluster).contains(&"after".to_owned()));
}

#[test]
fn a_task_that_panics_is_started_again_within_a_second_and_its_batches_return() {
    let (_brokers, cluster, config) = cluster();
    let lines = crate::logging::Lines::default();
    let runtime = lazy();
    runtime.block_on(async {
        let producer = Producer::connect(&ctx(10 * SECOND), config.logger(lines.logger())).await.unwrap();
        producer.send_message(&ctx(SECOND), "k", "0").await.unwrap();
        for round in 1..4u64 {
            // One that is in flight, and one that waits.
            cluster.inject(Rule::on(Api::Produce), Fault::Delay(SECOND / 5));
            let before = cluster.requests(Api::Produce);
            let in_flight = producer.enqueue(&ctx(10 * SECOND), Message::new("a")).await.unwrap();
            cluster.wait_until(|cluster| cluster.requests(Api::Produce) > before).await;
            let waits = producer.enqueue(&ctx(10 * SECOND), Message::new("b")).await.unwrap();
            let started = Instant::now();
            let tasks = producer.tasks();
            let broker = tasks.iter().find(|task| task.name.starts_with("broker")).unwrap();
            producer.panic_task(&broker.name);
            for receipt in [in_flight, waits] {
                receipt.await.unwrap();
            }
            assert!(started.elapsed() < 5 * SECOND, "{:?}", started.elapsed());
            assert_eq!(producer.stats().task_restarts, round);
        }
        producer.close(&ctx(SECOND)).await.unwrap();
    });
    assert_eq!(
        values(&cluster),
        ["0", "a", "b", "a", "b", "a", "b"],
        "nothing lost, nothing twice, in order"
    );
    let panics: Vec<_> = lines.all().into_iter().filter(|line| line["event"] == "task.panicked").collect();
    assert_eq!(panics.len(), 3, "{panics:?}");
    assert!(panics[0]["task"].as_str().unwrap().starts_with("broker"), "{panics:?}");
    assert_eq!((panics[0]["level"].as_str(), panics[0]["restarts"].as_bool()), (Some("ERROR"), Some(true)));
}

/// How a message ended.
type Fated = (String, Result<(), Fate>);

/// Runtimes that come, go and stand still, sends that move between them: one seed.
fn comings_and_goings(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (_brokers, cluster, config) = cluster();
    let producer = Producer::new(config).unwrap();
    let mut runtimes: Vec<Runtime> = vec![lazy()];
    let mut fated: Vec<Fated> = Vec::new();
    let mut receipts = Vec::new();
    let mut begun = Vec::new();
    for number in 0..random.usize(8..20) {
        let value = number.to_string();
        let at = random.usize(..runtimes.len());
        let limit = Duration::from_millis(random.u64(200..3_000));
        let started = Instant::now();
        let late = |what: &str| {
            let took = started.elapsed();
            assert!(took < limit + LATE, "seed {seed}: {what} {number} took {took:?} of {limit:?}");
        };
        match random.u8(..8) {
            0 | 1 => {
                let sent = runtimes[at].block_on(producer.send(&ctx(limit), Message::new(value.clone())));
                late("send");
                fated.push((value, sent.map(drop).map_err(|error| error.fate())));
            }
            2 => match runtimes[at].block_on(producer.enqueue(&ctx(limit), Message::new(value.clone()))) {
                Ok(receipt) => receipts.push((value, receipt)),
                Err(error) => fated.push((value, Err(error.fate()))),
            },
            3 => {
                // Begun here, finished elsewhere.
                let (producer, text) = (producer.clone(), value.clone());
                let send = async move { producer.send(&ctx(5 * SECOND), Message::new(text)).await };
                let mut send: Pin<Box<dyn Future<Output = Result<Delivery>> + Send>> = Box::pin(send);
                match runtimes[at].block_on(async { poll_once(&mut send) }) {
                    Poll::Ready(sent) => fated.push((value, sent.map(drop).map_err(|error| error.fate()))),
                    Poll::Pending => begun.push((value, send)),
                }
            }
            4 => runtimes.push(if random.bool() { lazy() } else { driven() }),
            5 if runtimes.len() > 1 => runtimes.swap_remove(at).shutdown_background(),
            6 => {
                _ = runtimes[at].block_on(producer.flush(&ctx(limit)));
                late("flush");
            }
            _ => {
                _ = runtimes[at].block_on(producer.health(&ctx(limit)));
                late("health");
            }
        }
        match random.u8(..10) {
            0 => cluster.cut_connections(0),
            1 => cluster.inject(Rule::on(Api::Produce), Fault::Disconnect.after_apply()),
            2 => cluster.inject(Rule::on(Api::Produce), Fault::Delay(Duration::from_millis(150))),
            _ => {}
        }
    }
    let last = if random.bool() { lazy() } else { driven() };
    for (value, send) in begun {
        let started = Instant::now();
        let sent = last.block_on(send);
        assert!(started.elapsed() < 5 * SECOND + LATE, "seed {seed}: {value}");
        fated.push((value, sent.map(drop).map_err(|error| error.fate())));
    }
    for (value, receipt) in receipts {
        let started = Instant::now();
        let sent = last.block_on(receipt);
        assert!(started.elapsed() < 3 * SECOND + LATE, "seed {seed}: receipt {value}");
        fated.push((value, sent.map(drop).map_err(|error| error.fate())));
    }
    let started = Instant::now();
    last.block_on(producer.close(&ctx(10 * SECOND))).unwrap();
    assert!(started.elapsed() < 10 * SECOND, "seed {seed}: close");
    let stored = values(&cluster);
    for (value, fate) in fated {
        let copies = stored.iter().filter(|stored| **stored == value).count();
        let right = match fate {
            Ok(()) => copies == 1,
            Err(Fate::NotPersisted) => copies == 0,
            Err(Fate::PossiblyPersisted) => copies <= 1,
        };
        assert!(right, "seed {seed}: {value} is {fate:?} and stored {copies} times: {stored:?}");
    }
}

#[test]
fn whatever_runtimes_come_and_go_calls_end_in_time_and_fates_are_true() {
    let count = seeds(500);
    let next = std::sync::atomic::AtomicU64::new(0);
    let failed = parking_lot::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if seed >= count {
                        return;
                    }
                    if catch_unwind(AssertUnwindSafe(|| comings_and_goings(seed))).is_err() {
                        failed.lock().push(seed);
                    }
                }
            });
        }
    });
    assert!(failed.lock().is_empty(), "{:?} of {count} seeds failed", failed.lock());
}
