//! librdkafka's mock cluster, with which users of rdkafka and confluent-kafka test.

use kafka_testbed::LibrdkafkaMock;

use crate::promises::{Broker, hold, kcat_or_skip};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_promise_holds_on_librdkafkas_mock_cluster() {
    let test = "every_promise_holds_on_librdkafkas_mock_cluster";
    if !LibrdkafkaMock::available_or_skip(test) || !kcat_or_skip(test) {
        return;
    }
    let cluster = LibrdkafkaMock::start(3, &["t"]).await.unwrap();
    // It looks at no sequence number.
    hold(Broker { bootstrap: &cluster.bootstrap(), topic: "t", zstd: true, deduplicates: false }).await;
}
