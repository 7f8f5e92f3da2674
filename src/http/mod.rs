//! Requests by HTTP/1.1 to the servers that issue credentials: identity servers, cloud metadata.
//!
//! One connection for each request, the whole of it within a time limit, an answer of limited size. Redirects are not
//! followed: a request holds secrets that are meant for one server. Errors name the URL without its query.

pub(crate) mod date;
mod failure;
mod request;
mod stream;
#[cfg(test)]
mod tests;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, poll_fn, select};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderValue};
#[cfg_attr(not(test), allow(unused_imports, reason = "each of its users needs a part"))]
pub(crate) use hyper::{HeaderMap, Method};
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

pub(crate) use self::failure::{Failure, HttpError};
pub(crate) use self::request::{Request, Url};
use self::stream::Stream;
use crate::config::tls::https::{Trust, client_config};
use crate::config::{Address, ByteStream, ConnectError, SocketConfig};
use crate::net::dial;

/// The largest answer that is read: tokens have a few kilobytes.
const LARGEST: usize = 1 << 20;
/// The most bytes of an answer's head.
const LARGEST_HEAD: usize = 64 << 10;

/// Makes requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    trust: Trust,
}

/// What a server answered, with whatever status.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Response {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header's value, if it is there and is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

debug_as!(response: Response { status: response.status, .. });

impl Client {
    /// `trust` says whose certificates are accepted with `https`.
    pub(crate) fn new(trust: Trust) -> Self {
        Self { trust }
    }

    /// Sends a request and reads its answer, all within `limit`.
    ///
    /// Dropping the future closes the connection.
    pub(crate) async fn send(&self, request: Request, limit: Duration) -> Result<Response, HttpError> {
        let what = request.to_string();
        let answer = tokio::time::timeout(limit, self.attempt(request)).await;
        answer.unwrap_or(Err(Failure::TooSlow(limit))).map_err(|failure| HttpError { what, failure })
    }

    async fn attempt(&self, request: Request) -> Result<Response, Failure> {
        let url = &request.url;
        let stream = self.open(url).await?;
        let mut builder = hyper::Request::builder().method(request.method.clone()).uri(url.target());
        let mut headers = request.headers;
        let host = HeaderValue::from_str(url.authority()).map_err(|_| Failure::Url("has an invalid host"))?;
        headers.insert(HOST, host);
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if let Some(into) = builder.headers_mut() {
            *into = headers;
        }
        let message = builder.body(request.body).map_err(|_| Failure::Url("is not valid"))?;
        exchange(stream, message).await
    }

    async fn open(&self, url: &Url) -> Result<Box<dyn ByteStream>, Failure> {
        let address = Address::new(url.host(), url.port());
        let socket = dial(&address, SocketConfig::default()).await.map_err(|error| match error {
            ConnectError::Resolve(error) => Failure::Resolve(error),
            ConnectError::Connect(error) => Failure::Connect(error),
        })?;
        if !url.is_https() {
            return Ok(Box::new(socket));
        }
        let config = Arc::new(client_config(&self.trust).map_err(Failure::Config)?);
        let name = ServerName::try_from(url.host().to_owned())
            .map_err(|_| Failure::Url("has a host that no certificate can be for"))?;
        let connecting = TlsConnector::from(config).connect(name, socket);
        let stream = connecting.await.map_err(|error| Failure::tls(&error, self.trust.setting()))?;
        Ok(Box::new(stream))
    }
}

/// Sends the request and reads the whole answer. The connection runs in the same future, so that nothing outlives it.
async fn exchange(stream: Box<dyn ByteStream>, message: hyper::Request<String>) -> Result<Response, Failure> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(LARGEST_HEAD);
    let (mut sender, connection) = builder.handshake(Stream(stream)).await.map_err(Failure::http)?;
    let answer = pin!(async move {
        let response = sender.send_request(message).await.map_err(Failure::http)?;
        let (head, body) = response.into_parts();
        Ok(Response { status: head.status.as_u16(), headers: head.headers, body: collect(body).await? })
    });
    match select(answer, pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        // It has closed; what it read is still handed over.
        Either::Right((_, answer)) => answer.await,
    }
}

async fn collect(mut body: Incoming) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::new());
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(data) = frame.map_err(Failure::http)?.into_data() else { continue };
        if bytes.len() + data.len() > LARGEST {
            return Err(Failure::TooLarge(LARGEST));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}
