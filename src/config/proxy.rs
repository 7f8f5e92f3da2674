//! Reaching brokers through a proxy.

use super::{Address, Secret};
use crate::error::{Error, ErrorKind, Result, quoted};

/// A proxy through which every connection to a broker is opened: SOCKS5 (RFC 1928, 1929) or the `CONNECT` of an HTTP proxy
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
/// let config = ProducerConfig::new("kafka-1:9092").proxy(proxy);
/// assert!(config.validate().is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Proxy {
    pub(crate) protocol: ProxyProtocol,
    pub(crate) address: Address,
    pub(crate) credentials: Option<(String, Secret)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyProtocol {
    Socks5,
    Http,
}

#[cfg(feature = "text-config")]
const PROTOCOLS: [(&str, ProxyProtocol); 2] =
    [("socks5", ProxyProtocol::Socks5), ("http", ProxyProtocol::Http)];

impl Proxy {
    /// A SOCKS5 proxy at `host:port`.
    ///
    /// # Errors
    ///
    /// `KAFKA_INVALID_CONFIG` if that is not an address.
    pub fn socks5(address: &str) -> Result<Self> {
        Self::new(ProxyProtocol::Socks5, address)
    }

    /// An HTTP proxy at `host:port` that allows `CONNECT` to the brokers' ports.
    ///
    /// # Errors
    ///
    /// `KAFKA_INVALID_CONFIG` if that is not an address.
    pub fn http(address: &str) -> Result<Self> {
        Self::new(ProxyProtocol::Http, address)
    }

    /// Reads `socks5://host:port` or `http://host:port`.
    #[cfg(feature = "text-config")]
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let Some((scheme, address)) = url.split_once("://") else {
            return Err("expected socks5://host:port or http://host:port".into());
        };
        let protocol = PROTOCOLS.iter().find(|(name, _)| scheme.eq_ignore_ascii_case(name));
        let Some((_, protocol)) = protocol else {
            return Err(format!("expected socks5 or http before ://, not {}", quoted(scheme)));
        };
        if address.contains('@') {
            return Err("the login belongs into proxy.username and proxy.password".into());
        }
        let address = address.strip_suffix('/').unwrap_or(address);
        let address = Address::parse(address).map_err(|problem| format!("{} {problem}", quoted(address)))?;
        Ok(Self { protocol: *protocol, address, credentials: None })
    }

    /// What [`parse`](Self::parse) reads.
    #[cfg(feature = "text-config")]
    pub(crate) fn url(&self) -> String {
        let scheme = PROTOCOLS.iter().find(|(_, protocol)| *protocol == self.protocol);
        format!("{}://{}", scheme.map_or("", |(name, _)| name), self.address)
    }

    fn new(protocol: ProxyProtocol, address: &str) -> Result<Self> {
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
}
