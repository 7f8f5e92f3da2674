//! Idempotence on a real broker: connections cut at random bytes and times, many schedules, each named by its seed.

use std::time::Duration;

use kafka_testbed::JvmCluster;
use rskafka_producer::{BatchConfig, Message, Producer, ProducerConfig};

use crate::cluster::turn;
use crate::support::minute;

const RECORDS: usize = 120;

/// `KAFKA_SCHEDULES` says how many, 40 without it: a thousand take five minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_cuts_on_a_real_broker_neither_lose_nor_duplicate_nor_reorder() {
    let name = "random_cuts_on_a_real_broker_neither_lose_nor_duplicate_nor_reorder";
    if !JvmCluster::available_or_skip(name) {
        return;
    }
    let schedules: u64 = std::env::var("KAFKA_SCHEDULES").map_or(40, |count| count.parse().unwrap());
    let _turn = turn(1).await;
    let cluster = JvmCluster::builder().proxied().start().await.unwrap();
    cluster.create_topic("t", 2, &[]).await.unwrap();
    let mut retries = 0;
    for seed in 0..schedules {
        retries += schedule(&cluster, seed).await;
    }
    eprintln!("{schedules} schedules, seeds from 0 on; {retries} batches were sent again");
    assert!(retries >= schedules / 2, "the cuts hit hardly anything: {retries}");
    let stored = cluster.read_fast("t").await.unwrap();
    for seed in 0..schedules {
        for partition in 0..2 {
            let prefix = format!("{seed}/");
            let found: Vec<String> = stored
                .iter()
                .filter(|record| record.partition == partition)
                .filter_map(|record| String::from_utf8(record.value.as_ref()?.to_vec()).ok())
                .filter(|value| value.starts_with(&prefix))
                .collect();
            let sent = (0..RECORDS).filter(|n| n % 2 == partition as usize);
            let sent: Vec<String> = sent.map(|n| format!("{seed}/{n}")).collect();
            assert_eq!(found, sent, "seed {seed}, partition {partition}");
        }
    }
}

/// A separate producer sends while the connections are cut; how many batches had to be sent again.
async fn schedule(cluster: &JvmCluster, seed: u64) -> u64 {
    let mut random = fastrand::Rng::with_seed(seed);
    // Small batches, so that many are in flight at once.
    let batch = BatchConfig::default().max_bytes(1_024).linger(Duration::from_millis(1));
    let config = ProducerConfig::new(cluster.proxied_bootstrap()).topic("t").batch(batch);
    let producer = Producer::connect(&minute(), config).await.unwrap();
    let node = cluster.node_ids().next().unwrap();
    let send = async {
        let mut receipts = Vec::new();
        for n in 0..RECORDS {
            let message = Message::new(format!("{seed}/{n}")).header("pad", "x".repeat(80));
            receipts.push(producer.enqueue(&minute(), message.partition((n % 2) as i32)).await.unwrap());
            if random.u8(..8) == 0 {
                tokio::time::sleep(Duration::from_micros(random.u64(..2_000))).await;
            }
        }
        for receipt in receipts {
            receipt.await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        }
    };
    let mut cuts = fastrand::Rng::with_seed(!seed);
    let trouble = async {
        let proxy = cluster.proxy(node);
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_micros(cuts.u64(..8_000))).await;
            match cuts.bool() {
                true => proxy.cut_now(),
                false => proxy.set_cut_after(Some(cuts.u64(40..1_500))),
            }
        }
        tokio::time::sleep(Duration::from_millis(cuts.u64(..20))).await;
        proxy.set_cut_after(None);
    };
    tokio::join!(send, trouble);
    let retries = producer.stats().retries;
    producer.close(&minute()).await.unwrap();
    retries
}
