use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use kafka_testbed::{IdentityServer, PASSWORD, USER};

use super::*;
use crate::config::{ClientAssertion, Pem, Secret};

const CONNECT: Duration = Duration::from_secs(10);

fn oidc(server: &IdentityServer) -> Oidc {
    Oidc::client_credentials(server.token_endpoint(), USER, PASSWORD)
}

async fn token(oidc: &Oidc) -> Result<Token, String> {
    prepared(oidc).token("kafka:9092").await.map_err(|error| error.to_string())
}

fn prepared(oidc: &Oidc) -> Arc<dyn TokenIssuer> {
    oidc.prepared(&Surroundings { tls: None, clock: WallClock::default(), connect: CONNECT })
}

#[tokio::test]
async fn id_and_secret_are_exchanged_for_a_token_with_its_extensions() {
    let server = IdentityServer::start().await.unwrap();
    let token = token(&oidc(&server).scope("a b").extension("logicalCluster", "lkc-1")).await.unwrap();
    let claims = token.value.expose().split('.').nth(1).unwrap();
    let claims = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert!(claims.contains(&format!(r#""sub":"{USER}""#)), "{claims}");
    assert_eq!(token.extensions, [("logicalCluster".to_owned(), "lkc-1".to_owned())]);
    let requests = server.requests();
    assert_eq!(requests[0].form, "grant_type=client_credentials&scope=a+b");
    assert!(requests[0].authorization.as_ref().unwrap().starts_with("Basic "));
}

#[cfg(any(feature = "tls-graviola", feature = "tls-ring"))]
#[tokio::test]
async fn an_assertion_is_exchanged_for_a_token_by_either_grant() {
    let server = IdentityServer::start().await.unwrap();
    let signed = || {
        let key = Pem::text(server.client_key_pem().unwrap());
        ClientAssertion::signed(key).issuer("orders").subject("orders").audience("idp").unique_id(true)
    };
    let url = server.token_endpoint();
    for oidc in [Oidc::client_assertion(&url, signed()).client_id("orders"), Oidc::jwt_bearer(&url, signed())]
    {
        token(&oidc).await.unwrap();
        assert_eq!(server.requests().pop().unwrap().authorization, None);
    }
    assert!(server.requests()[0].form.contains("&client_id=orders"));
    let foreign = Pem::text(kafka_testbed::Certificates::generate().unwrap().client().key_pem());
    let refused = Oidc::jwt_bearer(&url, ClientAssertion::signed(foreign).subject("orders"));
    let text = token(&refused).await.unwrap_err();
    assert!(text.contains("the assertion is not signed by the client"), "{text}");
    let unusable = Oidc::jwt_bearer(&url, ClientAssertion::signed(Pem::text("hunter2")));
    let text = token(&unusable).await.unwrap_err();
    assert!(
        text.contains("sasl.oauthbearer.assertion.private.key.file") && !text.contains("hunter2"),
        "{text}"
    );
}

#[cfg(feature = "tls-graviola")]
#[test]
fn a_key_of_rsa_signs_rs256() {
    use rustls::pki_types::{SubjectPublicKeyInfoDer, alg_id};

    let identity = kafka_testbed::Certificates::generate().unwrap();
    let assertion =
        ClientAssertion::signed(Pem::text(identity.rsa_server().key_pem())).key_id("k").subject("s");
    let signed = assertion::make(&assertion, &TlsConfig::default(), SystemTime::now()).unwrap();
    let (message, signature) = signed.expose().rsplit_once('.').unwrap();
    let header = BASE64_URL_SAFE_NO_PAD.decode(message.split('.').next().unwrap()).unwrap();
    assert_eq!(header, br#"{"alg":"RS256","kid":"k","typ":"JWT"}"#);
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    let key: &[u8] = include_bytes!("../../../testcontainers/src/certificates/rsa-2048.public.der");
    let provider = rustls_graviola::default_provider();
    let algorithms = provider.signature_verification_algorithms.all;
    let rsa = algorithms.iter().filter(|algorithm| {
        algorithm.public_key_alg_id() == alg_id::RSA_ENCRYPTION
            && algorithm.signature_alg_id() == alg_id::RSA_PKCS1_SHA256
    });
    // Either the bare key or one with its type is what an algorithm takes.
    let spki = SubjectPublicKeyInfoDer::from(key);
    let verified = rsa.map(|rsa| rsa.verify_signature(&spki, message.as_bytes(), &signature).is_ok());
    assert_eq!(verified.collect::<Vec<_>>(), [true]);
}

#[tokio::test]
async fn every_failure_is_one_sentence_that_names_the_server_and_no_secret() {
    let server = IdentityServer::start().await.unwrap();
    let url = server.token_endpoint();
    let text = token(&Oidc::client_credentials(&url, USER, "hunter2")).await.unwrap_err();
    let expected = format!(
        "no token from the identity server {url}: it refuses with invalid_client: wrong client id or secret (HTTP status \
         401); check client id, secret or assertion, and scope"
    );
    assert_eq!(text, expected);
    let repeats = format!(
        "HTTP/1.1 400 Bad Request\r\n\r\n{{\"error\":\"invalid_client\",\"error_description\":\"no client has {PASSWORD}\"}}"
    );
    for (answer, expected) in [
        (repeats.as_str(), "no client has ***"),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", "it answers with HTTP status 503"),
        ("HTTP/1.1 200 OK\r\n\r\n{\"access_token\":\"hunter2\"}", "does not say how long"),
        ("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\nhunter2", "an HTML page"),
        ("hunter2", "does not answer in HTTP"),
        ("", "ended before the answer was complete"),
    ] {
        server.answer_with(Some(answer));
        let text = token(&oidc(&server)).await.unwrap_err();
        assert!(text.contains(&url) && text.contains(expected), "{text}");
        assert!(!text.contains("hunter2") && !text.contains(PASSWORD) && !text.contains('\n'), "{text}");
    }
    drop(server);
    for (url, expected) in [
        ("http://localhost:1/?key=hunter2", "no connection"),
        ("http://nowhere.invalid/", "its host name cannot be resolved"),
        ("https://a b/", "is not a valid URL"),
    ] {
        let text = token(&Oidc::client_credentials(url, USER, "hunter2")).await.unwrap_err();
        assert!(text.contains(expected) && !text.contains("hunter2"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_reported_before_the_connection_is_abandoned() {
    let server = IdentityServer::start().await.unwrap();
    server.set_delay(Duration::from_secs(60));
    let begun = tokio::time::Instant::now();
    let text = token(&oidc(&server)).await.unwrap_err();
    assert_eq!(begun.elapsed().as_secs(), 8);
    assert!(text.ends_with("no answer within 8s"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn at_most_two_requests_in_five_seconds_reach_a_server_that_refuses() {
    for secret in ["wrong", PASSWORD] {
        let server = IdentityServer::start().await.unwrap();
        if secret == PASSWORD {
            server.answer_with(Some("HTTP/1.1 503 Service Unavailable\r\n\r\n"));
        }
        let oidc = Oidc::client_credentials(server.token_endpoint(), USER, secret);
        let tokens = prepared(&oidc);
        for _ in 0..3_000 {
            tokens.token("kafka:9092").await.unwrap_err();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let at: Vec<_> = server.requests().iter().map(|request| request.at).collect();
        assert!(at.len() >= 3, "{at:?}");
        assert!(at.windows(3).all(|three| three[2] - three[0] >= Duration::from_millis(4_950)), "{at:?}");
    }
}

#[cfg(feature = "tls-graviola")]
#[tokio::test]
async fn the_token_endpoint_is_trusted_by_its_own_authority_or_by_the_brokers() {
    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject as _;

    let certificates = kafka_testbed::Certificates::generate().unwrap();
    let identity = certificates.server();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls_graviola::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![identity.certificate_der().to_vec().into()],
            PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes()).unwrap(),
        )
        .unwrap();
    let server = IdentityServer::start_tls(Arc::new(config)).await.unwrap();
    let (ours, foreign) = (Pem::text(certificates.ca_pem()), Pem::text(certificates.foreign_ca_pem()));
    let brokers = |ca: &Pem| Some(TlsConfig::default().ca(ca.clone()));
    for (oidc, tls, trusted) in [
        (oidc(&server).ca(ours.clone()), None, true),
        (oidc(&server).ca(ours.clone()), brokers(&foreign), true),
        (oidc(&server), brokers(&ours), true),
        (oidc(&server).ca(foreign.clone()), brokers(&ours), false),
    ] {
        let surroundings = Surroundings { tls, connect: CONNECT, ..Surroundings::default() };
        let token = oidc.prepared(&surroundings).token("kafka:9092").await;
        assert_eq!(token.is_ok(), trusted, "{token:?}");
        if let Err(error) = token {
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            assert!(
                error.to_string().contains("add the authority's certificate with sasl.oidc.ca"),
                "{error}"
            );
        }
    }
}

#[test]
fn nothing_secret_is_shown() {
    let assertion = ClientAssertion::signed(Pem::text("hunter2")).key_password("hunter2");
    for oidc in [
        Oidc::client_credentials("https://idp/?hunter2", "id", Secret::from("hunter2")),
        Oidc::jwt_bearer("u", assertion),
    ] {
        let shown = format!("{oidc:?} {oidc:#?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
