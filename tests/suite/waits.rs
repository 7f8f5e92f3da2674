//! Whatever waits says for what: by its receipt, in the explanation of the producer and in the health report.

use std::time::Duration;

use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{
    BatchConfig, BufferConfig, BulkheadConfig, CircuitBreakerConfig, Compression, Context, ErrorKind, Health,
    HealthCheck, Message, Producer, ProducerConfig, RateLimitConfig, Receipt, TimeoutConfig, Wait,
    WaitReason,
};

use crate::support::{SECOND, becomes_true, ctx};

fn message() -> Message {
    Message::new("v").to("t").partition(0)
}

async fn one() -> FakeCluster {
    FakeCluster::with_topic("t", 1).await.unwrap()
}

fn config(cluster: &FakeCluster) -> ProducerConfig {
    ProducerConfig::new(cluster.bootstrap()).topic("t")
}

/// A producer that has delivered a message.
async fn warm(config: ProducerConfig) -> Producer {
    let producer = Producer::connect(&ctx(30 * SECOND), config).await.unwrap();
    producer.send(&ctx(30 * SECOND), message()).await.unwrap();
    producer
}

async fn waiting(producer: &Producer) -> Receipt {
    producer.enqueue(&ctx(100 * SECOND), message()).await.unwrap()
}

/// What a receipt waits for after some time. The producer's explanation says the same.
async fn after(time: Duration, producer: &Producer, receipt: &Receipt) -> Wait {
    tokio::time::sleep(time).await;
    let wait = receipt.waiting_for().expect("not settled");
    let explained = producer.explain();
    let partition = &explained.partitions[0];
    assert_eq!((&*partition.topic, partition.partition), (receipt.topic(), receipt.partition()));
    assert!(partition.messages > 0 && partition.bytes > 0);
    assert_eq!(partition.wait.to_string(), wait.to_string());
    assert!(explained.to_string().contains(&wait.to_string()), "{explained}");
    print("receipt", &wait);
    wait
}

fn print(who: &str, what: &impl std::fmt::Display) {
    eprintln!("{who}: {what}");
}

