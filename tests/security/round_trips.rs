//! How many round trips a first record takes, counted by a proxy on a real Kafka.

use std::time::{Duration, Instant};

use kafka_testbed::{JvmCluster, Listener, Mechanism};
use rskafka_producer::{Producer, ProducerConfig};

use crate::{TURN, fitting, limit, providers};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_record_takes_as_few_round_trips_as_the_protocol_allows() {
    if !JvmCluster::available_or_skip("a_first_record_takes_as_few_round_trips_as_the_protocol_allows") {
        return;
    }
    let _turn = TURN.lock().await;
    let cluster = JvmCluster::builder().secured().proxied().start().await.unwrap();
    cluster.create_topic("first", 1, &[]).await.unwrap();
    // A topic that was just made has no leader yet, and the first producer id takes the controller's time.
    let first = Producer::new(ProducerConfig::new(cluster.bootstrap()).topic("first")).unwrap();
    first.send_message(&limit(), "k", "v").await.unwrap();
    let (_, provider) = providers().remove(0);
    for (listener, mechanism, expected) in [
        (Listener::Plaintext, None, 3),
        (Listener::Ssl, None, 4),
        (Listener::SaslPlaintext, Some(Mechanism::ScramSha256), 6),
        (Listener::SaslSsl, Some(Mechanism::Plain), 7),
        (Listener::SaslSsl, Some(Mechanism::ScramSha512), 8),
    ] {
        // As over a real network, so that requests of one breath meet before an answer to the first.
        cluster.proxy_at(listener, 1).set_latency(Duration::from_millis(20));
        let before = cluster.proxy_at(listener, 1).traffic();
        let config = fitting(&cluster, listener, mechanism, Some(&provider)).topic("first").serverless();
        let producer = Producer::new(config).unwrap();
        let started = Instant::now();
        let delivery = producer.send_message(&limit(), "k", "v").await.unwrap();
        assert_eq!(delivery.attempts(), 1);
        let took = started.elapsed();
        let after = cluster.proxy_at(listener, 1).traffic();
        let round_trips = after.round_trips - before.round_trips;
        let login = mechanism.map_or("no login", Mechanism::name);
        eprintln!("{}, {login}: first record after {round_trips} round trips, {took:.1?}", listener.name());
        assert_eq!(after.accepted - before.accepted, 1, "one connection serves for all");
        assert!(round_trips <= expected, "{}, {login}: {round_trips} round trips", listener.name());
        producer.close(&limit()).await.unwrap();
    }
}
