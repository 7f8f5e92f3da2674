//! Keys, stores and revocation lists as OpenSSL and Java write them, and names that are not checked.

use std::path::Path;

use kafka_testbed::{Certificates, FakeCluster};
use rskafka_producer::{ErrorCode, Pem, Producer, ProducerConfig};

use crate::folder::Folder;
use crate::limit;
use crate::words::{one_line, openssl, server, tls};

/// An authority, and a certificate for `localhost` by it.
fn authority_and_server(dir: &Path) {
    openssl(dir, "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 2");
    openssl(dir, "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost");
    std::fs::write(dir.join("ext"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl(
        dir,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile ext",
    );
}

#[cfg(feature = "tls-encrypted-keys")]
#[tokio::test]
async fn an_encrypted_key_is_decrypted_with_its_password() {
    let Some(dir) = Folder::new("encrypted") else { return };
    authority_and_server(&dir.0);
    let config = server(&dir.read("server.pem"), &dir.read("server.key"));
    let cluster = FakeCluster::builder().tls(config).start().await.unwrap();
    for encryption in [
        "-v2 aes-256-cbc -v2prf hmacWithSHA256",
        "-v2 aes-128-cbc -v2prf hmacWithSHA512",
        "-v2 aes-256-cbc -scrypt -scrypt_N 1024",
    ] {
        openssl(
            &dir.0,
            &format!("pkcs8 -topk8 {encryption} -in server.key -passout pass:s3cret -out locked.key"),
        );
        let both = format!("{}{}", dir.read("server.pem"), dir.read("locked.key"));
        for (certificates, key) in [
            (dir.pem("server.pem"), dir.pem("locked.key")),
            (Pem::text(both.clone()), Pem::text(both.replace('\n', "\r\n"))),
        ] {
            let tls = tls().ca(dir.pem("ca.pem")).server_name("localhost").identity(certificates, key);
            let config = ProducerConfig::new(cluster.bootstrap()).tls(tls.key_password("s3cret\n"));
            assert!(!format!("{config:?}").contains("s3cret"));
            Producer::connect(&limit(), config).await.unwrap();
        }
    }
    openssl(&dir.0, "pkcs8 -topk8 -v2 des3 -in server.key -passout pass:s3cret -out locked.key");
    let tls = tls().ca(dir.pem("ca.pem")).identity(dir.pem("server.pem"), dir.pem("locked.key"));
    let config = ProducerConfig::new(cluster.bootstrap()).tls(tls.key_password("s3cret"));
    let text = one_line(&Producer::connect(&limit(), config).await.unwrap_err());
    assert!(
        text.contains("not supported") && text.contains("openssl pkcs8 -topk8 -v2 aes-256-cbc"),
        "{text}"
    );
}

#[tokio::test]
async fn a_store_or_key_in_another_format_is_named_with_the_command_that_converts_it() {
    let Some(dir) = Folder::new("formats") else { return };
    authority_and_server(&dir.0);
    openssl(&dir.0, "pkcs12 -export -in server.pem -inkey server.key -passout pass:s3cret -out store.bin");
    openssl(&dir.0, "x509 -in ca.pem -outform der -out ca.der");
    openssl(&dir.0, "pkcs8 -topk8 -nocrypt -in server.key -outform der -out key.der");
    std::fs::write(dir.0.join("java.bin"), b"\xfe\xed\xfe\xed\0\0\0\x02").unwrap();
    std::fs::write(dir.0.join("marked.pem"), format!("\u{feff}{}", dir.read("ca.pem"))).unwrap();
    let config = server(&dir.read("server.pem"), &dir.read("server.key"));
    let cluster = FakeCluster::builder().tls(config).start().await.unwrap();
    let identity = |name| tls().ca(dir.pem("ca.pem")).identity(dir.pem("server.pem"), dir.pem(name));
    for (tls, setting, command) in [
        (tls().ca(dir.pem("store.bin")), "tls.ca (ssl.truststore.location)", "openssl pkcs12 -in"),
        (tls().ca(dir.pem("java.bin")), "tls.ca (ssl.truststore.location)", "keytool -list -rfc"),
        (tls().ca(dir.pem("ca.der")), "tls.ca (ssl.truststore.location)", "openssl x509 -in"),
        (identity("key.der"), "tls.key (ssl.keystore.key)", "openssl pkey -in"),
        (identity("store.bin"), "tls.key (ssl.keystore.key)", "openssl pkcs12 -in"),
    ] {
        let error =
            Producer::connect(&limit(), ProducerConfig::new(cluster.bootstrap()).tls(tls)).await.unwrap_err();
        let text = one_line(&error);
        assert_eq!(error.code(), ErrorCode::InvalidConfig, "{text}");
        assert!(text.contains(setting) && text.contains(command) && !text.contains("s3cret"), "{text}");
    }
    // What is advised works, and so does a file with a mark at its start.
    openssl(&dir.0, "pkcs12 -in store.bin -passin pass:s3cret -nodes -out client.pem");
    let tls = tls().ca(dir.pem("marked.pem")).server_name("localhost");
    let tls = tls.identity(dir.pem("client.pem"), dir.pem("client.pem"));
    Producer::connect(&limit(), ProducerConfig::new(cluster.bootstrap()).tls(tls)).await.unwrap();
}

#[tokio::test]
async fn a_host_name_is_not_checked_if_so_configured_and_everything_else_is() {
    let certificates = Certificates::generate().unwrap();
    let elsewhere = certificates.wrong_host_server();
    let expired = certificates.expired_server();
    let config = |cluster: &FakeCluster, ca: &str, algorithm| {
        let coded = ProducerConfig::new(cluster.bootstrap()).tls(tls().ca(Pem::text(ca)));
        coded.with_properties([("ssl.endpoint.identification.algorithm", algorithm)]).unwrap()
    };
    let start = |identity: &kafka_testbed::Identity| {
        FakeCluster::builder().tls(server(identity.certificate_pem(), identity.key_pem())).start()
    };
    let cluster = start(elsewhere).await.unwrap();
    for algorithm in ["", "none"] {
        Producer::connect(&limit(), config(&cluster, certificates.ca_pem(), algorithm)).await.unwrap();
    }
    let checked = config(&cluster, certificates.ca_pem(), "https");
    let error = Producer::connect(&limit(), checked).await.unwrap_err();
    assert!(one_line(&error).contains("for another host"));
    let error =
        Producer::connect(&limit(), config(&cluster, certificates.foreign_ca_pem(), "")).await.unwrap_err();
    assert!(one_line(&error).contains("not trusted"));
    let cluster = start(expired).await.unwrap();
    let error = Producer::connect(&limit(), config(&cluster, certificates.ca_pem(), "")).await.unwrap_err();
    assert!(one_line(&error).contains("has expired"));
}

#[tokio::test]
async fn a_certificate_that_its_authority_has_revoked_is_refused() {
    let Some(dir) = Folder::new("revoked") else { return };
    authority_and_server(&dir.0);
    let configuration =
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index\ncrlnumber=number\ndefault_md=sha256\ndefault_crl_days=1\n";
    for (name, text) in [("ca.cnf", configuration), ("index", ""), ("number", "01\n")] {
        std::fs::write(dir.0.join(name), text).unwrap();
    }
    let ca = "ca -config ca.cnf -keyfile ca.key -cert ca.pem";
    openssl(&dir.0, &format!("{ca} -gencrl -out fine.crl"));
    openssl(&dir.0, &format!("{ca} -revoke server.pem"));
    openssl(&dir.0, &format!("{ca} -gencrl -out revoked.crl"));
    let foreign =
        "req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.pem -subj /CN=other -days 2";
    openssl(&dir.0, foreign);
    openssl(&dir.0, "ca -config ca.cnf -keyfile other.key -cert other.pem -gencrl -out foreign.crl");
    let config = server(&dir.read("server.pem"), &dir.read("server.key"));
    let cluster = FakeCluster::builder().tls(config).start().await.unwrap();
    let connect = async |list: &str| {
        let tls = tls().ca(dir.pem("ca.pem")).server_name("localhost").crl(dir.pem(list));
        Producer::connect(&limit(), ProducerConfig::new(cluster.bootstrap()).tls(tls)).await
    };
    connect("fine.crl").await.unwrap();
    for (list, expected) in [
        ("revoked.crl", "was revoked"),
        ("foreign.crl", "needs a list of its issuer"),
        ("ca.pem", "tls.crl (ssl.crl.location): there is no revocation list"),
    ] {
        let text = one_line(&connect(list).await.unwrap_err());
        assert!(text.contains(expected), "{text}");
    }
}
