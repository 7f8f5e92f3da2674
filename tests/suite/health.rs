//! What a producer says of its health, as its brokers come and go.

use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{
    Context, ErrorCode, Health, HealthCheck, HealthKind, HealthRegistry, Message, Producer, ProducerConfig,
    Registration, Status,
};
use serde_json::Value;
use tokio::time::Instant;

use crate::support::{SECOND, ctx};

async fn producer(cluster: &FakeCluster) -> Producer {
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t");
    Producer::connect(&ctx(10 * SECOND), config).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn recent_deliveries_are_evidence_enough_and_only_silence_is_probed_once_for_all() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = producer(&cluster).await;
    producer.send_message(&ctx(SECOND), "k", "v").await.unwrap();
    let before = cluster.requests(Api::Metadata);
    for _ in 0..10 {
        producer.health(&ctx(SECOND)).await.unwrap();
    }
    assert_eq!(cluster.requests(Api::Metadata), before, "no probe while messages get through");
    let connections = cluster.connections_accepted(0);
    tokio::time::sleep(40 * SECOND).await;
    let asked: Vec<_> = (0..20)
        .map(|_| {
            let producer = producer.clone();
            tokio::spawn(async move { producer.health(&ctx(SECOND)).await })
        })
        .collect();
    for asked in asked {
        asked.await.unwrap().unwrap();
    }
    assert_eq!(cluster.requests(Api::Metadata), before + 1, "one probe for twenty who ask");
    assert_eq!(cluster.connections_accepted(0), connections, "on the connection that stands");
}

#[tokio::test(start_paused = true)]
async fn callers_during_a_failing_probe_share_its_result() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = producer(&cluster).await;
    cluster.inject(Rule::on(Api::Metadata).always(), Fault::Silence);
    let started = Instant::now();
    let asked: Vec<_> = (0..5)
        .map(|_| {
            let producer = producer.clone();
            tokio::spawn(async move { producer.health(&ctx(30 * SECOND)).await })
        })
        .collect();
    for asked in asked {
        let error = asked.await.unwrap().unwrap_err();
        assert_eq!(error.code(), ErrorCode::BrokersUnavailable);
    }
    assert!(started.elapsed() <= 11 * SECOND, "not one after the other: {:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_registry_reports_an_outage_its_recovery_and_the_state_of_each_broker() {
    let cluster = FakeCluster::builder().brokers(3).topic("t", 3).start().await.unwrap();
    let producer = producer(&cluster).await;
    let registry = HealthRegistry::new().service_id("orders");
    registry.register(producer.clone()).unwrap();
    registry.register_with(Registration::default().kind(HealthKind::Liveness), producer.liveness()).unwrap();
    let look = async || {
        let report = registry.report(&Context::background()).await;
        let alive = registry.liveness(&Context::background()).await;
        assert_eq!(alive.status(), Status::Pass, "{}", alive.to_json());
        tokio::time::sleep(2 * SECOND).await;
        (report.status(), serde_json::from_str::<Value>(&report.to_json()).unwrap())
    };
    for partition in 0..3 {
        producer.send(&ctx(SECOND), Message::new("v").partition(partition)).await.unwrap();
    }
    let (status, json) = look().await;
    assert_eq!(status, Status::Pass);
    let breakers = json["checks"]["kafka-producer:circuitBreaker"].as_array().unwrap();
    assert_eq!(breakers.len(), 3, "{json}");
    assert!(breakers.iter().all(|b| b["observedValue"] == "closed" && b["status"] == "pass"));
    for shown in ["bufferUtilization", "unsettledMessages", "metadataAge", "lastSuccess", "requestsInFlight"]
    {
        assert!(json["checks"][format!("kafka-producer:{shown}")][0]["observedValue"].is_number(), "{shown}");
    }

    // One of three goes: degraded, and it is said which.
    cluster.stop(2).await;
    let waiting = producer.enqueue(&ctx(100 * SECOND), Message::new("late").partition(2)).await.unwrap();
    tokio::time::sleep(5 * SECOND).await;
    let (status, json) = look().await;
    assert_eq!(status, Status::Warn, "{json}");
    let gone = cluster.bootstrap()[2].clone();
    let breakers = json["checks"]["kafka-producer:circuitBreaker"].as_array().unwrap();
    let open: Vec<_> = breakers.iter().filter(|b| b["status"] == "warn").collect();
    assert_eq!(open.len(), 1, "{json}");
    assert_eq!(open[0]["componentId"], gone.as_str());
    assert!(json["checks"]["kafka-producer:responseTime"][0]["output"].as_str().unwrap().contains(&gone));

    // All go: down, and more so with each look.
    cluster.stop(0).await;
    cluster.stop(1).await;
    for failures in 1..=3 {
        let (status, json) = look().await;
        assert_eq!(status, Status::Fail);
        let check = &json["checks"]["kafka-producer:responseTime"][0];
        assert_eq!(check["consecutiveFailures"], failures);
        assert!(check["output"].as_str().unwrap().starts_with("KAFKA_BROKERS_UNAVAILABLE: "), "{json}");
    }
    for node in 0..3 {
        cluster.start(node).unwrap();
    }
    waiting.await.unwrap();
    let (status, json) = look().await;
    assert_eq!(status, Status::Pass, "{json}");
    producer.close(&ctx(SECOND)).await.unwrap();
    assert_eq!(look().await.0, Status::Fail);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_throttles_degrades_and_is_shown() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = producer(&cluster).await;
    cluster.inject(Rule::on(Api::Produce), Fault::Throttle(10 * SECOND));
    producer.send_message(&ctx(SECOND), "k", "v").await.unwrap();
    let health = producer.check(&ctx(SECOND)).await;
    assert!(matches!(&health, Health::Degraded(reason) if reason.contains("throttles")), "{health:?}");
    let throttled = producer.details().into_iter().find(|detail| detail.measurement == "throttled").unwrap();
    assert_eq!((throttled.component, throttled.status), (Some(cluster.bootstrap()[0].clone()), Status::Warn));
}

