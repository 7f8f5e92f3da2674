//! What brokers do to a producer, on a paused clock: the rows of the table in `docs/resilience.md`, by their numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{
    BatchConfig, BufferConfig, BulkheadConfig, CircuitBreakerConfig, Context, ErrorCode, ErrorKind, Fate,
    Message, OpenCircuit, Producer, ProducerConfig, RateLimitConfig, TimeoutConfig,
};
use tokio::time::Instant;

use crate::logging::Lines;
use crate::support::{LATE, SECOND, assert_numbers_in_order, ctx, seeds};

pub(crate) async fn producer(config: ProducerConfig) -> Producer {
    Producer::connect(&ctx(30 * SECOND), config).await.unwrap()
}

async fn cluster(brokers: usize, partitions: i32) -> FakeCluster {
    FakeCluster::builder().brokers(brokers).topic("t", partitions).start().await.unwrap()
}

fn to(partition: i32, value: impl Into<bytes::Bytes>) -> Message {
    Message::new(value).to("t").partition(partition)
}

/// F4: the leader moves between the first look at the cluster and the first send.
#[tokio::test(start_paused = true)]
async fn f4_a_leader_that_moves_before_the_first_send_is_found_within_a_second() {
    let cluster = cluster(3, 1).await;
    let producer = producer(ProducerConfig::new(cluster.bootstrap()).topic("t")).await;
    cluster.move_leader("t", 0, 2);
    let started = Instant::now();
    producer.send_message(&ctx(10 * SECOND), "k", "v").await.unwrap();
    assert!(started.elapsed() < SECOND, "{:?}", started.elapsed());
    assert!(cluster.requests(Api::Metadata) <= 5);
}

/// F5: every broker is down for a minute.
#[tokio::test(start_paused = true)]
async fn f5_while_every_broker_is_down_connects_are_few_and_everything_is_delivered_afterwards() {
    let cluster = cluster(2, 2).await;
    let producer = producer(ProducerConfig::new(cluster.bootstrap())).await;
    producer.send(&ctx(SECOND), to(0, "0")).await.unwrap();
    for node in 0..2 {
        cluster.reset_connections(node);
    }
    let before = [cluster.connections_accepted(0), cluster.connections_accepted(1)];
    let mut receipts = Vec::new();
    for second in 1..60u32 {
        for partition in 0..2 {
            let number = second * 2 + partition as u32;
            receipts
                .push(producer.enqueue(&ctx(300 * SECOND), to(partition, number.to_string())).await.unwrap());
        }
        tokio::time::sleep(SECOND).await;
    }
    for node in 0..2 {
        let connects = cluster.connections_accepted(node) - before[node as usize];
        assert!(connects <= 120, "{connects} connects to broker {node} in a minute");
        cluster.behave(node);
    }
    for receipt in receipts {
        receipt.await.unwrap();
    }
    assert_numbers_in_order(&cluster.all_records("t"), 1 + 59 * 2);
}

/// F5: with `fail_fast` nobody waits for a broker that is known to be down.
#[tokio::test(start_paused = true)]
async fn f5_with_fail_fast_an_open_circuit_answers_at_once() {
    let cluster = cluster(1, 1).await;
    let breaker = CircuitBreakerConfig::default().when_open(OpenCircuit::FailFast);
    let producer = producer(ProducerConfig::new(cluster.bootstrap()).circuit_breaker(breaker)).await;
    producer.send(&ctx(SECOND), to(0, "v")).await.unwrap();
    cluster.stop(0).await;
    let first = producer.send(&ctx(60 * SECOND), to(0, "v")).await.unwrap_err();
    assert_eq!(
        (first.code(), first.kind()),
        (ErrorCode::BrokersUnavailable, ErrorKind::CircuitOpen),
        "{first}"
    );
    assert!(producer.health(&ctx(SECOND)).await.is_err());
    let started = Instant::now();
    for _ in 0..100 {
        let error = producer.send(&ctx(60 * SECOND), to(0, "v")).await.unwrap_err();
        assert_eq!((error.kind(), error.fate()), (ErrorKind::CircuitOpen, Fate::NotPersisted));
        assert!(error.retry_after().is_some_and(|after| after <= 6 * SECOND));
        assert!(error.into_message().is_some());
    }
    assert!(started.elapsed() <= Duration::from_millis(5), "{:?}", started.elapsed());
    assert_eq!(producer.stats().breaker_opened, 2, "the only broker's, and the cluster's");
    cluster.start(0).unwrap();
    tokio::time::sleep(8 * SECOND).await;
    producer.send(&ctx(60 * SECOND), to(0, "v")).await.unwrap();
    producer.health(&ctx(SECOND)).await.unwrap();
}

