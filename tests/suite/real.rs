//! The conformance suite on a real Apache Kafka, for each engine; read back by Java's consumer, and by kcat where it
//! is installed.

use kafka_testbed::JvmCluster;
use rskafka_producer::EngineKind;

use crate::cluster::turn;
use crate::conformance::{CASES, Run, Way};

async fn suite(test: &str, nodes: usize) {
    if !JvmCluster::available_or_skip(test) {
        return;
    }
    let _turn = turn(nodes as u32).await;
    let cluster = JvmCluster::builder().nodes(nodes).start().await.unwrap();
    for (engine, name, way) in [
        (EngineKind::Native, "native", Way::Single),
        (EngineKind::Native, "native-bulk", Way::Bulk),
        (EngineKind::PartitionClient, "partition-client", Way::Single),
    ] {
        for (case, body) in CASES {
            eprintln!("{nodes} node(s), {name}: {case}");
            let prefix = format!("{name}-{}", case.replace('_', "-"));
            body(Run { cluster: &cluster, engine, prefix: &prefix, way }).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_holds_on_one_node() {
    suite("every_case_holds_on_one_node", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_holds_on_three_nodes() {
    suite("every_case_holds_on_three_nodes", 3).await;
}
