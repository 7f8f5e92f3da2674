//! Clusters in separate processes.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kafka_testbed::{ClusterProxy, KfakeCluster};
use tokio::net::TcpStream;

async fn listens(address: &str) -> bool {
    TcpStream::connect(address).await.is_ok()
}

#[tokio::test]
async fn a_process_ends_with_its_owner_and_with_a_panic() {
    if !KfakeCluster::available_or_skip("a_process_ends_with_its_owner_and_with_a_panic") {
        return;
    }
    let cluster = KfakeCluster::builder().brokers(2).topic("t", 1).start().await.unwrap();
    let addresses = cluster.bootstrap();
    assert_eq!(addresses.len(), 2);
    for address in &addresses {
        assert!(listens(address).await);
    }
    let panicked = tokio::spawn(async move {
        let _owned = cluster;
        panic!("as a test may");
    });
    assert!(panicked.await.is_err());
    for address in &addresses {
        assert!(!listens(address).await);
    }
}

/// Run by the test below, in a process that is killed.
#[tokio::test]
#[ignore = "waits to be killed"]
async fn an_owner_that_is_killed() {
    let cluster = KfakeCluster::builder().topic("t", 1).start().await.unwrap();
    println!("\nlistens {}", cluster.bootstrap()[0]);
    tokio::time::sleep(Duration::from_secs(120)).await;
}

#[tokio::test]
async fn a_process_ends_with_an_owner_that_is_killed() {
    if !KfakeCluster::available_or_skip("a_process_ends_with_an_owner_that_is_killed") {
        return;
    }
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "foreign::an_owner_that_is_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines().map_while(Result::ok);
    let address = lines.filter_map(|line| line.strip_prefix("listens ").map(str::to_owned)).next();
    owner.kill().unwrap();
    owner.wait().unwrap();
    let address = address.unwrap();
    let killed = Instant::now();
    while listens(&address).await {
        assert!(killed.elapsed() < Duration::from_secs(30), "it outlives its owner");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_cluster_proxy_replaces_the_addresses_of_brokers_that_know_nothing_of_it() {
    let cluster = kafka_testbed::FakeCluster::builder().brokers(2).topic("t", 2).start().await.unwrap();
    let proxy = ClusterProxy::start(&cluster.bootstrap()).await.unwrap();
    let config = rskafka_producer::ProducerConfig::new(proxy.bootstrap()).topic("t");
    let ctx = rskafka_producer::Context::timeout(std::time::Duration::from_secs(30));
    let producer = rskafka_producer::Producer::connect(&ctx, config).await.unwrap();
    for partition in 0..2 {
        producer.send(&ctx, rskafka_producer::Message::new("v").partition(partition)).await.unwrap();
    }
    // Each leader was reached through its proxy.
    assert!(proxy.proxies().iter().all(|proxy| proxy.traffic().accepted > 0));
    assert_eq!(cluster.connections_accepted(0) + cluster.connections_accepted(1), 2);
    producer.close(&ctx).await.unwrap();
}
