//! Files of certificates are read again for each connection.

use std::sync::Arc;
use std::time::Duration;

use kafka_testbed::{Certificates, FakeCluster};
use rskafka_producer::{ErrorKind, Fate, Pem, Producer, ProducerConfig, TlsConfig};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::{limit, providers};

#[tokio::test]
async fn a_certificate_that_is_replaced_is_used_by_the_next_connection_of_the_same_producer() {
    for (_, provider) in providers() {
        let certificates = Certificates::generate().unwrap();
        let chain = CertificateDer::pem_slice_iter(certificates.server().certificate_pem().as_bytes());
        let key = PrivateKeyDer::from_pem_slice(certificates.server().key_pem().as_bytes()).unwrap();
        let server = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.collect::<Result<_, _>>().unwrap(), key)
            .unwrap();
        let cluster = FakeCluster::builder().brokers(1).tls(Arc::new(server)).start().await.unwrap();
        cluster.create_topic("t", 1);
        let dir = std::env::temp_dir().join(format!("rotation-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let ca = dir.join("ca.pem");
        std::fs::write(&ca, certificates.foreign_ca_pem()).unwrap();
        let tls = TlsConfig::default().provider(provider).ca(Pem::file(&ca));
        let producer = Producer::new(ProducerConfig::new(cluster.bootstrap()).topic("t").tls(tls)).unwrap();
        let error = producer.send_message(&limit(), "k", "v").await.unwrap_err();
        assert_eq!((error.kind(), error.fate()), (ErrorKind::Tls, Fate::NotPersisted), "{error}");

        std::fs::write(&ca, certificates.ca_pem()).unwrap();
        // Until then requests to the untrusted broker are suspended.
        tokio::time::sleep(error.retry_after().unwrap_or(Duration::from_secs(1))).await;
        producer.send_message(&limit(), "k", "v").await.unwrap();

        // Half written, and then not there for a moment: what was read before serves the next connections.
        let connections = cluster.connections_accepted(0);
        std::fs::write(&ca, "-----BEGIN CERTIFICATE-----\n?").unwrap();
        cluster.cut_connections(0);
        producer.send_message(&limit(), "k", "v").await.unwrap();
        std::fs::remove_file(&ca).unwrap();
        cluster.cut_connections(0);
        producer.send_message(&limit(), "k", "v").await.unwrap();
        assert!(cluster.connections_accepted(0) >= connections + 2);
        producer.close(&limit()).await.unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
