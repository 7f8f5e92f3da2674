//! From an address to a socket: every address of the name, raced.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use crate::config::{Address, ConnectError};
use crate::engine::race::{HEAD_START, race};

const KEEPALIVE: Duration = Duration::from_secs(60);

/// Connects to the first address of the name that answers.
///
/// Has no time limit itself. Dropping the future abandons all attempts.
pub(crate) async fn dial(address: &Address) -> Result<TcpStream, ConnectError> {
    // A literal is not looked up: that would cost a thread, and a paused clock would not wait for it.
    if let Ok(ip) = address.host.parse::<IpAddr>() {
        return open(SocketAddr::new(ip, address.port)).await.map_err(ConnectError::Connect);
    }
    let found = tokio::net::lookup_host((address.host.as_str(), address.port)).await;
    let found: Vec<_> = found.map_err(ConnectError::Resolve)?.collect();
    if found.is_empty() {
        return Err(ConnectError::Resolve(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no address",
        )));
    }
    reach(found).await.map_err(ConnectError::Connect)
}

/// The first of the addresses that answers, or why the last one did not.
async fn reach(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let attempts = addresses.into_iter().map(open);
    race(attempts, HEAD_START).await.map_err(|mut failures| {
        failures.pop().unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
    })
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // Frames leave at once: with Nagle's algorithm a request above 8 KiB would wait for a delayed ACK.
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_address_that_answers_wins() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let live = listener.local_addr().unwrap();
        let refused = {
            let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            gone.local_addr().unwrap()
        };
        let stream = reach(vec![refused, live]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), live);
        assert!(stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn a_name_without_any_live_address_is_an_error_at_once() {
        assert!(reach(Vec::new()).await.is_err());
    }
}
