//! The conformance suite on a cluster in this process, for each engine.

use kafka_testbed::FakeCluster;
use rskafka_producer::EngineKind;

use crate::conformance::{CASES, Run, Way};

async fn run(case: &str, engine: EngineKind, brokers: usize, way: Way) {
    let (_, body) = CASES.iter().find(|(name, _)| *name == case).unwrap();
    let cluster = FakeCluster::builder().brokers(brokers).start().await.unwrap();
    body(Run { cluster: &cluster, engine, prefix: "t", way }).await;
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

mod native_on_three_brokers {
    async fn run(case: &str) {
        super::run(case, super::EngineKind::Native, 3, super::Way::Single).await;
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