fn assert_says(wait: &Wait, words: &[&str]) {
    let text = wait.to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
    assert!(!text.contains('\n'), "{text:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_in_an_idle_producer_nor_behind_a_settled_receipt() {
    let cluster = one().await;
    let producer = warm(config(&cluster)).await;
    let mut receipt = waiting(&producer).await;
    (&mut receipt).await.unwrap();
    assert!(receipt.waiting_for().is_none());
    let explanation = producer.explain();
    assert!(explanation.is_empty(), "{explanation:?}");
    assert_eq!(explanation.to_string(), "nothing is waiting");
    // Nor before it was ever used.
    assert!(Producer::new(config(&cluster)).unwrap().explain().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_message_without_a_leader_says_since_when() {
    let cluster = FakeCluster::builder().brokers(2).topic("t", 1).start().await.unwrap();
    let producer = warm(config(&cluster)).await;
    cluster.remove_leader("t", 0);
    let receipt = waiting(&producer).await;
    let wait = after(5 * SECOND, &producer, &receipt).await;
    assert_says(&wait, &["partition 0 of topic \"t\" has had no leader for 5.0 s"]);
    assert!(matches!(wait.reason(), WaitReason::NoLeader { partition: 0, .. }));
    let Health::Degraded(reason) = producer.check(&ctx(SECOND)).await else { panic!("not degraded") };
    assert!(reason.contains("has had no leader"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_breaker_says_for_how_long_and_after_what() {
    let cluster = FakeCluster::builder().brokers(2).topic("t", 2).start().await.unwrap();
    let breaker = CircuitBreakerConfig::default().consecutive_failures(3);
    let producer = warm(config(&cluster).circuit_breaker(breaker)).await;
    let broker = cluster.address(0).to_string();
    cluster.stop(0).await;
    let receipt = waiting(&producer).await;
    let wait = after(3 * SECOND, &producer, &receipt).await;
    assert_says(
        &wait,
        &[&broker, "the circuit breaker of", "is open for another", "3 failures in a row", "refused"],
    );
    let WaitReason::BreakerOpen { broker: Some(named), failures: 3, left, .. } = wait.reason() else {
        panic!("{wait:?}")
    };
    assert!(**named == broker && *left > Duration::ZERO && *left <= 6 * SECOND, "{wait:?}");
    assert!(wait.last_error().is_some());
    // The health report says the same.
    let Health::Degraded(reason) = producer.check(&ctx(SECOND)).await else { panic!("not degraded") };
    assert!(reason.contains(&format!("the circuit breaker of {broker} is open for another")), "{reason}");
    let explained = producer.explain();
    assert_eq!(&*explained.brokers[0].broker, broker.as_str());
    // No longer than it is true.
    cluster.start(0).unwrap();
    receipt.await.unwrap();
    tokio::time::sleep(SECOND).await;
    assert!(producer.explain().is_empty(), "{}", producer.explain());
}

#[tokio::test(start_paused = true)]
async fn a_half_open_circuit_breaker_says_that_it_probes() {
    let cluster = one().await;
    let breaker =
        CircuitBreakerConfig::default().consecutive_failures(1).open_for(SECOND).max_open_for(SECOND);
    let producer = warm(config(&cluster).circuit_breaker(breaker)).await;
    cluster.black_hole(0);
    cluster.cut_connections(0);
    let receipt = waiting(&producer).await;
    for _ in 0..400 {
        tokio::time::sleep(SECOND / 10).await;
        if matches!(receipt.waiting_for().unwrap().reason(), WaitReason::BreakerHalfOpen { .. }) {
            let wait = after(Duration::ZERO, &producer, &receipt).await;
            assert_says(&wait, &["is half open until a probe succeeds"]);
            return;
        }
    }
    panic!("never half open");
}

#[tokio::test(start_paused = true)]
async fn a_throttled_message_says_for_how_long() {
    let cluster = one().await;
    let producer = warm(config(&cluster)).await;
    cluster.inject(Rule::on(Api::Produce), Fault::Throttle(15 * SECOND));
    producer.send(&ctx(10 * SECOND), message()).await.unwrap();
    let receipt = waiting(&producer).await;
    let wait = after(3 * SECOND, &producer, &receipt).await;
    assert_says(&wait, &[&cluster.address(0).to_string(), "throttles this producer for another 12.0 s"]);
    assert!(matches!(wait.reason(), WaitReason::Throttled { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_rate_limited_message_says_for_how_long() {
    let cluster = one().await;
    let rate = RateLimitConfig::default().records_per_second(Some(1.0));
    let producer = warm(config(&cluster).rate_limit(rate)).await;
    for _ in 0..5 {
        drop(waiting(&producer).await);
    }
    tokio::time::sleep(SECOND).await;
    let receipt = waiting(&producer).await;
    let wait = after(SECOND, &producer, &receipt).await;
    assert_says(&wait, &["rate_limit has delayed requests for", "for another"]);
    let WaitReason::RateLimit { left, .. } = wait.reason() else { panic!("{wait:?}") };
    assert!(*left > Duration::ZERO, "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn unanswered_requests_are_counted_and_the_oldest_named() {
    let cluster = one().await;
    let producer = warm(config(&cluster).batch(BatchConfig::default().max_bytes(200))).await;
    cluster.inject(Rule::on(Api::Produce).always(), Fault::Silence);
    let mut receipts = Vec::new();
    for _ in 0..20 {
        receipts.push(producer.enqueue(&ctx(100 * SECOND), message()).await.unwrap());
        tokio::time::sleep(SECOND / 10).await;
    }
    let wait = after(6 * SECOND, &producer, &receipts[19]).await;
    let broker = cluster.address(0).to_string();
    assert_says(&wait, &[&broker, "has not answered for 8.0 s: 5 requests in flight, the oldest for 8.0 s"]);
    let WaitReason::Response { in_flight: 5, oldest, silent, .. } = wait.reason() else { panic!("{wait:?}") };
    assert!(*oldest == 8 * SECOND && *silent == 8 * SECOND, "{wait:?}");
    assert_eq!(producer.explain().brokers.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_broker_is_not_called_silent() {
    let cluster = one().await;
    let producer = warm(config(&cluster)).await;
    cluster.inject(Rule::on(Api::Produce).always(), Fault::Delay(2 * SECOND));
    let receipt = waiting(&producer).await;
    let wait = after(SECOND / 2, &producer, &receipt).await;
    assert_says(&wait, &["1 request in flight to", &cluster.address(0).to_string(), "for 0.5 s"]);
    receipt.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_for_a_broker_that_cannot_be_reached_says_so_with_the_cause() {
    let cluster = one().await;
    let breaker = CircuitBreakerConfig::default().enabled(false);
    let producer = warm(config(&cluster).circuit_breaker(breaker)).await;
    let broker = cluster.address(0).to_string();
    cluster.stop(0).await;
    let receipt = waiting(&producer).await;
    // A paused clock runs ahead of the socket, which has to be refused first.
    let refused = || receipt.waiting_for().is_some_and(|wait| wait.to_string().contains("refused"));
    becomes_true(refused, "the broker refuses").await;
    let mut seen = false;
    for _ in 0..50 {
        let wait = after(SECOND / 10, &producer, &receipt).await;
        seen |= matches!(wait.reason(), WaitReason::Disconnected { .. });
        assert_says(&wait, &[&broker, "refused"]);
    }
    assert!(seen);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_takes_long_is_named() {
    let cluster = FakeCluster::builder().brokers(2).topic("t", 2).start().await.unwrap();
    let producer = Producer::connect(&ctx(10 * SECOND), config(&cluster)).await.unwrap();
    // The other broker is the one that was connected to, or not: both are silent from here on.
    for node in 0..2 {
        cluster.black_hole(node);
        cluster.cut_connections(node);
    }
    let receipt = waiting(&producer).await;
    let wait = after(3 * SECOND, &producer, &receipt).await;
    assert_says(&wait, &["connecting to", &cluster.address(0).to_string(), "has taken", "so far"]);
}

#[tokio::test(start_paused = true)]
async fn a_producer_id_that_is_not_granted_is_named_with_the_cause() {
    let cluster = one().await;
    cluster.inject(Rule::on(Api::InitProducerId).always(), Fault::Error(15));
    let producer = Producer::connect(&ctx(10 * SECOND), config(&cluster)).await.unwrap();
    let receipt = waiting(&producer).await;
    let wait = after(2 * SECOND, &producer, &receipt).await;
    assert_says(&wait, &["has not granted a producer id yet", "COORDINATOR_NOT_AVAILABLE"]);
    assert_eq!(wait.reason(), &WaitReason::ProducerId);
}

#[tokio::test(start_paused = true)]
async fn a_refused_batch_says_how_often_it_was_tried_and_when_it_is_again() {
    let cluster = one().await;
    let producer = warm(config(&cluster)).await;
    cluster.inject(Rule::on(Api::Produce).always(), Fault::Error(19));
    let receipt = waiting(&producer).await;
    let wait = after(3 * SECOND, &producer, &receipt).await;
    assert_says(&wait, &["has not accepted the batch in", "the next is due in", "NOT_ENOUGH_REPLICAS"]);
    let WaitReason::Retry { attempts, .. } = wait.reason() else { panic!("{wait:?}") };
    assert!(*attempts > 1, "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_lingers_says_for_how_long() {
    let cluster = one().await;
    let producer = warm(config(&cluster).batch(BatchConfig::default().linger(4 * SECOND))).await;
    cluster.inject(Rule::on(Api::Produce), Fault::Delay(900 * SECOND / 1_000));
    let first = waiting(&producer).await;
    tokio::time::sleep(SECOND / 10).await;
    let receipt = waiting(&producer).await;
    let wait = after(SECOND / 2, &producer, &receipt).await;
    assert_says(&wait, &["the batch lingers for another 3.5 s"]);
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn a_topic_without_metadata_says_since_when_and_why() {
    let cluster = FakeCluster::builder().topic("t", 1).topic("x", 1).start().await.unwrap();
    let producer = warm(config(&cluster)).await;
    cluster.stop(0).await;
    let calling = tokio::spawn({
        let producer = producer.clone();
        async move { producer.send(&ctx(6 * SECOND), Message::new("v").to("x")).await }
    });
    tokio::time::sleep(3 * SECOND).await;
    let explained = producer.explain();
    print("explanation", &explained);
    let topic = &explained.topics[0];
    assert_eq!(&*topic.topic, "x");
    assert_says(&topic.wait, &["no metadata for topic \"x\" after 3.0 s", "refused"]);
    let error = calling.await.unwrap().unwrap_err();
    assert!(matches!(error.wait_reason(), Some(WaitReason::Metadata { .. })), "{error:?}");
    assert!(error.to_string().contains("\"x\"") && error.to_string().contains("refused"));
    tokio::time::sleep(60 * SECOND).await;
    assert!(producer.explain().topics.is_empty(), "{}", producer.explain());
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_says_how_full_it_is_and_which_topic_fills_it() {
    let cluster = FakeCluster::builder().topic("t", 1).topic("y", 1).start().await.unwrap();
    let buffer = BufferConfig::default().max_bytes(2 << 20).max_wait(5 * SECOND);
    let producer = warm(config(&cluster).buffer(buffer)).await;
    producer.send(&ctx(10 * SECOND), Message::new("v").to("y")).await.unwrap();
    cluster.black_hole(0);
    let mut receipts = vec![waiting(&producer).await];
    while let Ok(receipt) = producer.try_enqueue(Message::new(vec![0; 100_000]).to("y")) {
        receipts.push(receipt);
    }
    let calling = tokio::spawn({
        let producer = producer.clone();
        async move { producer.enqueue(&Context::background(), Message::new(vec![0; 100_000]).to("t")).await }
    });
    tokio::time::sleep(3 * SECOND).await;
    let explained = producer.explain();
    print("explanation", &explained);
    let wait = explained.buffer.as_ref().unwrap();
    let words =
        ["waiting for buffer space: 1.9 of 2 MiB", "99 % by topic \"y\"", "has not answered for 3.0 s"];
    assert_says(wait, &words);
    let error = calling.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BufferFull);
    assert!(error.to_string().contains("99 % by topic \"y\""), "{error}");
    let Some(WaitReason::BufferSpace { topic: Some(topic), because: Some(because), .. }) =
        error.wait_reason()
    else {
        panic!("{error:?}")
    };
    assert!(&**topic == "y" && matches!(**because, WaitReason::Response { .. }));
    let Health::Degraded(reason) = producer.check(&ctx(SECOND)).await else { panic!("not degraded") };
    print("health", &reason);
    assert!(reason.contains("has not answered"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_full_share_of_a_topic_is_not_called_a_full_buffer() {
    let cluster = one().await;
    let buffer = BufferConfig::default().max_bytes(8 << 20).max_wait(2 * SECOND);
    let share = BulkheadConfig::default().topic_share(0.25);
    let producer = warm(config(&cluster).buffer(buffer).bulkhead(share)).await;
    cluster.black_hole(0);
    let mut receipts = Vec::new();
    while let Ok(receipt) = producer.try_enqueue(Message::new(vec![0; 100_000])) {
        receipts.push(receipt);
    }
    let error = producer.enqueue(&ctx(10 * SECOND), Message::new(vec![0; 100_000])).await.unwrap_err();
    print("error", &error);
    assert!(matches!(error.wait_reason(), Some(WaitReason::TopicShare { .. })), "{error:?}");
    assert!(error.to_string().contains("1.9 of 2 MiB (bulkhead.topic_share)"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_nobody_answers_for_is_explained_as_such() {
    let cluster = one().await;
    let timeouts = TimeoutConfig::default().request(SECOND).connect(SECOND).metadata_age(SECOND);
    let producer = warm(config(&cluster).timeouts(timeouts)).await;
    cluster.stop(0).await;
    let receipts = [waiting(&producer).await, waiting(&producer).await];
    tokio::time::sleep(20 * SECOND).await;
    let explained = producer.explain();
    print("explanation", &explained);
    assert!(explained.cluster.is_some(), "{explained:?}");
    assert!(
        explained
            .to_string()
            .starts_with("2 messages for partition 0 of topic \"t\", the oldest for 20.0 s: ")
    );
    // Every cause once.
    assert_eq!(format!("{explained:#}").matches("no connection to").count().max(1), 1, "{explained:#}");
    drop(receipts);
}

#[tokio::test(start_paused = true)]
async fn a_compressing_producer_explains_itself_too() {
    let cluster = one().await;
    let batch = BatchConfig::default().compression(Compression::Gzip);
    let producer = warm(config(&cluster).batch(batch)).await;
    cluster.black_hole(0);
    let receipt = waiting(&producer).await;
    let wait = after(3 * SECOND, &producer, &receipt).await;
    assert_says(&wait, &["has not answered for", "1 request in flight"]);
}

#[tokio::test(start_paused = true)]
async fn an_explanation_of_many_partitions_is_short_and_complete_in_its_long_form() {
    let cluster = FakeCluster::with_topic("t", 20).await.unwrap();
    let producer = warm(config(&cluster)).await;
    cluster.black_hole(0);
    let mut receipts = Vec::new();
    for partition in 0..20 {
        let message = Message::new("v").partition(partition);
        receipts.push(producer.enqueue(&ctx(100 * SECOND), message).await.unwrap());
        tokio::time::sleep(SECOND / 10).await;
    }
    let explained = producer.explain();
    print("explanation", &explained);
    assert_eq!(explained.partitions.len(), 20);
    assert!(explained.partitions.windows(2).all(|pair| pair[0].oldest >= pair[1].oldest));
    let short = explained.to_string();
    assert!(short.contains("messages wait for 17 more partitions") && !short.contains('\n'), "{short}");
    assert_eq!(format!("{explained:#}").matches("1 message for partition").count(), 20);
}
