//! Keys of curves that the crypto providers lack, wherever they are: one sentence, with the curves that work and the command.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use kafka_testbed::{Certificates, FakeCluster};
use rskafka_producer::{ErrorCode, ErrorKind, Pem, Producer, ProducerConfig, TlsConfig};

use crate::folder::Folder;
use crate::words::{one_line, openssl, server};
use crate::{limit, providers};

const CURVES: [&str; 2] = ["P-521", "brainpoolP256r1"];

/// A self-signed certificate for `localhost` with a key of this curve.
fn self_signed(dir: &Path, curve: &str, extensions: &str) {
    let common = "-nodes -keyout own.key -out own.pem -subj /CN=localhost -days 2";
    openssl(dir, &format!("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:{curve} {common}{extensions}"));
}

const NO_AUTHORITY: &str = " -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost";

/// `openssl s_server`, ended with this.
struct Server(Child);

impl Server {
    fn start(dir: &Path) -> (Self, String) {
        let mut command = Command::new("openssl");
        command.args("s_server -accept 127.0.0.1:0 -cert own.pem -key own.key -naccept 100".split(' '));
        let command =
            command.current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address =
            lines.map_while(Result::ok).find_map(|line| Some(line.strip_prefix("ACCEPT ")?.to_owned()));
        (Self(child), address.unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

async fn refused(config: ProducerConfig, kind: ErrorKind, what: &str) {
    let error = Producer::connect(&limit(), config).await.unwrap_err();
    let text = one_line(&error);
    assert_eq!((error.kind(), error.code()), (kind, ErrorCode::InvalidConfig), "{text}");
    for word in [
        what,
        "P-256 and P-384 work",
        "P-521",
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
    ] {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
}

#[tokio::test]
async fn a_broker_whose_certificate_has_an_unsupported_curve_is_explained() {
    let Some(dir) = Folder::new("curve-of-the-broker") else { return };
    for curve in CURVES {
        self_signed(&dir.0, curve, NO_AUTHORITY);
        let (_server, address) = Server::start(&dir.0);
        for (name, provider) in providers() {
            let tls = TlsConfig::default()
                .provider(provider)
                .ca(Pem::text(dir.read("own.pem")))
                .server_name("localhost");
            eprintln!("{name}, {curve}");
            refused(ProducerConfig::new([&address]).tls(tls), ErrorKind::Tls, &address).await;
        }
    }
}

#[tokio::test]
async fn an_authority_with_an_unsupported_curve_is_explained() {
    let Some(dir) = Folder::new("curve-of-the-authority") else { return };
    for curve in CURVES {
        self_signed(&dir.0, curve, "");
        openssl(&dir.0, "req -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=localhost");
        std::fs::write(dir.0.join("ext"), "subjectAltName=DNS:localhost\n").unwrap();
        let sign = "x509 -req -in leaf.csr -CA own.pem -CAkey own.key -CAcreateserial -out leaf.pem -days 2 -extfile ext";
        openssl(&dir.0, sign);
        let cluster = FakeCluster::builder()
            .tls(server(&dir.read("leaf.pem"), &dir.read("leaf.key")))
            .start()
            .await
            .unwrap();
        for (_, provider) in providers() {
            let tls = TlsConfig::default()
                .provider(provider)
                .ca(Pem::text(dir.read("own.pem")))
                .server_name("localhost");
            let config = ProducerConfig::new(cluster.bootstrap()).tls(tls);
            refused(config, ErrorKind::Tls, "that of its authority").await;
        }
    }
}

#[tokio::test]
async fn a_key_of_the_producer_with_an_unsupported_curve_is_explained_and_the_command_makes_one_that_works() {
    let Some(dir) = Folder::new("curve-of-the-producer") else { return };
    let certificates = Certificates::generate().unwrap();
    let of_broker = certificates.server();
    let config = server(of_broker.certificate_pem(), of_broker.key_pem());
    let cluster = FakeCluster::builder().tls(config).start().await.unwrap();
    let with_identity = |provider| {
        let tls = TlsConfig::default().provider(provider).ca(Pem::text(certificates.ca_pem().to_owned()));
        let tls = tls.identity(Pem::text(dir.read("own.pem")), Pem::text(dir.read("own.key")));
        ProducerConfig::new(cluster.bootstrap()).tls(tls)
    };
    for curve in CURVES {
        self_signed(&dir.0, curve, NO_AUTHORITY);
        for (_, provider) in providers() {
            refused(with_identity(provider), ErrorKind::InvalidConfig, "tls.key (ssl.keystore.key)").await;
        }
    }
    openssl(&dir.0, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out own.key");
    openssl(&dir.0, "req -x509 -new -key own.key -out own.pem -subj /CN=localhost -days 2");
    for (_, provider) in providers() {
        Producer::connect(&limit(), with_identity(provider)).await.unwrap();
    }
}
