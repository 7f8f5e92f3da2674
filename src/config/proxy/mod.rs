//! Reaching brokers through a proxy.

mod http;
mod socks5;

use std::io;

use async_trait::async_trait;
use tokio::net::TcpStream;

use super::{Address, ByteStream, ConnectError, Connector, Secret};
use crate::error::{Error, ErrorKind, Result, quoted};

/// A [`Connector`] that opens every connection through a proxy: SOCKS5 (RFC 1928, 1929) or the `CONNECT` of an HTTP proxy
/// (RFC 9110 §9.3.6).
///
/// The proxy resolves the brokers' names, so that those which only the cluster's network knows work, too. TLS and SASL of the
/// brokers run through the tunnel; the way to the proxy itself is not encrypted.
///
/// # Examples
///
/// ```
/// use rskafka_producer::{ProducerConfig, Proxy};
///
/// # fn main() -> rskafka_producer::Result<()> {
/// let proxy = Proxy::socks5("proxy.internal:1080")?.credentials("shop", "secret");
/// let config = ProducerConfig::new("kafka-1:9092").connector(proxy);
/// assert!(config.validate().is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Proxy {
    protocol: Protocol,
    address: Address,
    credentials: Option<(String, Secret)>,
}

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Socks5,
    Http,
}

impl Proxy {
    /// A SOCKS5 proxy at `host:port`.
    ///
    /// # Errors
    ///
    /// `KAFKA_INVALID_CONFIG` where that is not an address.
    pub fn socks5(address: &str) -> Result<Self> {
        Self::new(Protocol::Socks5, address)
    }

    /// An HTTP proxy at `host:port` that allows `CONNECT` to the brokers' ports.
    ///
    /// # Errors
    ///
    /// `KAFKA_INVALID_CONFIG` where that is not an address.
    pub fn http(address: &str) -> Result<Self> {
        Self::new(Protocol::Http, address)
    }

    fn new(protocol: Protocol, address: &str) -> Result<Self> {
        let parsed = Address::parse(address).map_err(|problem| {
            Error::new(ErrorKind::InvalidConfig, format!("proxy: {} {problem}", quoted(address)))
        })?;
        Ok(Self { protocol, address: parsed, credentials: None })
    }

    /// Logs in at the proxy by user name and password, which travel unencrypted.
    #[must_use]
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<Secret>) -> Self {
        self.credentials = Some((user.into(), password.into()));
        self
    }

    async fn tunnel(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect((self.address.host.as_str(), self.address.port)).await?;
        stream.set_nodelay(true)?;
        let credentials =
            self.credentials.as_ref().map(|(user, password)| (user.as_str(), password.expose()));
        match self.protocol {
            Protocol::Socks5 => socks5::open(&mut stream, host, port, credentials).await?,
            Protocol::Http => http::open(&mut stream, host, port, credentials).await?,
        }
        Ok(stream)
    }
}

#[async_trait]
impl Connector for Proxy {
    async fn connect(&self, host: &str, port: u16) -> Result<Box<dyn ByteStream>, ConnectError> {
        let stream = self.tunnel(host, port).await.map_err(|error| {
            // It is the proxy that says so, or cannot be reached.
            io::Error::new(error.kind(), format!("through the proxy {}: {error}", self.address))
        })?;
        Ok(Box::new(stream))
    }
}