/// F6: the brokers come back at other addresses, which only the bootstrap entry still reaches.
#[tokio::test(start_paused = true)]
async fn f6_brokers_at_new_addresses_are_found_through_the_bootstrap_list() {
    let cluster = cluster(3, 3).await;
    let producer = producer(ProducerConfig::new(cluster.bootstrap())).await;
    for partition in 0..3 {
        producer.send(&ctx(SECOND), to(partition, "before")).await.unwrap();
    }
    for node in 0..3 {
        cluster.stop(node).await;
    }
    cluster.start(0).unwrap();
    for node in 1..3 {
        cluster.start_elsewhere(node).unwrap();
    }
    let started = Instant::now();
    for partition in 0..3 {
        producer.send(&ctx(30 * SECOND), to(partition, "after")).await.unwrap();
    }
    assert!(started.elapsed() <= 10 * SECOND, "{:?}", started.elapsed());
}

/// F7: a hundred rounds of a broker that accepts and never answers.
#[tokio::test(start_paused = true)]
async fn f7_black_holes_end_within_the_request_timeout_and_leave_no_socket_behind() {
    let cluster = cluster(1, 1).await;
    let timeouts = TimeoutConfig::default().request(2 * SECOND).connect(2 * SECOND);
    let breaker = CircuitBreakerConfig::default().enabled(false);
    let config = ProducerConfig::new(cluster.bootstrap()).timeouts(timeouts).circuit_breaker(breaker);
    let producer = producer(config).await;
    producer.send(&ctx(SECOND), to(0, "warm")).await.unwrap();
    for round in 0..100u32 {
        cluster.black_hole(0);
        let started = Instant::now();
        let error = producer.send(&ctx(3 * SECOND), to(0, "lost")).await.unwrap_err();
        assert!(started.elapsed() <= 3 * SECOND + LATE, "{:?}", started.elapsed());
        assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
        cluster.behave(0);
        producer.send(&ctx(20 * SECOND), to(0, round.to_string())).await.unwrap();
        assert!(cluster.connections_open(0) <= 2, "{} sockets in round {round}", cluster.connections_open(0));
    }
}

/// F8: a broker stops reading in the middle of twenty megabytes.
#[tokio::test(start_paused = true)]
async fn f8_a_broker_that_stops_reading_ends_the_write_too() {
    let cluster = FakeCluster::builder().topic("t", 1).max_message_bytes(30 << 20).start().await.unwrap();
    let config = ProducerConfig::new(cluster.bootstrap())
        .batch(BatchConfig::default().max_bytes(25 << 20).max_request_bytes(26 << 20))
        .timeouts(TimeoutConfig::default().request(2 * SECOND));
    let producer = producer(config).await;
    producer.send(&ctx(10 * SECOND), to(0, "first")).await.unwrap();
    cluster.stop_reading(0);
    let started = Instant::now();
    let large = vec![b'x'; 20 << 20];
    let error = producer.send(&ctx(3 * SECOND), to(0, large)).await.unwrap_err();
    assert!(started.elapsed() <= 3 * SECOND + LATE);
    assert_eq!(error.fate(), Fate::PossiblyPersisted);
    cluster.behave(0);
    producer.send(&ctx(60 * SECOND), to(0, "again")).await.unwrap();
    assert_eq!(cluster.connections_open(0), 1);
}

/// F10: two hundred milliseconds of latency are no failure.
#[tokio::test(start_paused = true)]
async fn f10_latency_alone_costs_no_retry() {
    let cluster = cluster(1, 1).await;
    cluster.inject(Rule::on(Api::Produce).always(), Fault::Delay(Duration::from_millis(200)));
    let producer = producer(ProducerConfig::new(cluster.bootstrap())).await;
    for number in 0..50u32 {
        producer.send(&ctx(10 * SECOND), to(0, number.to_string())).await.unwrap();
    }
    let stats = producer.stats();
    assert_eq!((stats.retries, stats.breaker_opened), (0, 0));
}

