//! Tunnels through a proxy.

mod http;
mod socks5;

use std::io;

use tokio::net::TcpStream;

use super::dial;
use crate::config::{Address, ConnectError, Proxy, ProxyProtocol, SocketConfig};

/// Connects to the proxy, and has it connect to `address`. The proxy resolves the host.
///
/// Has no time limit itself. Dropping the future abandons the attempt.
pub(crate) async fn tunnel(
    proxy: &Proxy,
    address: &Address,
    options: SocketConfig,
) -> Result<TcpStream, ConnectError> {
    // It is the proxy that says so, or cannot be reached.
    let through = |error: io::Error| {
        let text = format!("through the proxy {}: {error}", proxy.address);
        ConnectError::Connect(io::Error::new(error.kind(), text))
    };
    let mut stream = dial(&proxy.address, options).await.map_err(|error| match error {
        ConnectError::Resolve(error) => {
            through(io::Error::new(error.kind(), format!("its host name cannot be resolved ({error})")))
        }
        ConnectError::Connect(error) => through(error),
    })?;
    let credentials = proxy.credentials.as_ref().map(|(user, password)| (user.as_str(), password.expose()));
    let (host, port) = (&address.host, address.port);
    let opened = match proxy.protocol {
        ProxyProtocol::Socks5 => socks5::open(&mut stream, host, port, credentials).await,
        ProxyProtocol::Http => http::open(&mut stream, host, port, credentials).await,
    };
    opened.map_err(through)?;
    Ok(stream)
}
