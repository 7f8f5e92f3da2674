//! No call is late by more than 250 ms, whatever the peer does.

use std::time::Duration;

use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{Context, Message, Producer, ProducerConfig, TimeoutConfig};
use tokio::time::Instant;

use crate::support::LATE;

const LIMIT: Duration = Duration::from_secs(2);

/// What a cluster can do to a call, by name.
type Trouble = (&'static str, fn(&FakeCluster));

const TROUBLES: &[Trouble] = &[
    ("nothing", |_| {}),
    ("swallows everything", |cluster| cluster.black_hole(0)),
    ("reads nothing", |cluster| cluster.stop_reading(0)),
    ("closes every connection", |cluster| cluster.reset_connections(0)),
    ("has no leader", |cluster| cluster.remove_leader("t", 0)),
    ("deleted the topic", |cluster| assert!(cluster.delete_topic("t"))),
    ("answers late", |cluster| always(cluster, &Fault::Delay(Duration::from_secs(60)))),
    ("never answers", |cluster| always(cluster, &Fault::Silence)),
    ("stores and never answers", |cluster| always(cluster, &Fault::Silence.after_apply())),
    ("hangs up", |cluster| always(cluster, &Fault::Disconnect)),
    ("answers in part", |cluster| always(cluster, &Fault::CutAfter(9))),
    ("answers nonsense", |cluster| always(cluster, &Fault::Garbage(vec![0xff; 32]))),
    ("throttles", |cluster| always(cluster, &Fault::Throttle(Duration::from_secs(50)))),
    ("does not lead", |cluster| always(cluster, &Fault::Error(6))),
    ("lacks replicas", |cluster| always(cluster, &Fault::Error(19))),
    ("timed out", |cluster| always(cluster, &Fault::Error(7))),
    ("has a broken disk", |cluster| always(cluster, &Fault::Error(56))),
    ("forgot the producer", |cluster| always(cluster, &Fault::Error(59))),
];

fn always(cluster: &FakeCluster, fault: &Fault) {
    for api in [Api::Produce, Api::Metadata, Api::InitProducerId, Api::ApiVersions] {
        cluster.inject(Rule::on(api).always(), fault.clone());
    }
}

#[tokio::test(start_paused = true)]
async fn every_call_ends_by_its_deadline_whatever_the_peer_does() {
    let mut worst = Duration::ZERO;
    for (what, trouble) in TROUBLES {
        for warm in [true, false] {
            let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
            let producer = Producer::new(ProducerConfig::new(cluster.bootstrap()).topic("t")).unwrap();
            if warm {
                producer.send(&Context::background(), Message::new("v")).await.unwrap();
            }
            trouble(&cluster);
            for call in ["connect", "send", "receipt", "behind others", "flush", "health", "close"] {
                let started = Instant::now();
                run(call, &producer, &cluster).await;
                let late = started.elapsed().saturating_sub(LIMIT);
                assert!(late <= LATE, "a broker that {what} (warm: {warm}): {call} was late by {late:?}");
                worst = worst.max(late);
            }
        }
    }
    eprintln!("latest call: {worst:?} after its deadline");
}

/// The default settings: an attempt lasts 30 s, and the deadline is far behind the first one's end.
#[tokio::test(start_paused = true)]
async fn every_receipt_resolves_within_the_delivery_timeout_whatever_the_peer_does() {
    let delivery = TimeoutConfig::default().delivery;
    for (what, trouble) in TROUBLES {
        let cluster = FakeCluster::with_topic("t", 2).await.unwrap();
        let producer = Producer::new(ProducerConfig::new(cluster.bootstrap()).topic("t")).unwrap();
        producer.send(&Context::background(), Message::new("v")).await.unwrap();
        trouble(&cluster);
        let mut receipts = Vec::new();
        for n in 0..20 {
            let message = Message::new("v").partition(n % 2);
            // A topic that is gone takes no more.
            if let Ok(receipt) = producer.enqueue(&Context::background(), message).await {
                receipts.push((Instant::now(), receipt));
            }
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        assert!(!receipts.is_empty(), "{what}");
        for (accepted, receipt) in receipts {
            // Other tests check the outcome; here only the time counts.
            drop(receipt.await);
            let late = accepted.elapsed().saturating_sub(delivery);
            assert!(late <= LATE, "a broker that {what}: a receipt was late by {late:?}");
        }
    }
}

async fn run(call: &str, producer: &Producer, cluster: &FakeCluster) {
    let ctx = Context::timeout(LIMIT);
    // Other tests check the outcome; here only the time counts.
    match call {
        "connect" => drop(Producer::connect(&ctx, ProducerConfig::new(cluster.bootstrap()).topic("t")).await),
        "send" => drop(producer.send(&ctx, Message::new("v")).await),
        "receipt" => {
            if let Ok(receipt) = producer.enqueue(&ctx, Message::new("v")).await {
                drop(receipt.await);
            }
        }
        "behind others" => {
            let mut receipts = Vec::new();
            for _ in 0..20 {
                receipts.extend(producer.enqueue(&ctx, Message::new(vec![0; 200_000])).await);
            }
            for receipt in receipts {
                drop(receipt.await);
            }
        }
        "flush" => drop(producer.flush(&ctx).await),
        "health" => drop(producer.health(&ctx).await),
        _ => drop(producer.close(&ctx).await),
    }
}
