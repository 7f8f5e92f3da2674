//! Streams of a custom connector, in place of TCP.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use async_trait::async_trait;
use kafka_testbed::FakeCluster;
use parking_lot::Mutex;
use rskafka_producer::{ByteStream, ConnectError, Connector, Fate, Message, Producer, ProducerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::support::{SECOND, ctx};

/// Opens memory in place of sockets; a task passes the bytes on to the brokers.
#[derive(Default)]
struct InMemory {
    opened: Mutex<Vec<(String, u16)>>,
}

#[async_trait]
impl Connector for InMemory {
    async fn connect(&self, host: &str, port: u16) -> Result<Box<dyn ByteStream>, ConnectError> {
        self.opened.lock().push((host.to_owned(), port));
        let mut broker = TcpStream::connect(("127.0.0.1", port)).await?;
        let (near, mut far) = tokio::io::duplex(16);
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut far, &mut broker).await });
        Ok(Box::new(near))
    }
}

/// A connector that is a function.
struct By(fn() -> Result<Box<dyn ByteStream>, ConnectError>);

#[async_trait]
impl Connector for By {
    async fn connect(&self, _: &str, _: u16) -> Result<Box<dyn ByteStream>, ConnectError> {
        (self.0)()
    }
}

/// Claims to have written more than it was given.
struct Boaster;

impl AsyncRead for Boaster {
    fn poll_read(self: Pin<&mut Self>, _: &mut TaskContext<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Boaster {
    fn poll_write(self: Pin<&mut Self>, _: &mut TaskContext<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len() + 1))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn every_stream_is_opened_by_the_connector_for_the_host_as_it_is_written() {
    let cluster = FakeCluster::builder().brokers(2).topic("t", 2).start().await.unwrap();
    let connector = Arc::new(InMemory::default());
    let port = cluster.address(0).port();
    // No resolver knows that name.
    let config =
        ProducerConfig::new(format!("broker.invalid:{port}")).topic("t").connector(connector.clone());
    let producer = Producer::new(config).unwrap();
    for partition in [0, 1] {
        producer.send(&ctx(10 * SECOND), Message::new("v").partition(partition)).await.unwrap();
    }
    let opened = connector.opened.lock().clone();
    assert_eq!(opened[0], ("broker.invalid".to_owned(), port));
    assert!(opened.contains(&("127.0.0.1".to_owned(), cluster.address(1).port())), "{opened:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_connector_fails_with_is_in_the_error() {
    let no_name = || Err(ConnectError::Resolve(io::Error::other("no such tunnel")));
    let no_peer = || Err(io::Error::other("the tunnel is closed").into());
    for (connector, expected) in [
        (By(no_name), "its host name cannot be resolved (no such tunnel)"),
        (By(no_peer), "the tunnel is closed"),
        (By(|| panic!("a connector panics, as it should")), "the connector panicked: a connector panics"),
        (By(|| Ok(Box::new(Boaster))), "the connector's stream claims to have written"),
    ] {
        let config = ProducerConfig::new("broker:9092").topic("t").connector(connector);
        let producer = Producer::new(config).unwrap();
        let error = producer.send(&ctx(SECOND), Message::new("v")).await.unwrap_err();
        assert_eq!(error.fate(), Fate::NotPersisted);
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text += &format!(": {cause}");
            source = cause.source();
        }
        assert!(text.contains(expected), "{expected:?} is not in {text:?}");
    }
}

#[cfg(feature = "tls-graviola")]
#[tokio::test]
async fn tls_runs_on_top_of_a_connector() {
    use kafka_testbed::Certificates;
    use rskafka_producer::{Pem, TlsConfig};
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    let Ok(provider) = std::panic::catch_unwind(rustls_graviola::default_provider) else {
        return eprintln!("skipped: graviola does not run on this processor");
    };
    let provider = Arc::new(provider);
    let certificates = Certificates::generate().unwrap();
    let key = PrivateKeyDer::from_pem_slice(certificates.server().key_pem().as_bytes()).unwrap();
    let chain = vec![CertificateDer::from(certificates.server().certificate_der().to_vec())];
    let server = rustls::ServerConfig::builder_with_provider(provider.clone());
    let server = server.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let server = Arc::new(server.with_single_cert(chain, key).unwrap());
    let cluster = FakeCluster::builder().topic("t", 1).tls(server).start().await.unwrap();

    let connector = Arc::new(InMemory::default());
    let tls = TlsConfig::default().ca(Pem::text(certificates.ca_pem())).provider(provider);
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t").tls(tls).connector(connector.clone());
    let producer = Producer::new(config).unwrap();
    producer.send(&ctx(10 * SECOND), Message::new("v")).await.unwrap();
    assert!(!connector.opened.lock().is_empty());
}
