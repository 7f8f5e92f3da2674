use std::time::Duration;

use kafka_testbed::Certificates;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::config::Pem;

const LIMIT: Duration = Duration::from_secs(30);

/// A server that answers one request with these bytes, and then closes; what it was asked.
async fn serve(answer: Vec<u8>) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token?secret=hunter2", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
            assert_ne!(socket.read_buf(&mut asked).await.unwrap(), 0);
        }
        // The client may hang up before the end.
        _ = socket.write_all(&answer).await;
        String::from_utf8(asked).unwrap()
    });
    (url, asked)
}

fn get(url: &str) -> Request {
    Request::new(Method::GET, Url::parse(url).unwrap())
}

async fn ask(url: &str) -> Result<Response, HttpError> {
    Client::default().send(get(url), LIMIT).await
}

#[tokio::test]
async fn an_answer_is_read_in_every_framing() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nDate: now\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nDate: now\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nDate: now\r\n\r\nhello",
    ] {
        let (url, asked) = serve(answer.into()).await;
        let response = ask(&url).await.unwrap();
        assert_eq!((response.status, &**response.body), (200, &b"hello"[..]));
        assert_eq!(response.header("date"), Some("now"));
        let asked = asked.await.unwrap();
        assert!(asked.starts_with("GET /token?secret=hunter2 HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("host: 127.0.0.1:"), "{asked}");
    }
}

#[tokio::test]
async fn method_headers_and_body_are_sent() {
    let (url, asked) = serve(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()).await;
    let request = Request::new(Method::PUT, Url::parse(&url).unwrap());
    let request = request.header("x-ttl", "60").unwrap().body("a=b".into());
    assert_eq!(Client::default().send(request, LIMIT).await.unwrap().status, 204);
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("PUT ") && asked.contains("x-ttl: 60") && asked.contains("content-length: 3"));
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let (url, _) = serve(b"HTTP/1.1 302 Found\r\nlocation: http://other/\r\n\r\n".to_vec()).await;
    let response = ask(&url).await.unwrap();
    assert!(!response.is_success());
    assert_eq!(response.status, 302);
}

#[tokio::test]
async fn every_failure_names_the_url_without_its_query() {
    let large = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &vec![b'x'; LARGEST + 1]].concat();
    for (answer, expected) in [
        (b"\x15\x03\x01\x00\x02\x02\x50".to_vec(), "does not answer in HTTP"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello".to_vec(),
            "ended before the answer was complete",
        ),
        (Vec::new(), "ended before the answer was complete"),
        (large, "larger than 1048576 bytes"),
    ] {
        let (url, _) = serve(answer).await;
        let text = ask(&url).await.unwrap_err().to_string();
        let named = url.split('?').next().unwrap();
        assert!(text.starts_with(&format!("GET {named}: ")) && text.contains(expected), "{text}");
        assert!(!text.contains("hunter2") && !text.contains('\n'), "{text}");
    }
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let text = ask(&format!("http://{gone}/")).await.unwrap_err().to_string();
    assert!(text.contains("no connection"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_the_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let begun = tokio::time::Instant::now();
    let error = Client::default().send(get(&url), Duration::from_secs(3)).await.unwrap_err();
    assert_eq!(begun.elapsed().as_secs(), 3);
    assert!(error.to_string().ends_with("no answer within 3s"), "{error}");
}

#[test]
fn a_url_is_complete_or_refused_without_its_secrets() {
    for (text, host, port) in [
        ("https://idp", "idp", 443),
        ("http://127.0.0.1:8080/a?b", "127.0.0.1", 8080),
        (" https://[::1]:9/x ", "::1", 9),
    ] {
        let url = Url::parse(text).unwrap();
        assert_eq!((url.host(), url.port()), (host, port));
    }
    for text in [
        "",
        "/token",
        "idp:443/x?hunter2",
        "ftp://idp/?hunter2",
        "https://me:hunter2@idp/",
        "https://:1/",
        "http://a:0/",
    ] {
        let problem = Url::parse(text).unwrap_err();
        assert!(!problem.contains("hunter2"), "{problem}");
    }
    let secret = get("http://idp/").header("authorization", "hunter2\n").err().unwrap();
    assert!(!secret.contains("hunter2"), "{secret}");
}

#[cfg(feature = "tls-graviola")]
#[tokio::test]
async fn certificates_are_checked_and_the_advice_names_the_setting() {
    let certificates = Certificates::generate().unwrap();
    for (server, trusted, expected) in [
        (certificates.server(), certificates.ca_pem(), None),
        (certificates.server(), certificates.foreign_ca_pem(), Some("with https.ca.location")),
        (certificates.expired_server(), certificates.ca_pem(), Some("has expired")),
        (certificates.wrong_host_server(), certificates.ca_pem(), Some("for another host")),
    ] {
        let url = serve_encrypted(server).await;
        let trust = Trust::new(vec![Pem::text(trusted)], None, "https.ca.location");
        let answer = Client::new(trust).send(get(&url), LIMIT).await;
        match expected {
            None => assert_eq!(answer.unwrap().status, 200),
            Some(expected) => {
                let error = answer.unwrap_err();
                assert!(error.failure.is_final() && error.to_string().contains(expected), "{error}");
            }
        }
    }
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", plain.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut socket, _) = plain.accept().await.unwrap();
        socket.read_u8().await.unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    });
    let trust = Trust::new(vec![Pem::text(certificates.ca_pem())], None, "https.ca.location");
    let error = Client::new(trust).send(get(&url), LIMIT).await.unwrap_err();
    assert!(error.to_string().contains("without TLS"), "{error}");
}

#[cfg(feature = "tls-graviola")]
async fn serve_encrypted(identity: &kafka_testbed::Identity) -> String {
    use rustls::pki_types::pem::PemObject as _;

    let provider = Arc::new(rustls_graviola::default_provider());
    let chain = vec![identity.certificate_der().to_vec().into()];
    let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        // A client that does not trust it hangs up.
        let Ok(mut stream) = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(socket).await else {
            return;
        };
        _ = stream.read(&mut [0; 1024]).await;
        _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        _ = stream.shutdown().await;
    });
    url
}
