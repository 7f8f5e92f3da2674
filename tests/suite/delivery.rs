//! Nothing lost, nothing twice, order kept: idempotence through every kind of lost answer.

use std::sync::Mutex;
use std::time::Duration;

use kafka_testbed::{Api, FakeCluster, Fault, RequestSeen, Rule};
use rskafka_producer::{
    BatchConfig, Context, ErrorKind, Fate, Message, Producer, ProducerConfig, TimeoutConfig,
};

use crate::support::{assert_numbers_in_order, seeds};

fn ctx() -> Context {
    Context::timeout(Duration::from_secs(600))
}

/// Small batches, so that many are in flight at once.
fn pipelined(cluster: &FakeCluster) -> ProducerConfig {
    ProducerConfig::new(cluster.bootstrap())
        .topic("t")
        .batch(BatchConfig::default().max_bytes(1_024).linger(Duration::from_millis(1)))
}

async fn send_numbers(producer: &Producer, count: u32, partitions: u32) {
    let mut receipts = Vec::new();
    for n in 0..count {
        let message =
            Message::new(n.to_string()).header("pad", "x".repeat(80)).partition((n % partitions) as i32);
        receipts.push(producer.enqueue(&ctx(), message).await.unwrap());
    }
    for receipt in receipts {
        receipt.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_lost_at_any_place_of_the_pipeline_neither_loses_nor_duplicates_nor_reorders() {
    for fault in
        [Fault::Disconnect, Fault::Disconnect.after_apply(), Fault::Silence, Fault::Silence.after_apply()]
    {
        for place in 1..=8u64 {
            let cluster = FakeCluster::builder().brokers(2).topic("t", 1).start().await.unwrap();
            let producer = Producer::connect(&ctx(), pipelined(&cluster)).await.unwrap();
            let (seen, fault) = (Mutex::new(0), fault.clone());
            cluster.on_request(move |request| {
                let mut seen = seen.lock().unwrap();
                *seen += u64::from(request.api == Api::Produce);
                (request.api == Api::Produce && *seen == place).then(|| fault.clone())
            });
            send_numbers(&producer, 200, 1).await;
            assert_numbers_in_order(&cluster.all_records("t"), 200);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_random_schedules_neither_lose_nor_duplicate_nor_reorder() {
    for seed in 0..seeds(1_000) {
        schedule(seed).await;
    }
}

/// One run under a random schedule. A failure names the seed.
async fn schedule(seed: u64) {
    let cluster = FakeCluster::builder().brokers(2).topic("t", 2).start().await.unwrap();
    let timeouts = TimeoutConfig::default().request(Duration::from_secs(2));
    let producer = Producer::connect(&ctx(), pipelined(&cluster).timeouts(timeouts)).await.unwrap();
    let random = Mutex::new(fastrand::Rng::with_seed(seed));
    let troubles = Mutex::new(12);
    cluster.on_request(move |request: &RequestSeen| {
        let mut random = random.lock().unwrap();
        let mut left = troubles.lock().unwrap();
        if request.api != Api::Produce || *left == 0 || random.f64() > 0.5 {
            return None;
        }
        *left -= 1;
        let codes = [6, 7, 19, 20, 56, 2, 5, 9, 13, 89];
        Some(match random.u8(..10) {
            0 => Fault::Disconnect,
            1 => Fault::Disconnect.after_apply(),
            2 => Fault::Silence,
            3 => Fault::Silence.after_apply(),
            4 => Fault::Error(codes[random.usize(..codes.len())]),
            // Stored, but not as often as asked: the answers whose fate is unknown.
            5 => Fault::Error([6, 7, 20, 13, 56][random.usize(..5)]).after_apply(),
            6 => Fault::Delay(Duration::from_millis(random.u64(..3_000))),
            7 => Fault::Throttle(Duration::from_millis(random.u64(..500))),
            8 => Fault::CutAfter(random.usize(..40)),
            _ => Fault::Garbage(vec![0, 0, 0, 2, 1]),
        })
    });
    send_numbers(&producer, 120, 2).await;
    let stored = cluster.all_records("t");
    let complete = std::panic::catch_unwind(|| assert_numbers_in_order(&stored, 120));
    if complete.is_err() {
        let t0 = cluster.seen()[0].at;
        for s in cluster.seen() {
            if s.api == Api::Produce {
                println!(
                    "{:?} c{} n{} {:?}",
                    s.at - t0,
                    s.connection,
                    s.node,
                    s.batches
                        .iter()
                        .filter(|b| b.partition == 0)
                        .map(|b| (b.epoch, b.sequence, b.records))
                        .collect::<Vec<_>>()
                );
            }
        }
        for b in cluster.batches("t", 0) {
            println!("stored {} {} {} {}", b.base_offset, b.epoch, b.sequence, b.records);
        }
    }
    assert!(complete.is_ok(), "seed {seed}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_fails_in_the_middle_of_the_pipeline_does_not_stop_those_behind_it() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = Producer::connect(&ctx(), pipelined(&cluster)).await.unwrap();
    // Refused for good, as an authorisation that was taken away for a moment.
    cluster.inject(Rule::on(Api::Produce).times(1), Fault::Error(29));
    let mut receipts = Vec::new();
    for n in 0..200u32 {
        let message = Message::new(n.to_string()).header("pad", "x".repeat(80));
        receipts.push(producer.enqueue(&ctx(), message).await.unwrap());
    }
    let (mut stored, mut refused) = (0, 0);
    for receipt in receipts {
        match receipt.await {
            Ok(_) => stored += 1,
            Err(error) => {
                assert_eq!((error.kind(), error.fate()), (ErrorKind::Authorization, Fate::NotPersisted));
                refused += 1;
            }
        }
    }
    assert!(refused > 0 && stored > 0);
    assert_numbers_in_order(&cluster.all_records("t"), stored);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_forgot_the_producer_gets_a_new_epoch() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = Producer::connect(&ctx(), pipelined(&cluster)).await.unwrap();
    send_numbers(&producer, 50, 1).await;
    for code in [45, 59, 47] {
        cluster.inject(Rule::on(Api::Produce), Fault::Error(code));
        producer.send(&ctx(), Message::new((1_000 + code).to_string())).await.unwrap();
    }
    assert_eq!(cluster.high_watermark("t", 0), Some(53));
    let last = cluster.batches("t", 0).pop().unwrap();
    let first = cluster.batches("t", 0).remove(0);
    assert!(last.producer_id > first.producer_id, "a refused producer id is replaced");
    assert_eq!(last.sequence, 0);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_broker_gets_no_request_for_its_throttle_time_and_nothing_is_sent_twice() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer =
        Producer::connect(&ctx(), ProducerConfig::new(cluster.bootstrap()).topic("t")).await.unwrap();
    let pause = Duration::from_millis(400);
    cluster.inject(Rule::on(Api::Produce).times(20), Fault::Throttle(pause));
    for n in 0..20 {
        producer.send(&ctx(), Message::new(n.to_string())).await.unwrap();
    }
    let produced: Vec<_> = cluster.seen().into_iter().filter(|r| r.api == Api::Produce).collect();
    assert_eq!(produced.len(), 20, "one request each");
    assert!(produced.windows(2).all(|pair| pair[1].at - pair[0].at >= pause));
    assert_numbers_in_order(&cluster.all_records("t"), 20);
    assert!(producer.stats().throttled >= 20 * pause);
}

#[tokio::test(start_paused = true)]
async fn without_idempotence_a_lost_answer_may_double_and_the_delivery_says_so() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t").idempotence(false);
    let producer = Producer::connect(&ctx(), config).await.unwrap();
    cluster.inject(Rule::on(Api::Produce), Fault::Disconnect.after_apply());
    let delivery = producer.send(&ctx(), Message::new("v")).await.unwrap();
    assert_eq!((delivery.attempts(), delivery.offset()), (2, Some(1)));
    assert_eq!(cluster.high_watermark("t", 0), Some(2));
    assert_eq!(cluster.batches("t", 0)[0].producer_id, -1);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_grants_no_producer_id_is_explained() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    cluster.inject(Rule::on(Api::InitProducerId).always(), Fault::Error(31));
    let producer =
        Producer::connect(&ctx(), ProducerConfig::new(cluster.bootstrap()).topic("t")).await.unwrap();
    let error = producer.send(&ctx(), Message::new("v")).await.unwrap_err();
    assert_eq!((error.kind(), error.fate()), (ErrorKind::Authorization, Fate::NotPersisted));
    assert!(error.to_string().contains("idempotence(false)"), "{error}");
}

/// rskafka reads the throttle time before the result: it takes a stored batch for one to be sent again.
#[tokio::test(start_paused = true)]
async fn the_partition_client_engine_duplicates_what_a_broker_throttles() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let config = ProducerConfig::new(cluster.bootstrap())
        .topic("t")
        .engine(rskafka_producer::EngineKind::PartitionClient);
    let producer = Producer::connect(&ctx(), config).await.unwrap();
    cluster.inject(Rule::on(Api::Produce).times(5), Fault::Throttle(Duration::from_millis(100)));
    producer.send(&ctx(), Message::new("once")).await.unwrap();
    assert_eq!(cluster.high_watermark("t", 0), Some(6), "a known defect of this engine, kept as evidence");
}
