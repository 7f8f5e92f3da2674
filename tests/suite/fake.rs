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

mod native_on_one_simulated_broker {
    async fn run(case: &str) {
        super::simulate(case, 1, super::Way::Single).await;
    }
    crate::conformance::each_case!(run);
}

mod native_in_bulk_on_three_simulated_brokers {
    async fn run(case: &str) {
        super::simulate(case, 3, super::Way::Bulk).await;
    }
    crate::conformance::each_case!(run);
}

mod native_on_one_broker {
    async fn run(case: &str) {
        super::run(case, super::EngineKind::Native, 1, super::Way::Single).await;
    }
    crate::conformance::each_case!(run);
}

mod native_in_bulk_on_one_broker {
    async fn run(case: &str) {
        super::run(case, super::EngineKind::Native, 1, super::Way::Bulk).await;
    }
    crate::conformance::each_case!(run);
}

mod native_in_bulk_on_three_brokers {
    async fn run(case: &str) {
        super::run(case, super::EngineKind::Native, 3, super::Way::Bulk).await;
    }
    crate::conformance::each_case!(run);
}

mod native_by_topic_on_one_broker {
    async fn run(case: &str) {
        super::run(case, super::EngineKind::Native, 1, super::Way::Topic).await;
    }
    crate::conformance::each_case!(run);
}

mod native_on_three_brokers {
    async fn run(case: &str) {
        super::run(case, super::EngineKind::Native, 3, super::Way::Single).await;
    }
    crate::conformance::each_case!(run);
}

mod native_on_the_newest_version_of_each_request {
    async fn run(case: &str) {
        let builder = super::FakeCluster::builder().brokers(3).only_newest();
        super::run_on(builder, case, super::EngineKind::Native, super::Way::Single).await;
    }
    crate::conformance::each_case!(run);
}

mod native_on_the_oldest_version_of_each_request {
    async fn run(case: &str) {
        let builder = super::FakeCluster::builder().brokers(3).only_oldest();
        super::run_on(builder, case, super::EngineKind::Native, super::Way::Single).await;
    }
    crate::conformance::each_case!(run);
}

mod partition_client_on_three_brokers {
    async fn run(case: &str) {
        super::run(case, super::EngineKind::PartitionClient, 3, super::Way::Bulk).await;
    }
    crate::conformance::each_case!(run);
}

mod partition_client_on_one_broker {
    async fn run(case: &str) {
        super::run(case, super::EngineKind::PartitionClient, 1, super::Way::Single).await;
    }
    crate::conformance::each_case!(run);
}
