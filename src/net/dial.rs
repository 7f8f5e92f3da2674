//! From an address to a socket: every address of the name, raced.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};

use super::race::{HEAD_START, race};
use crate::config::{Address, ConnectError, SocketConfig};

const KEEPALIVE: Duration = Duration::from_secs(60);

/// Connects to the first address of the name that answers.
///
/// Has no time limit itself. Dropping the future abandons all attempts.
pub(crate) async fn dial(address: &Address, options: SocketConfig) -> Result<TcpStream, ConnectError> {
    // A literal is not looked up: that would cost a thread, and a paused clock would not wait for it.
    if let Ok(ip) = address.host.parse::<IpAddr>() {
        return open(SocketAddr::new(ip, address.port), options).await.map_err(ConnectError::Connect);
    }
    let found = tokio::net::lookup_host((address.host.as_str(), address.port)).await;
    let found: Vec<_> = found.map_err(ConnectError::Resolve)?.collect();
    if found.is_empty() {
        return Err(ConnectError::Resolve(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no address",
        )));
    }
    reach(found, options).await.map_err(ConnectError::Connect)
}

/// The first of the addresses that answers, or why the last one did not.
async fn reach(addresses: Vec<SocketAddr>, options: SocketConfig) -> io::Result<TcpStream> {
    let attempts = addresses.into_iter().map(|address| open(address, options));
    race(attempts, HEAD_START).await.map_err(|mut failures| {
        failures.pop().unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
    })
}

async fn open(address: SocketAddr, options: SocketConfig) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Frames leave at once: with Nagle's algorithm a request above 8 KiB would wait for a delayed ACK.
    socket.set_nodelay(true)?;
    if options.keepalive {
        SockRef::from(&socket).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    }
    // Before it connects, since the window that it announces follows from them.
    if let Some(bytes) = options.send_buffer.and_then(|bytes| u32::try_from(bytes).ok()) {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.receive_buffer.and_then(|bytes| u32::try_from(bytes).ok()) {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.connect(address).await
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
        let stream = reach(vec![refused, live], SocketConfig::default()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), live);
        assert!(stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn a_socket_has_the_options_that_were_asked_for() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        for (keepalive, bytes) in [(true, None), (false, Some(40_000))] {
            let options = SocketConfig { keepalive, send_buffer: bytes, receive_buffer: bytes };
            let stream = open(address, options).await.unwrap();
            let socket = SockRef::from(&stream);
            assert_eq!(socket.keepalive().unwrap(), keepalive);
            if let Some(bytes) = bytes {
                // Linux sets twice as many, for what it keeps beside the data.
                for size in [socket.send_buffer_size().unwrap(), socket.recv_buffer_size().unwrap()] {
                    assert!((bytes..=2 * bytes).contains(&size), "{size}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_name_without_any_live_address_is_an_error_at_once() {
        assert!(reach(Vec::new(), SocketConfig::default()).await.is_err());
    }
}
