//! A stand-in for an OAuth 2 server: it issues signed tokens to clients that prove who they are.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use p256::elliptic_curve::rand_core::OsRng;
use p256::pkcs8::{EncodePrivateKey, LineEnding};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::{PASSWORD, USER};

/// A stand-in for an OAuth 2 identity server, on 127.0.0.1.
///
/// It issues JSON web tokens, signed with ES256, to the client [`USER`] with the secret [`PASSWORD`], and to whatever signs an
/// assertion with [`client_key_pem`](Self::client_key_pem) (RFC 7523); its public key is at
/// [`jwks_endpoint`](Self::jwks_endpoint), so that a real Kafka can validate them
/// ([`JvmClusterBuilder::identity_server`](crate::JvmClusterBuilder::identity_server)). Dropping it ends it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let server = kafka_testbed::IdentityServer::start().await?;
/// assert!(server.token_endpoint().ends_with("/token"));
/// assert!(server.requests().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct IdentityServer {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    serving: tokio::task::JoinHandle<()>,
}

/// A request for a token, as it came.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// When it came.
    pub at: Instant,
    /// The header `Authorization`.
    pub authorization: Option<String>,
    /// The form.
    pub form: String,
}

struct Shared {
    key: SigningKey,
    client_key: SigningKey,
    state: Mutex<State>,
}

struct State {
    lifetime: Duration,
    delay: Duration,
    answer: Option<String>,
    requests: Vec<TokenRequest>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl IdentityServer {
    /// Starts one without TLS.
    ///
    /// # Errors
    ///
    /// If there is no free port.
    pub async fn start() -> io::Result<Self> {
        let (listener, shared) = (bind().await?, Arc::new(Shared::new()));
        let address = listener.local_addr()?;
        let serving = shared.clone();
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, serving.clone()));
            }
        });
        Ok(Self { address, scheme: "http", shared, serving })
    }

    /// Starts one with TLS, by the crypto provider of `config`. Its URLs have the host `localhost`.
    ///
    /// # Errors
    ///
    /// If there is no free port.
    #[cfg(feature = "tls")]
    pub async fn start_tls(config: Arc<tokio_rustls::rustls::ServerConfig>) -> io::Result<Self> {
        let (listener, shared) = (bind().await?, Arc::new(Shared::new()));
        let address = listener.local_addr()?;
        let (serving, acceptor) = (shared.clone(), tokio_rustls::TlsAcceptor::from(config));
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, shared) = (acceptor.clone(), serving.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(socket).await {
                        serve(stream, shared).await;
                    }
                });
            }
        });
        Ok(Self { address, scheme: "https", shared, serving })
    }

    /// The URL at which tokens are requested.
    #[must_use]
    pub fn token_endpoint(&self) -> String {
        self.url("token")
    }

    /// The URL of the public keys (RFC 7517).
    #[must_use]
    pub fn jwks_endpoint(&self) -> String {
        self.url("jwks")
    }

    fn url(&self, path: &str) -> String {
        // A certificate is for a name, and an address need not be looked up.
        let host = if self.scheme == "https" { "localhost" } else { "127.0.0.1" };
        format!("{}://{host}:{}/{path}", self.scheme, self.address.port())
    }

    /// The private key of a client that signs assertions, as PEM of PKCS#8, on P-256.
    ///
    /// # Errors
    ///
    /// If it cannot be encoded.
    pub fn client_key_pem(&self) -> io::Result<String> {
        let pem = self.shared.client_key.to_pkcs8_pem(LineEnding::LF).map_err(io::Error::other)?;
        Ok(pem.to_string())
    }

    /// How long tokens are valid from now on. An hour at first.
    pub fn set_lifetime(&self, lifetime: Duration) {
        self.shared.state.lock().lifetime = lifetime;
    }

    /// How long the server takes to answer.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.state.lock().delay = delay;
    }

    /// Answers every request for a token with these bytes, the whole of an HTTP response; `None`: as usual.
    pub fn answer_with(&self, response: Option<&str>) {
        self.shared.state.lock().answer = response.map(str::to_owned);
    }

    /// Every request for a token so far.
    #[must_use]
    pub fn requests(&self) -> Vec<TokenRequest> {
        self.shared.state.lock().requests.clone()
    }
}

