//! A real Kafka in a container.

use std::time::Duration;

use kafka_testbed::DockerCluster;
use rskafka_producer::{Context, Producer, ProducerConfig};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_is_stored_also_when_the_broker_stops_or_freezes_meanwhile() {
    if !DockerCluster::available_or_skip("what_is_sent_is_stored").await {
        return;
    }
    let cluster = DockerCluster::builder().start().await.unwrap();
    eprintln!("tested image: {}", cluster.image());
    cluster.create_topic("t", 1, &[]).await.unwrap();
    let ctx = Context::timeout(Duration::from_secs(60));
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t");
    let producer = Producer::connect(&ctx, config).await.unwrap();
    producer.send_message(&ctx, "key", "before").await.unwrap();

    cluster.stop().await.unwrap();
    let sending = tokio::spawn({
        let (producer, ctx) = (producer.clone(), ctx.clone());
        async move { producer.send_message(&ctx, "key", "while stopped").await.map(drop) }
    });
    cluster.start().await.unwrap();
    sending.await.unwrap().unwrap();

    cluster.pause().await.unwrap();
    let sending = producer.send_message(&ctx, "key", "while frozen");
    let (sent, thawed) = tokio::join!(sending, cluster.unpause());
    sent.unwrap();
    thawed.unwrap();

    producer.close(&ctx).await.unwrap();
    let stored = cluster.read("t").await.unwrap();
    let values: Vec<_> = stored.iter().map(|record| record.value.as_deref().unwrap()).collect();
    assert_eq!(values, [&b"before"[..], b"while stopped", b"while frozen"]);
}
