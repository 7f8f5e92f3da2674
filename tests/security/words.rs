//! What a TLS peer says, or does not say: which failures are final, and what the errors advise.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_testbed::{Certificates, FakeCluster};
use rskafka_producer::{Context, Error, ErrorCode, ErrorKind, Pem, Producer, ProducerConfig, TlsConfig};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::net::{TcpListener, TcpStream};

use crate::{limit, providers};

pub(crate) fn server(certificate: &str, key: &str) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<_, _>>().unwrap();
    let (_, provider) = providers().remove(0);
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    // Not looked at here: some of them no rustls would serve.
    let identity = CertifiedKey::new(chain, provider.key_provider.load_private_key(key).unwrap());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_no_client_auth().with_cert_resolver(Arc::new(SingleCertAndKey::from(identity))))
}

pub(crate) fn tls() -> TlsConfig {
    TlsConfig::default().provider(providers().remove(0).1)
}

pub(crate) fn one_line(error: &Error) -> String {
    let text = format!("{error:?}");
    eprintln!("{text}");
    text
}

/// A load balancer without targets, Envoy, docker-proxy: accepts, and closes.
#[tokio::test]
async fn a_peer_that_accepts_and_closes_is_tried_until_the_broker_behind_it_is_there() {
    let certificates = Certificates::generate().unwrap();
    let identity = certificates.server();
    let cluster = FakeCluster::builder()
        .tls(server(identity.certificate_pem(), identity.key_pem()))
        .start()
        .await
        .unwrap();
    let back = cluster.address(0);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = listener.local_addr().unwrap().to_string();
    let (open, is_open) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            if *is_open.borrow() {
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(back).await.unwrap();
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        }
    });
    let config = ProducerConfig::new([&front]).tls(tls().ca(Pem::text(certificates.ca_pem())));
    let started = Instant::now();
    let error =
        Producer::connect(&Context::timeout(Duration::from_secs(2)), config.clone()).await.unwrap_err();
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!((error.code(), error.kind()), (ErrorCode::BrokersUnavailable, ErrorKind::Unreachable));
    let text = one_line(&error);
    assert!(text.contains(&front) && text.contains("is it the port of a plaintext listener?"), "{text}");
    let connecting = tokio::spawn(async move { Producer::connect(&limit(), config).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    open.send_replace(true);
    connecting.await.unwrap().unwrap();
}

pub(crate) fn openssl(dir: &Path, arguments: &str) {
    let run = Command::new("openssl").args(arguments.split(' ')).current_dir(dir).output().unwrap();
    assert!(run.status.success(), "{arguments}: {}", String::from_utf8_lossy(&run.stderr));
}

#[tokio::test]
async fn certificates_and_keys_of_openssl_that_cannot_be_used_are_explained_with_the_command_to_run() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("SKIPPED certificates_and_keys_of_openssl_…: openssl is missing");
        return;
    }
    let dir = std::env::temp_dir().join(format!("words-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    openssl(
        &dir,
        "req -x509 -newkey rsa:2048 -nodes -keyout self.key -out self.pem -subj /CN=localhost -days 2",
    );
    openssl(&dir, "req -newkey rsa:2048 -nodes -keyout one.key -out one.csr -subj /CN=localhost");
    openssl(&dir, "x509 -req -in one.csr -CA self.pem -CAkey self.key -CAcreateserial -out one.pem -days 2");
    openssl(&dir, "rsa -in self.key -traditional -aes128 -passout pass:s3cret -out proc.key");
    openssl(&dir, "pkey -in self.key -aes128 -passout pass:s3cret -out pkcs8.key");
    for (name, words) in [
        ("self", &["openssl req -x509", "CA:FALSE", "subjectAltName"][..]),
        ("one", &["version 1", "openssl x509 -req"][..]),
    ] {
        let config = server(&read(&format!("{name}.pem")), &read(&format!("{name}.key")));
        let cluster = FakeCluster::builder().tls(config).start().await.unwrap();
        let tls = tls().ca(Pem::text(read("self.pem"))).server_name("localhost");
        let error =
            Producer::connect(&limit(), ProducerConfig::new(cluster.bootstrap()).tls(tls)).await.unwrap_err();
        let text = one_line(&error);
        assert_eq!((error.kind(), error.code()), (ErrorKind::Tls, ErrorCode::InvalidConfig), "{text}");
        for word in words.iter().copied().chain([cluster.bootstrap()[0].as_str()]) {
            assert!(text.contains(word), "{name}: {word:?} is not in {text}");
        }
        assert!(!text.contains("OtherError"), "{text}");
    }
    // What the first text advises is accepted.
    openssl(
        &dir,
        "req -x509 -newkey rsa:2048 -nodes -keyout fine.key -out fine.pem -subj /CN=localhost -days 2 -addext \
         basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost",
    );
    let cluster =
        FakeCluster::builder().tls(server(&read("fine.pem"), &read("fine.key"))).start().await.unwrap();
    let fine = tls().ca(Pem::text(read("fine.pem"))).server_name("localhost");
    Producer::connect(&limit(), ProducerConfig::new(cluster.bootstrap()).tls(fine)).await.unwrap();
    for (name, password, words) in [
        ("proc.key", "s3cret", &["openssl pkey -in", "openssl pkcs8 -topk8"][..]),
        ("pkcs8.key", "", &["openssl pkey -in", "tls.key_password"]),
        #[cfg(feature = "tls-encrypted-keys")]
        ("pkcs8.key", "hunter2", &["cannot be decrypted", "tls.key_password (ssl.key.password"]),
    ] {
        let tls = tls()
            .ca(Pem::text(read("self.pem")))
            .identity(Pem::file(dir.join("self.pem")), Pem::file(dir.join(name)))
            .key_password(password);
        let config = ProducerConfig::new(cluster.bootstrap()).tls(tls);
        let error = Producer::connect(&Context::timeout(Duration::from_secs(2)), config).await.unwrap_err();
        let text = one_line(&error);
        assert!(words.iter().all(|word| text.contains(word)) && text.contains("tls.key ("), "{text}");
        assert!(!text.contains("damaged") && !text.contains("s3cret") && !text.contains("hunter2"), "{text}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test]
async fn a_file_that_is_missing_is_named_by_the_setting_that_named_it() {
    let nowhere = || Pem::file("/nowhere/file.pem");
    let certificates = Certificates::generate().unwrap();
    let text = |pem: &str| Pem::text(pem.to_owned());
    let ca = || text(certificates.ca_pem());
    let client = certificates.client();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    for (tls, name) in [
        (tls().ca(nowhere()), "tls.ca (ssl.truststore.location)"),
        (
            tls().ca(ca()).identity(nowhere(), text(client.key_pem())),
            "tls.certificates (ssl.keystore.certificate.chain)",
        ),
        (tls().ca(ca()).identity(text(client.certificate_pem()), nowhere()), "tls.key (ssl.keystore.key)"),
        (tls().ca(ca()).identity(nowhere(), nowhere()), "tls.identity (ssl.keystore.location)"),
    ] {
        let config = ProducerConfig::new([&address]).tls(tls);
        let Err(error) = Producer::connect(&limit(), config).await else { panic!("{name}") };
        let text = one_line(&error);
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{text}");
        assert!(text.contains(name) && text.matches("/nowhere/file.pem").count() == 1, "{text}");
    }
}
