//! Circuit breakers: of each broker, and of the cluster.

use std::time::Duration;

use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{
    BreakerState, CircuitBreakerConfig, ErrorCode, ErrorKind, Fate, Health, HealthCheck, Message,
    OpenCircuit, Producer, ProducerConfig,
};
use tokio::time::Instant;

use crate::logging::Lines;
use crate::support::{SECOND, ctx};

fn to(partition: i32) -> Message {
    Message::new("v").to("t").partition(partition)
}

async fn opens(producer: &Producer) {
    while producer.stats().breaker_opened == 0 {
        tokio::time::sleep(SECOND / 20).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_states_of_a_breaker_are_seen_in_health_stats_and_events() {
    let cluster = FakeCluster::builder().brokers(2).topic("t", 2).start().await.unwrap();
    let lines = Lines::default();
    let config = ProducerConfig::new(cluster.bootstrap()).logger(lines.logger());
    let producer = Producer::connect(&ctx(SECOND), config).await.unwrap();
    for partition in 0..2 {
        producer.send(&ctx(SECOND), to(partition)).await.unwrap();
    }
    let name = cluster.bootstrap()[0].clone();
    let state = || {
        let stats = producer.stats();
        stats.brokers.iter().find(|broker| broker.broker == name).map(|broker| broker.breaker).unwrap()
    };
    assert_eq!((state(), producer.check(&ctx(SECOND)).await), (BreakerState::Closed, Health::Up));
    cluster.stop(0).await;
    let receipt = producer.enqueue(&ctx(60 * SECOND), to(0)).await.unwrap();
    opens(&producer).await;
    assert_eq!(state(), BreakerState::Open);
    // The other broker delivers: degraded, and not down.
    let Health::Degraded(reason) = producer.check(&ctx(SECOND)).await else { panic!("degraded") };
    assert!(reason.contains(&name) && reason.contains("open"), "{reason}");
    cluster.start(0).unwrap();
    receipt.await.unwrap();
    assert_eq!((state(), producer.check(&ctx(SECOND)).await), (BreakerState::Closed, Health::Up));
    let events = lines.all();
    let of = |event: &str| events.iter().filter(|e| e["event"] == event && e["broker"] == *name).count();
    assert_eq!((of("breaker.opened"), of("breaker.closed")), (1, 1));
    let opened = events.iter().find(|e| e["event"] == "breaker.opened").unwrap();
    assert_eq!((opened["broker"].as_str(), opened["level"].as_str()), (Some(&*name), Some("WARN")));
}

#[tokio::test(start_paused = true)]
async fn a_half_open_breaker_makes_a_fixed_number_of_probes_without_records() {
    for probes in [1, 2, 5] {
        let cluster = FakeCluster::builder().brokers(2).topic("t", 2).start().await.unwrap();
        let breaker = CircuitBreakerConfig::default().probes(probes);
        let config = ProducerConfig::new(cluster.bootstrap()).circuit_breaker(breaker);
        let producer = Producer::connect(&ctx(SECOND), config).await.unwrap();
        // The second broker: metadata is asked of the first, which was connected to first.
        producer.send(&ctx(SECOND), to(0)).await.unwrap();
        producer.send(&ctx(SECOND), to(1)).await.unwrap();
        cluster.reset_connections(1);
        let mut receipts = Vec::new();
        for _ in 0..50 {
            receipts.push(producer.enqueue(&ctx(100 * SECOND), to(1)).await.unwrap());
        }
        opens(&producer).await;
        cluster.behave(1);
        let before = cluster.seen().len();
        for receipt in receipts {
            receipt.await.unwrap();
        }
        let seen: Vec<_> = cluster.seen()[before..].iter().filter(|r| r.node == 1).map(|r| r.api).collect();
        let first_record = seen.iter().position(|api| *api == Api::Produce).unwrap();
        let asked = seen[..first_record].iter().filter(|api| **api == Api::Metadata).count();
        assert_eq!(asked, probes as usize, "{seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_breaker_of_the_cluster_opens_when_nobody_answers_and_closes_by_itself() {
    let cluster = FakeCluster::builder().brokers(2).topic("t", 2).start().await.unwrap();
    let lines = Lines::default();
    let breaker = CircuitBreakerConfig::default().when_open(OpenCircuit::FailFast);
    let config = ProducerConfig::new(cluster.bootstrap()).circuit_breaker(breaker).logger(lines.logger());
    let producer = Producer::new(config).unwrap();
    for node in 0..2 {
        cluster.reset_connections(node);
    }
    // Nothing is known of the topic: only the cluster as a whole can be blamed.
    let error = producer.send(&ctx(60 * SECOND), to(0)).await.unwrap_err();
    assert_eq!(
        (error.code(), error.kind(), error.fate()),
        (ErrorCode::BrokersUnavailable, ErrorKind::CircuitOpen, Fate::NotPersisted),
        "{error}"
    );
    assert_eq!(producer.stats().cluster_breaker, BreakerState::Open);
    let unwell = producer.health(&ctx(SECOND)).await.unwrap_err();
    assert_eq!((unwell.code(), unwell.kind()), (ErrorCode::BrokersUnavailable, ErrorKind::CircuitOpen));
    let (started, asked) = (Instant::now(), cluster.connections_accepted(0));
    for _ in 0..100 {
        let error = producer.send(&ctx(60 * SECOND), to(0)).await.unwrap_err();
        assert!(error.retry_after().is_some() && error.into_message().is_some());
    }
    assert!(started.elapsed() <= Duration::from_millis(5), "{:?}", started.elapsed());
    assert_eq!(cluster.connections_accepted(0), asked);
    for node in 0..2 {
        cluster.behave(node);
    }
    tokio::time::sleep(7 * SECOND).await;
    producer.send(&ctx(SECOND), to(0)).await.unwrap();
    tokio::time::sleep(SECOND).await;
    assert_eq!(producer.stats().cluster_breaker, BreakerState::Closed);
    producer.health(&ctx(SECOND)).await.unwrap();
    let events = lines.all();
    let of = |event: &str| events.iter().filter(|e| e["event"] == event && e["broker"] == "cluster").count();
    assert_eq!((of("breaker.opened"), of("breaker.closed")), (1, 1), "{events:#?}");
    assert_eq!(cluster.requests(Api::Produce), 1, "no record was a probe");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_disabled_says_so_and_never_opens() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let breaker = CircuitBreakerConfig::default().enabled(false);
    let config = ProducerConfig::new(cluster.bootstrap()).circuit_breaker(breaker);
    let producer = Producer::connect(&ctx(SECOND), config).await.unwrap();
    cluster.inject(Rule::on(Api::Produce).times(20), Fault::Disconnect);
    producer.send(&ctx(100 * SECOND), to(0)).await.unwrap();
    let stats = producer.stats();
    assert_eq!((stats.breaker_opened, stats.cluster_breaker), (0, BreakerState::Disabled));
    assert_eq!(stats.brokers[0].breaker, BreakerState::Disabled);
}