/// F11: one of three brokers is black-holed.
#[tokio::test(start_paused = true)]
async fn f11_a_dead_broker_does_not_slow_the_others_down() {
    let rate = async |dead: bool| {
        let cluster = cluster(3, 3).await;
        let config = ProducerConfig::new(cluster.bootstrap()).bulkhead(BulkheadConfig::default());
        let producer = producer(config).await;
        for partition in 0..3 {
            producer.send(&ctx(10 * SECOND), to(partition, "warm")).await.unwrap();
        }
        // A broker's time, without which a paused clock would not move.
        cluster.inject(Rule::on(Api::Produce).always(), Fault::Delay(Duration::from_millis(5)));
        if dead {
            cluster.black_hole(0);
            drop(producer.enqueue(&ctx(300 * SECOND), to(0, "stuck")).await.unwrap());
        }
        let (started, mut sent) = (Instant::now(), 0);
        while started.elapsed() < 20 * SECOND {
            for partition in 1..3 {
                producer.send(&ctx(10 * SECOND), to(partition, "v")).await.unwrap();
                sent += 1;
            }
        }
        sent
    };
    let (healthy, with_dead) = (rate(false).await, rate(true).await);
    assert!(f64::from(with_dead) >= 0.95 * f64::from(healthy), "{with_dead} of {healthy}");
}

/// F11: the share of a topic keeps room for the others.
#[tokio::test(start_paused = true)]
async fn f11_a_dead_topic_takes_no_more_than_its_share_of_the_buffer() {
    let cluster = FakeCluster::builder().brokers(2).topic("t", 1).topic("dead", 2).start().await.unwrap();
    let config = ProducerConfig::new(cluster.bootstrap())
        .buffer(BufferConfig::default().max_bytes(4 << 20).max_wait(Duration::from_millis(100)))
        .bulkhead(BulkheadConfig::default().topic_share(0.5));
    let producer = producer(config).await;
    producer.send(&ctx(SECOND), Message::new("warm").to("dead").partition(1)).await.unwrap();
    cluster.remove_leader("dead", 1);
    cluster.cut_connections(1);
    let mut kept = 0;
    loop {
        let message = Message::new(vec![0; 10_000]).to("dead").partition(1);
        match producer.enqueue(&Context::background(), message).await {
            Ok(receipt) => drop(receipt),
            Err(error) => {
                assert_eq!((error.kind(), error.fate()), (ErrorKind::BufferFull, Fate::NotPersisted));
                break;
            }
        }
        kept += 1;
    }
    assert!((200..210).contains(&kept), "{kept} messages of 10 kB in half of 4 MiB");
    producer.send(&ctx(SECOND), to(0, "alive")).await.unwrap();
}

/// F15: for ten seconds too few replicas are in sync.
#[tokio::test(start_paused = true)]
async fn f15_a_weak_cluster_is_waited_for_and_no_breaker_opens() {
    for code in [7, 19, 20] {
        let cluster = cluster(1, 1).await;
        let producer = producer(ProducerConfig::new(cluster.bootstrap())).await;
        cluster.inject(Rule::on(Api::Produce).always(), Fault::Error(code));
        let receipt = producer.enqueue(&ctx(60 * SECOND), to(0, "v")).await.unwrap();
        tokio::time::sleep(10 * SECOND).await;
        cluster.heal();
        assert!(receipt.await.unwrap().attempts() > 5);
        let stats = producer.stats();
        assert_eq!(stats.breaker_opened, 0);
        assert!(stats.retries < 30, "{} retries in ten seconds", stats.retries);
    }
}

/// F18: answers that are not Kafka, or not any more.
#[tokio::test(start_paused = true)]
async fn f18_nonsense_for_an_answer_neither_hangs_nor_loses_nor_duplicates() {
    for garbage in [
        vec![0xff; 64],
        vec![0, 0, 0, 0],
        vec![0, 0, 0, 4, 0, 0, 0, 0],
        vec![0x7f, 0xff, 0xff, 0xff],
        b"HTTP/1.1 502 Bad Gateway\r\n\r\n".to_vec(),
        vec![0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28],
        (0..255).collect(),
    ] {
        let cluster = cluster(1, 1).await;
        let timeouts = TimeoutConfig::default().request(2 * SECOND);
        let producer = producer(ProducerConfig::new(cluster.bootstrap()).timeouts(timeouts)).await;
        cluster.inject(Rule::on(Api::Produce), Fault::Garbage(garbage.clone()));
        producer.send(&ctx(20 * SECOND), to(0, "0")).await.unwrap();
        assert_eq!(cluster.high_watermark("t", 0), Some(1), "{garbage:?}");
    }
}

/// F18: answers mangled by a thousand seeds, of every request that a producer makes.
#[tokio::test(start_paused = true)]
async fn f18_mangled_answers_never_panic_or_hang() {
    for seed in 0..seeds(1_000) {
        let cluster = cluster(1, 1).await;
        let timeouts = TimeoutConfig::default().request(SECOND).connect(SECOND);
        let producer = Producer::new(ProducerConfig::new(cluster.bootstrap()).timeouts(timeouts)).unwrap();
        let random = parking_lot::Mutex::new(fastrand::Rng::with_seed(seed));
        cluster.on_request(move |_| {
            let mut random = random.lock();
            random.bool().then(|| Fault::Mangle(random.u64(..)))
        });
        let started = Instant::now();
        for number in 0..3u32 {
            // A mangled answer may say anything, even that the message was refused.
            drop(producer.send(&ctx(5 * SECOND), to(0, number.to_string())).await);
        }
        assert!(started.elapsed() <= 15 * SECOND + 3 * LATE, "seed {seed}: {:?}", started.elapsed());
    }
}

