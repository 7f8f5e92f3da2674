//! The fake behind TLS, and the certificates, by rustls as the client.

use std::sync::Arc;

use kafka_protocol::messages::MetadataRequest;
use kafka_testbed::{Certificates, FakeCluster, Identity};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::wire;

fn roots(pem: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    roots
}

fn chain(identity: &Identity) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let certificate = CertificateDer::from(identity.certificate_der().to_vec());
    (vec![certificate], PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes()).unwrap())
}

/// A broker that shows `server`, and demands a certificate of the client.
async fn broker(certificates: &Certificates, server: &Identity) -> FakeCluster {
    let verifier = WebPkiClientVerifier::builder(roots(certificates.ca_pem()).into()).build().unwrap();
    let (chain, key) = chain(server);
    let config = ServerConfig::builder().with_client_cert_verifier(verifier).with_single_cert(chain, key);
    FakeCluster::builder().topic("t", 1).tls(Arc::new(config.unwrap())).start().await.unwrap()
}

/// Asks a broker for its metadata, as somebody who trusts an authority.
async fn ask(cluster: &FakeCluster, host: &str, trusted: &str, client: &Identity) -> std::io::Result<usize> {
    let (chain, key) = chain(client);
    let config = ClientConfig::builder().with_root_certificates(roots(trusted));
    let config = config.with_client_auth_cert(chain, key).unwrap();
    let socket = TcpStream::connect(&cluster.bootstrap()[0]).await?;
    let connector = TlsConnector::from(Arc::new(config));
    let mut socket = connector.connect(host.to_owned().try_into().unwrap(), socket).await?;
    Ok(wire::request(&mut socket, MetadataRequest::default(), 4).await?.brokers.len())
}

#[tokio::test]
async fn a_client_of_ours_meets_a_server_of_ours() {
    let certificates = Certificates::generate().unwrap();
    for server in [certificates.server(), certificates.rsa_server()] {
        let cluster = broker(&certificates, server).await;
        for host in ["127.0.0.1", "localhost", "::1"] {
            let asked = ask(&cluster, host, certificates.ca_pem(), certificates.client()).await;
            assert_eq!(asked.unwrap(), 1, "{host}");
        }
    }
}

#[tokio::test]
async fn each_bad_certificate_is_bad_in_one_way_only() {
    let certificates = Certificates::generate().unwrap();
    let (ca, client) = (certificates.ca_pem(), certificates.client());
    let expired = broker(&certificates, certificates.expired_server()).await;
    let error = ask(&expired, "localhost", ca, client).await.unwrap_err().to_string();
    assert!(error.contains("expired"), "{error}");

    let elsewhere = broker(&certificates, certificates.wrong_host_server()).await;
    let error = ask(&elsewhere, "localhost", ca, client).await.unwrap_err().to_string();
    assert!(error.contains("not valid for name"), "{error}");
    assert_eq!(ask(&elsewhere, "elsewhere.example", ca, client).await.unwrap(), 1);

    let right = broker(&certificates, certificates.server()).await;
    let foreign = certificates.foreign_ca_pem();
    let error = ask(&right, "localhost", foreign, client).await.unwrap_err().to_string();
    assert!(error.contains("UnknownIssuer"), "{error}");
    let error = ask(&right, "localhost", ca, certificates.foreign_client()).await.unwrap_err().to_string();
    assert!(error.contains("alert"), "{error}");
}