#[tokio::test(start_paused = true)]
async fn liveness_stays_up_while_every_broker_is_silent() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = producer(&cluster).await;
    cluster.black_hole(0);
    drop(producer.enqueue(&ctx(SECOND), Message::new("v")).await.unwrap());
    let seen = cluster.seen().len();
    let started = Instant::now();
    for _ in 0..20 {
        assert_eq!(producer.liveness().check(&ctx(SECOND)).await, Health::Up);
    }
    assert!(started.elapsed() < SECOND / 2, "{:?}", started.elapsed());
    assert!(cluster.seen().len() <= seen + 1, "liveness asks nobody anything");
}

/// `Liveness::check` ignored its context: asked directly, without a registry's time limit, it never came back where a task
/// does not run.
#[test]
fn liveness_ends_with_its_context_where_tasks_do_not_run() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (driven, brokers) = (runtime(), tokio::runtime::Runtime::new().unwrap());
    let cluster = brokers.block_on(FakeCluster::with_topic("t", 1)).unwrap();
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t").runtime(driven.handle().clone());
    let producer = Producer::new(config).unwrap();
    let liveness = producer.liveness();
    let health = driven.block_on(async {
        producer.send(&ctx(10 * SECOND), Message::new("v")).await.unwrap();
        liveness.check(&ctx(10 * SECOND)).await
    });
    assert_eq!(health, Health::Up);
    // Nobody drives that runtime now.
    let started = std::time::Instant::now();
    let health = runtime().block_on(liveness.check(&ctx(SECOND / 5)));
    assert!(matches!(&health, Health::Down { reason, .. } if reason.contains("do not run")), "{health:?}");
    assert!(started.elapsed() < 5 * SECOND, "{:?}", started.elapsed());
}