/// F20: a frozen process: the wall clock has moved, the monotonic one has not, and the peer is gone.
#[tokio::test(start_paused = true)]
async fn f20_after_a_freeze_the_first_send_uses_a_new_connection_and_duplicates_nothing() {
    let cluster = cluster(1, 1).await;
    let slept = Arc::new(AtomicU64::new(0));
    let clock = slept.clone();
    let config = ProducerConfig::new(cluster.bootstrap())
        .wall_clock(move || SystemTime::now() + Duration::from_secs(clock.load(Ordering::Relaxed)));
    let producer = producer(config).await;
    producer.send(&ctx(SECOND), to(0, "0")).await.unwrap();
    let connections = cluster.connections_accepted(0);
    // The old connection would swallow the message.
    cluster.inject(Rule::on(Api::Produce), Fault::Silence);
    slept.store(600, Ordering::Relaxed);
    cluster.heal();
    let started = Instant::now();
    producer.send(&ctx(10 * SECOND), to(0, "1")).await.unwrap();
    assert!(started.elapsed() <= Duration::from_millis(1_500));
    assert_eq!(
        cluster.connections_accepted(0),
        connections + 1,
        "an idle connection is replaced before its use"
    );
    assert_eq!(cluster.high_watermark("t", 0), Some(2));
}

/// F20: the same for a pause that both clocks have seen.
#[tokio::test(start_paused = true)]
async fn f20_a_connection_idle_for_too_long_is_replaced_before_it_is_used() {
    let cluster = cluster(1, 1).await;
    let producer = producer(ProducerConfig::new(cluster.bootstrap())).await;
    producer.send(&ctx(SECOND), to(0, "0")).await.unwrap();
    let connections = cluster.connections_accepted(0);
    tokio::time::advance(300 * SECOND).await;
    producer.send(&ctx(10 * SECOND), to(0, "1")).await.unwrap();
    assert_eq!(cluster.connections_accepted(0), connections + 1);
    assert_eq!(cluster.high_watermark("t", 0), Some(2));
}

/// F21: sends dropped at random moments, and producers closed among them.
#[tokio::test(start_paused = true)]
async fn f21_calls_dropped_at_any_moment_lose_nothing_that_was_acknowledged() {
    for seed in 0..200u64 {
        let cluster = cluster(1, 1).await;
        let producer = producer(ProducerConfig::new(cluster.bootstrap())).await;
        let mut random = fastrand::Rng::with_seed(seed);
        cluster.inject(Rule::on(Api::Produce).always(), Fault::Delay(Duration::from_millis(7)));
        let (mut acked, mut refused) = (Vec::new(), Vec::new());
        for number in 0..50u32 {
            let limit = Duration::from_millis(random.u64(..30));
            let ctx = ctx(Duration::from_millis(random.u64(1..30)));
            let send = producer.send(&ctx, to(0, number.to_string()));
            match tokio::time::timeout(limit, send).await {
                Ok(Ok(_)) => acked.push(number),
                Ok(Err(error)) if error.fate() == Fate::NotPersisted => refused.push(number),
                _ => {}
            }
        }
        let closed = producer.close(&ctx(Duration::from_millis(random.u64(..40)))).await;
        drop(closed);
        let stored: Vec<u32> = cluster
            .records("t", 0)
            .iter()
            .map(|r| std::str::from_utf8(r.value.as_deref().unwrap()).unwrap().parse().unwrap())
            .collect();
        assert!(acked.iter().all(|n| stored.contains(n)), "seed {seed}: lost");
        assert!(refused.iter().all(|n| !stored.contains(n)), "seed {seed}: phantom");
        assert!(stored.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}: {stored:?}");
    }
}

