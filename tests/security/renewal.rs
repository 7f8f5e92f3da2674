//! Sessions that end are renewed under load, on the connections that stand (KIP-368).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use kafka_testbed::{JvmCluster, Listener, Mechanism, USER, unsecured_token};
use rskafka_producer::{Message, Producer, ProducerConfig, SaslConfig, Token};

use crate::{TURN, fitting, limit, providers};

const LASTS: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_sessions_of_ten_seconds_are_renewed_without_a_reconnect() {
    if !JvmCluster::available_or_skip("under_load_sessions_of_ten_seconds_are_renewed_without_a_reconnect") {
        return;
    }
    let _turn = TURN.lock().await;
    let cluster = JvmCluster::builder()
        .secured()
        .proxied()
        .config("connections.max.reauth.ms", "10000")
        .start()
        .await
        .unwrap();
    let (_, provider) = providers().remove(0);
    let fitting = |listener, mechanism| fitting(&cluster, listener, mechanism, Some(&provider));
    // A token that lasts as long as the others' sessions.
    let tokens = AtomicU64::new(0);
    let tokens: &'static AtomicU64 = Box::leak(Box::new(tokens));
    let bearer = SaslConfig::oauth_bearer(move || async move {
        tokens.fetch_add(1, Relaxed);
        Ok(Token::new(unsecured_token(USER, Duration::from_secs(10))))
    });
    let loads = [
        ("scram", Listener::SaslSsl, fitting(Listener::SaslSsl, Some(Mechanism::ScramSha512))),
        ("plain", Listener::SaslMutualTls, fitting(Listener::SaslMutualTls, Some(Mechanism::Plain))),
        (
            "bearer",
            Listener::SaslPlaintext,
            fitting(Listener::SaslPlaintext, None).sasl(bearer.allow_plaintext(true)),
        ),
    ];
    let mut running = Vec::new();
    for (topic, listener, config) in loads {
        cluster.create_topic(topic, 1, &[]).await.unwrap();
        let cluster = &cluster;
        running.push(async move {
            let before = cluster.proxy_at(listener, 1).traffic().accepted;
            let sent = load(config.topic(topic)).await;
            (topic, sent, cluster.proxy_at(listener, 1).traffic().accepted - before)
        });
    }
    for (topic, sent, connections) in futures_util::future::join_all(running).await {
        let stored = cluster.read_fast(topic).await.unwrap();
        eprintln!("{topic}: {sent} sent, {} stored, {connections} connection(s)", stored.len());
        let numbers: Vec<u64> = stored
            .iter()
            .map(|r| std::str::from_utf8(r.value.as_ref().unwrap()).unwrap().parse().unwrap())
            .collect();
        assert!(numbers.iter().copied().eq(0..sent), "{topic}: lost, duplicated or out of order");
        assert_eq!(connections, 1, "{topic}: the connection was made again");
    }
    assert!(tokens.load(Relaxed) >= 6, "the token was requested {} times", tokens.load(Relaxed));
}

/// Numbers in order, several in flight at any time; how many.
pub(crate) async fn load(config: ProducerConfig) -> u64 {
    let producer = Producer::connect(&limit(), config).await.unwrap();
    let started = Instant::now();
    let mut sent = 0;
    while started.elapsed() < LASTS {
        let mut receipts = Vec::new();
        for _ in 0..20 {
            receipts.push(producer.enqueue(&limit(), Message::new(sent.to_string())).await.unwrap());
            sent += 1;
        }
        for receipt in receipts {
            let delivery = receipt.await.unwrap();
            assert_eq!(delivery.attempts(), 1);
        }
    }
    producer.close(&limit()).await.unwrap();
    sent
}
