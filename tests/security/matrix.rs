//! Every listener with every mechanism and every cryptography, read back by Java and kcat.

use std::collections::BTreeSet;

use kafka_testbed::{JvmCluster, Listener, Mechanism, Reader};
use rskafka_producer::{EngineKind, Producer};

use crate::overheard::Overheard;
use crate::{TURN, fitting, limit, providers};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_listener_mechanism_and_cryptography_delivers() {
    if !JvmCluster::available_or_skip("every_listener_mechanism_and_cryptography_delivers") {
        return;
    }
    let _turn = TURN.lock().await;
    let cluster = JvmCluster::builder().secured().start().await.unwrap();
    cluster.create_topic("matrix", 1, &[]).await.unwrap();
    let overheard = Overheard::default();
    let mut expected = BTreeSet::new();
    for listener in Listener::ALL {
        if matches!(listener, Listener::ExpiredCertificate | Listener::WrongHostCertificate) {
            continue;
        }
        let mechanisms: Vec<_> = match listener.has_sasl() {
            true => Mechanism::ALL.into_iter().map(Some).collect(),
            false => vec![None],
        };
        for mechanism in mechanisms {
            let mut with =
                providers().into_iter().map(|(name, provider)| (name, Some(provider))).collect::<Vec<_>>();
            if !listener.has_tls() {
                with = vec![("no TLS", None)];
            }
            for (cryptography, provider) in with {
                let login = mechanism.map_or("no login", Mechanism::name);
                let case = format!("{}, {login}, {cryptography}", listener.name());
                let config = fitting(&cluster, listener, mechanism, provider.as_ref()).topic("matrix");
                let config = overheard.listen(config);
                let producer =
                    Producer::connect(&limit(), config).await.unwrap_or_else(|e| panic!("{case}: {e:?}"));
                overheard.note(&producer);
                let delivery = producer.send_message(&limit(), "case", &case).await;
                let delivery = delivery.unwrap_or_else(|e| panic!("{case}: {e:?}"));
                eprintln!("{case}: stored at offset {:?}", delivery.offset());
                producer.close(&limit()).await.unwrap();
                expected.insert(case);
            }
        }
    }
    for mechanism in Mechanism::ALL {
        let case = format!("SASL_PLAINTEXT, {}, PartitionClient", mechanism.name());
        let config = fitting(&cluster, Listener::SaslPlaintext, Some(mechanism), None).topic("matrix");
        let config = overheard.listen(config.engine(EngineKind::PartitionClient));
        let producer = Producer::connect(&limit(), config).await.unwrap_or_else(|e| panic!("{case}: {e:?}"));
        producer.send_message(&limit(), "case", &case).await.unwrap_or_else(|e| panic!("{case}: {e:?}"));
        producer.close(&limit()).await.unwrap();
        expected.insert(case);
    }
    let values = |records: Vec<kafka_testbed::StoredRecord>| -> BTreeSet<String> {
        records.into_iter().map(|r| String::from_utf8(r.value.unwrap().to_vec()).unwrap()).collect()
    };
    assert_eq!(values(cluster.read(Reader::Java, "matrix").await.unwrap()), expected);
    if Reader::Kcat.is_available() {
        assert_eq!(values(cluster.read(Reader::Kcat, "matrix").await.unwrap()), expected);
    }
    overheard.no_secret_of(&cluster);
}