/// F22: more is sent than the limiter lets through.
#[tokio::test(start_paused = true)]
async fn f22_the_rate_is_kept_and_the_buffer_is_never_larger_than_its_bound() {
    let cluster = cluster(1, 1).await;
    let bound = 1 << 20;
    let config = ProducerConfig::new(cluster.bootstrap())
        .batch(BatchConfig::default().max_bytes(20_000))
        .buffer(BufferConfig::default().max_bytes(bound))
        .rate_limit(RateLimitConfig::default().records_per_second(Some(1_000.0)));
    let producer = producer(config).await;
    let started = Instant::now();
    for number in 0..20_000u32 {
        drop(producer.enqueue(&ctx(300 * SECOND), to(0, format!("{number:0>100}"))).await.unwrap());
        assert!(producer.stats().buffer_bytes <= bound);
    }
    producer.flush(&ctx(300 * SECOND)).await.unwrap();
    let rate = 20_000.0 / started.elapsed().as_secs_f64();
    assert!((950.0..=1_050.0).contains(&rate), "{rate} per second");
    assert_eq!(cluster.high_watermark("t", 0), Some(20_000));
}

/// F22: nobody waits for room longer than was allowed.
#[tokio::test(start_paused = true)]
async fn f22_a_full_buffer_pushes_back_in_its_time_and_hands_the_message_back() {
    let cluster = cluster(1, 1).await;
    let buffer = BufferConfig::default().max_bytes(1 << 20).max_wait(2 * SECOND);
    let producer = producer(ProducerConfig::new(cluster.bootstrap()).buffer(buffer)).await;
    producer.send(&ctx(SECOND), to(0, "first")).await.unwrap();
    cluster.black_hole(0);
    let mut accepted = 0;
    let (error, took) = loop {
        let started = Instant::now();
        match producer.enqueue(&Context::background(), to(0, vec![0; 10_000])).await {
            Ok(receipt) => drop(receipt),
            Err(error) => break (error, started.elapsed()),
        }
        accepted += 1;
    };
    assert!((100..=104).contains(&accepted), "{accepted} messages of 10 kB in 1 MiB");
    assert!(took <= 2 * SECOND + LATE, "{took:?}");
    assert_eq!((error.kind(), error.fate()), (ErrorKind::BufferFull, Fate::NotPersisted));
    assert_eq!(error.into_message().unwrap().value.unwrap().len(), 10_000);
    let refused = producer.try_enqueue(to(0, vec![0; 10_000])).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::BufferFull);
}

/// F23: a broker that is up for a second and down for a second, for a minute.
#[tokio::test(start_paused = true)]
async fn f23_a_flapping_broker_is_neither_hammered_nor_probed_with_records() {
    let cluster = cluster(1, 1).await;
    let lines = Lines::default();
    let producer = producer(ProducerConfig::new(cluster.bootstrap()).logger(lines.logger())).await;
    let feeding = tokio::spawn({
        let producer = producer.clone();
        async move {
            let mut receipts = Vec::new();
            for number in 0..600u32 {
                let message = to(0, number.to_string());
                receipts.push(producer.enqueue(&ctx(300 * SECOND), message).await.unwrap());
                tokio::time::sleep(SECOND / 10).await;
            }
            for receipt in receipts {
                receipt.await.unwrap();
            }
        }
    });
    for _ in 0..30 {
        cluster.reset_connections(0);
        tokio::time::sleep(SECOND).await;
        cluster.behave(0);
        tokio::time::sleep(SECOND).await;
    }
    feeding.await.unwrap();
    let events = lines.all();
    let opened = |whose: &str| {
        events.iter().filter(|e| e["event"] == "breaker.opened" && e["broker"] == whose).count()
    };
    // The broker's own, and that of the cluster, which has no other.
    for whose in [&*cluster.bootstrap()[0], "cluster"] {
        eprintln!("F23: the breaker of {whose} opened {} times in a minute", opened(whose));
        assert!(opened(whose) <= 10, "{whose}: {}", opened(whose));
    }
    assert_numbers_in_order(&cluster.all_records("t"), 600);
}

/// F24: partitions are added, and used once metadata is old enough to be refreshed.
#[tokio::test(start_paused = true)]
async fn f24_added_partitions_are_used_within_the_age_of_metadata() {
    let cluster = cluster(1, 1).await;
    let timeouts = TimeoutConfig::default().metadata_age(10 * SECOND);
    let producer = producer(ProducerConfig::new(cluster.bootstrap()).timeouts(timeouts)).await;
    producer.send(&ctx(SECOND), to(0, "v")).await.unwrap();
    cluster.grow_topic("t", 3);
    let error = producer.send(&ctx(SECOND), to(2, "v")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownPartition);
    tokio::time::sleep(11 * SECOND).await;
    producer.send(&ctx(SECOND), to(0, "v")).await.unwrap();
    cluster.wait_until(|cluster| cluster.requests(Api::Metadata) >= 2).await;
    tokio::time::sleep(SECOND).await;
    producer.send(&ctx(SECOND), to(2, "v")).await.unwrap();
}
