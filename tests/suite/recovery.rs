//! Starting again from the configured brokers (KIP-899, KIP-1102), and what a client calls itself (KIP-511).

use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{Message, Producer, ProducerConfig, TimeoutConfig};
use tokio::io::AsyncReadExt;

use crate::identity::events;
use crate::logging::Lines;
use crate::support::{SECOND, minute};

const REBOOTSTRAP_REQUIRED: i16 = 129;

#[tokio::test(start_paused = true)]
async fn a_broker_that_demands_it_has_the_configured_ones_asked_at_once() {
    let cluster = FakeCluster::builder().brokers(2).topic("t", 2).start().await.unwrap();
    let lines = Lines::default();
    let config = ProducerConfig::new([cluster.bootstrap()[0].clone()]).logger(lines.logger());
    let producer = Producer::connect(&minute(), config).await.unwrap();
    producer.send(&minute(), Message::new("v").to("t").partition(1)).await.unwrap();
    assert_eq!(cluster.connections_open(1), 1);
    cluster.inject(Rule::on(Api::Metadata).times(1), Fault::Error(REBOOTSTRAP_REQUIRED));
    let before = cluster.seen().len();
    assert_eq!(producer.partitions(&minute(), "t").await.unwrap().len(), 2);
    let asked: Vec<_> =
        cluster.seen().split_off(before).into_iter().filter(|seen| seen.api == Api::Metadata).collect();
    // The first one refused; the next one is of the list, on a new connection.
    assert_eq!((asked.len(), asked[1].node), (2, 0), "{asked:?}");
    assert_eq!(events(&lines, "metadata.rebootstrap").len(), 1);
    producer.send(&minute(), Message::new("v").to("t").partition(1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn where_no_broker_answers_for_long_the_configured_ones_are_asked() {
    let cluster = FakeCluster::builder().brokers(2).topic("t", 2).start().await.unwrap();
    let lines = Lines::default();
    let timeouts = TimeoutConfig::default().metadata_age(SECOND).rebootstrap(20 * SECOND);
    let config =
        ProducerConfig::new([cluster.bootstrap()[0].clone()]).timeouts(timeouts).logger(lines.logger());
    let producer = Producer::connect(&minute(), config).await.unwrap();
    producer.send(&minute(), Message::new("v").to("t")).await.unwrap();
    // Metadata is refused, whatever else is answered.
    cluster.inject(Rule::on(Api::Metadata).times(usize::MAX), Fault::Disconnect);
    assert!(producer.partitions(&rskafka_producer::Context::timeout(15 * SECOND), "t").await.is_err());
    assert_eq!(events(&lines, "metadata.rebootstrap").len(), 0);
    assert!(producer.partitions(&rskafka_producer::Context::timeout(15 * SECOND), "t").await.is_err());
    assert_eq!(events(&lines, "metadata.rebootstrap").len(), 1);
    cluster.heal();
    producer.send(&minute(), Message::new("v").to("t")).await.unwrap();
}

#[tokio::test]
async fn a_broker_hears_what_the_software_is_called() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config =
        ProducerConfig::new(listener.local_addr().unwrap().to_string()).client_software("shop", "2.14");
    let producer = Producer::new(config).unwrap();
    let health = tokio::spawn(async move { producer.health(&minute()).await });
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut heard = Vec::new();
    while !heard.windows(10).any(|found| found == b"\x05shop\x052.14") {
        assert!(socket.read_buf(&mut heard).await.unwrap() > 0, "{heard:?}");
    }
    health.abort();
}

#[test]
fn software_that_brokers_would_refuse_is_refused() {
    for (name, good) in
        [("shop", true), ("a.b-c", true), ("", false), ("my shop", false), ("-a", false), ("a.", false)]
    {
        let config = ProducerConfig::new("kafka-1:9092").client_software(name, "1");
        assert_eq!(config.validate().is_ok(), good, "{name:?}");
    }
}
