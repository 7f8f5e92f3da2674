//! Load while sessions are renewed.

use std::time::{Duration, Instant};

use kafka_testbed::{JvmCluster, Listener};
use rskafka_producer::{Message, Producer, ProducerConfig};

use crate::limit;

/// Sends to new topics by these listeners at the same time. Each keeps its one connection, and what was sent is stored in order.
pub(crate) async fn renewed_under_load(
    cluster: &JvmCluster,
    lasts: Duration,
    loads: impl IntoIterator<Item = (&'static str, Listener, ProducerConfig)>,
) {
    let mut running = Vec::new();
    for (topic, listener, config) in loads {
        cluster.create_topic(topic, 1, &[]).await.unwrap();
        running.push(async move {
            let before = cluster.proxy_at(listener, 1).traffic().accepted;
            let sent = load(config.topic(topic), lasts).await;
            (topic, sent, cluster.proxy_at(listener, 1).traffic().accepted - before)
        });
    }
    for (topic, sent, connections) in futures_util::future::join_all(running).await {
        let stored = cluster.read_fast(topic).await.unwrap();
        eprintln!("{topic}: {sent} sent, {} stored, {connections} connection(s)", stored.len());
        let numbers: Vec<u64> = stored
            .iter()
            .map(|r| std::str::from_utf8(r.value.as_ref().unwrap()).unwrap().parse().unwrap())
            .collect();
        assert!(numbers.iter().copied().eq(0..sent), "{topic}: lost, duplicated or out of order");
        assert_eq!(connections, 1, "{topic}: the connection was made again");
    }
}

/// Numbers in order, several in flight at any time; how many.
async fn load(config: ProducerConfig, lasts: Duration) -> u64 {
    let producer = Producer::connect(&limit(), config).await.unwrap();
    let started = Instant::now();
    let mut sent = 0;
    while started.elapsed() < lasts {
        let mut receipts = Vec::new();
        for _ in 0..20 {
            receipts.push(producer.enqueue(&limit(), Message::new(sent.to_string())).await.unwrap());
            sent += 1;
        }
        for receipt in receipts {
            let delivery = receipt.await.unwrap();
            assert_eq!(delivery.attempts(), 1);
        }
    }
    producer.close(&limit()).await.unwrap();
    sent
}