impl Drop for IdentityServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn bind() -> io::Result<TcpListener> {
    TcpListener::bind("127.0.0.1:0").await
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    // A client may hang up at any time.
    let Ok(Some(request)) = read(&mut stream).await else { return };
    let (response, delay) = shared.answer(&request);
    tokio::time::sleep(delay).await;
    if stream.write_all(response.as_bytes()).await.is_ok() {
        _ = stream.shutdown().await;
    }
}

/// A request's first line, headers and body.
struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if bytes.len() > 64 << 10 || stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let mut request = Request { line, headers, body: String::new() };
    let length: usize = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while bytes.len() < end + 4 + length {
        if bytes.len() > 1 << 20 || stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    request.body = String::from_utf8_lossy(&bytes[end + 4..]).into_owned();
    Ok(Some(request))
}

impl Shared {
    fn new() -> Self {
        let state = State {
            lifetime: Duration::from_secs(3_600),
            delay: Duration::ZERO,
            answer: None,
            requests: Vec::new(),
        };
        Self {
            key: SigningKey::random(&mut OsRng),
            client_key: SigningKey::random(&mut OsRng),
            state: Mutex::new(state),
        }
    }

    fn answer(&self, request: &Request) -> (String, Duration) {
        let path = request.line.split(' ').nth(1).unwrap_or_default();
        if path == "/jwks" {
            return (response("200 OK", &self.jwks()), Duration::ZERO);
        }
        let mut state = self.state.lock();
        state.requests.push(TokenRequest {
            at: Instant::now(),
            authorization: request.header("authorization").map(str::to_owned),
            form: request.body.clone(),
        });
        if let Some(answer) = &state.answer {
            return (answer.clone(), state.delay);
        }
        let answer = match self.subject(request) {
            Ok(subject) => {
                let token = json!({
                    "access_token": self.token(&subject, state.lifetime),
                    "token_type": "Bearer",
                    "expires_in": state.lifetime.as_secs(),
                });
                response("200 OK", &token)
            }
            Err(why) => {
                response("401 Unauthorized", &json!({"error": "invalid_client", "error_description": why}))
            }
        };
        (answer, state.delay)
    }

    /// Who asks, if that is proven.
    fn subject(&self, request: &Request) -> Result<String, &'static str> {
        let field = |name: &str| {
            request
                .body
                .split('&')
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
                .map(str::to_owned)
        };
        if let Some(assertion) = field("client_assertion").or_else(|| field("assertion")) {
            return self
                .verified(&assertion)
                .ok_or("the assertion is not signed by the client, or has expired");
        }
        let expected = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
        match request.header("authorization") {
            Some(given) if given == expected => Ok(USER.to_owned()),
            Some(_) => Err("wrong client id or secret"),
            None => Err("no credentials"),
        }
    }

    /// The subject of an assertion.
    fn verified(&self, assertion: &str) -> Option<String> {
        let (message, signature) = assertion.rsplit_once('.')?;
        let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        VerifyingKey::from(&self.client_key).verify(message.as_bytes(), &signature).ok()?;
        let claims = URL_SAFE_NO_PAD.decode(message.split_once('.')?.1).ok()?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        let now = unix();
        let valid = claims["nbf"].as_u64()? <= now && now < claims["exp"].as_u64()?;
        valid.then(|| claims["sub"].as_str().map(str::to_owned))?
    }

    fn token(&self, subject: &str, lifetime: Duration) -> String {
        let now = unix();
        let claims = json!({
            "sub": subject,
            "iss": "kafka-testbed",
            "aud": "kafka",
            "iat": now,
            "exp": now + lifetime.as_secs(),
        });
        let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let message = format!("{}.{}", encode(&json!({"alg": "ES256", "kid": "one"})), encode(&claims));
        let signature: Signature = self.key.sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    fn jwks(&self) -> Value {
        let point = self.key.verifying_key().to_encoded_point(false);
        let encode =
            |number: Option<&p256::FieldBytes>| URL_SAFE_NO_PAD.encode(number.map_or(&[][..], |n| n));
        json!({"keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "one",
            "x": encode(point.x()), "y": encode(point.y()),
        }]})
    }
}

fn unix() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn response(status: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}
