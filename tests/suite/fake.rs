//! The conformance suite on a cluster in this process: on sockets for each engine, and on a simulated network for the one
//! that can be connected to it.

use kafka_testbed::{FakeCluster, FakeClusterBuilder, SimCluster, SimNet, Weather};
use rskafka_producer::EngineKind;

use crate::conformance::{CASES, Run, Way};
use crate::support::MS;

async fn run(case: &str, engine: EngineKind, brokers: usize, way: Way) {
    run_on(FakeCluster::builder().brokers(brokers), case, engine, way).await;
}

async fn run_on(builder: FakeClusterBuilder, case: &str, engine: EngineKind, way: Way) {
    let (_, body) = CASES.iter().find(|(name, _)| *name == case).unwrap();
    let cluster = builder.start().await.unwrap();
    body(Run { cluster: &cluster, engine, prefix: "t", way }).await;
}

/// The same on networks with latency, where reads and writes move only parts of what they could.
async fn simulate(case: &str, brokers: usize, way: Way) {
    let (_, body) = CASES.iter().find(|(name, _)| *name == case).unwrap();
    tokio::time::pause();
    for seed in 0..5 {
        let net = SimNet::new(seed);
        net.set_weather(Weather::default().latency(20 * MS).pieces(1.0));
        let cluster = SimCluster::start(&net, FakeCluster::builder().brokers(brokers));
        body(Run { cluster: &cluster, engine: EngineKind::Native, prefix: "t", way }).await;
    }
}

/// A module for each way to run the suite, with a test for each case.
macro_rules! suites {
    ($($name:ident: |$case:ident| $run:expr;)+) => {$(
        mod $name {
            use super::*;

            async fn run($case: &str) {
                $run.await;
            }
            crate::conformance::each_case!(run);
        }
    )+};
}

suites! {
    native_on_one_simulated_broker: |case| simulate(case, 1, Way::Single);
    native_in_bulk_on_three_simulated_brokers: |case| simulate(case, 3, Way::Bulk);
    native_on_one_broker: |case| super::run(case, EngineKind::Native, 1, Way::Single);
    native_in_bulk_on_one_broker: |case| super::run(case, EngineKind::Native, 1, Way::Bulk);
    native_in_bulk_on_three_brokers: |case| super::run(case, EngineKind::Native, 3, Way::Bulk);
    native_by_topic_on_one_broker: |case| super::run(case, EngineKind::Native, 1, Way::Topic);
    native_on_three_brokers: |case| super::run(case, EngineKind::Native, 3, Way::Single);
    native_on_the_newest_version_of_each_request:
        |case| run_on(builder().only_newest(), case, EngineKind::Native, Way::Single);
    native_on_the_oldest_version_of_each_request:
        |case| run_on(builder().only_oldest(), case, EngineKind::Native, Way::Single);
    partition_client_on_three_brokers: |case| super::run(case, EngineKind::PartitionClient, 3, Way::Bulk);
    partition_client_on_one_broker: |case| super::run(case, EngineKind::PartitionClient, 1, Way::Single);
}

fn builder() -> FakeClusterBuilder {
    FakeCluster::builder().brokers(3)
}
