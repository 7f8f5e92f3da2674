//! A broker that knows no TLS newer than 1.2.

use kafka_testbed::{JvmCluster, Listener, Mechanism};
use rskafka_producer::Producer;

use crate::{TURN, fitting, limit, providers};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_speaks_only_tls_1_2_is_spoken_to() {
    if !JvmCluster::available_or_skip("a_broker_that_speaks_only_tls_1_2_is_spoken_to") {
        return;
    }
    let _turn = TURN.lock().await;
    let cluster =
        JvmCluster::builder().secured().config("ssl.enabled.protocols", "TLSv1.2").start().await.unwrap();
    cluster.create_topic("old", 1, &[]).await.unwrap();
    let mut sent = 0;
    for (name, provider) in providers() {
        for (listener, mechanism) in [
            (Listener::Ssl, None),
            (Listener::MutualTls, None),
            (Listener::SaslSsl, Some(Mechanism::Plain)),
            (Listener::SaslSsl, Some(Mechanism::ScramSha512)),
        ] {
            let case = format!("{}, {name}", listener.name());
            let config = fitting(&cluster, listener, mechanism, Some(&provider)).topic("old");
            let producer =
                Producer::connect(&limit(), config).await.unwrap_or_else(|e| panic!("{case}: {e:?}"));
            let delivery = producer.send_message(&limit(), "case", &case).await;
            assert_eq!(delivery.unwrap_or_else(|e| panic!("{case}: {e:?}")).offset(), Some(sent));
            producer.close(&limit()).await.unwrap();
            sent += 1;
        }
    }
    assert!(sent >= 4, "no cryptography: {sent}");
}
