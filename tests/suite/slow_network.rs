//! A network on which an answer takes longer than a caller has.

use kafka_testbed::{Api, FakeCluster, Fault, Rule, SimCluster, SimNet};
use rskafka_producer::{Message, Producer, ProducerConfig};

use crate::support::{MS, SECOND, ctx, simulated};

#[test]
fn calls_with_less_time_than_a_round_trip_get_through_once_an_answer_has_come() {
    SimNet::run(0, |net| async move {
        let cluster = SimCluster::start(&net, FakeCluster::builder().topic("t", 1));
        let config = simulated(&net, ProducerConfig::new(cluster.bootstrap()));
        let producer = Producer::connect(&ctx(SECOND), config).await.unwrap();
        let before = cluster.requests(Api::Metadata);
        cluster.inject(Rule::on(Api::Metadata).always(), Fault::Delay(400 * MS));
        let mut tries = 0;
        while producer.enqueue(&ctx(50 * MS), Message::new("v").to("t")).await.is_err() {
            tries += 1;
            assert!(tries < 20, "no call ever gets through");
            tokio::time::sleep(50 * MS).await;
        }
        assert_eq!(cluster.requests(Api::Metadata) - before, 1, "after {tries} tries");
        producer.flush(&ctx(10 * SECOND)).await.unwrap();
        assert_eq!(cluster.high_watermark("t", 0), Some(1));
    });
}
