//! SOCKS version 5 (RFC 1928), with user name and password (RFC 1929).

use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

const VERSION: u8 = 5;
const CONNECT: u8 = 1;
/// Of the login, not of SOCKS.
const LOGIN_VERSION: u8 = 1;

const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const NONE_ACCEPTED: u8 = 0xff;

const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Has the proxy connect to `host:port`; what follows on the stream is the peer's.
pub(super) async fn open(
    stream: &mut TcpStream,
    host: &str,
    port: u16,
    credentials: Option<(&str, &str)>,
) -> io::Result<()> {
    let offered = if credentials.is_some() { &[NO_LOGIN, PASSWORD][..] } else { &[NO_LOGIN] };
    stream.write_all(&[&[VERSION, offered.len() as u8], offered].concat()).await?;
    let [version, method] = read(stream).await?;
    if version != VERSION {
        return Err(io::Error::other("it does not speak SOCKS version 5"));
    }
    match (method, credentials) {
        (NO_LOGIN, _) => {}
        (PASSWORD, Some((user, password))) => log_in(stream, user, password).await?,
        (NONE_ACCEPTED, None) => {
            return Err(io::Error::other("it wants a login: set proxy.username and proxy.password"));
        }
        (NONE_ACCEPTED, Some(_)) => {
            return Err(io::Error::other("it takes no login by user name and password"));
        }
        _ => return Err(io::Error::other("it demands a login that was not offered")),
    }
    let mut request = vec![VERSION, CONNECT, 0];
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => request.extend([&[IPV4][..], &ip.octets()].concat()),
        Ok(IpAddr::V6(ip)) => request.extend([&[IPV6][..], &ip.octets()].concat()),
        Err(_) => {
            request.extend([NAME, length(host, "the broker's host name")?]);
            request.extend(host.as_bytes());
        }
    }
    request.extend(port.to_be_bytes());
    stream.write_all(&request).await?;
    let [version, reply, _, kind] = read(stream).await?;
    if version != VERSION || reply != 0 {
        return Err(refused(reply));
    }
    // The address from which the proxy connected.
    let bound = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => usize::from(read::<1>(stream).await?[0]),
        _ => return Err(io::Error::other("it answers with an address of an unknown kind")),
    };
    let mut rest = vec![0; bound + 2];
    stream.read_exact(&mut rest).await.map(drop)
}

async fn log_in(stream: &mut TcpStream, user: &str, password: &str) -> io::Result<()> {
    let mut message = Zeroizing::new(Vec::with_capacity(3 + user.len() + password.len()));
    message.extend([LOGIN_VERSION, length(user, "the proxy's user name")?]);
    message.extend(user.as_bytes());
    message.push(length(password, "the proxy's password")?);
    message.extend(password.as_bytes());
    stream.write_all(&message).await?;
    match read(stream).await? {
        [_, 0] => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::PermissionDenied, "it refuses user name or password")),
    }
}

async fn read<const N: usize>(stream: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// A length in one byte, which these may not exceed.
fn length(text: &str, what: &str) -> io::Result<u8> {
    match u8::try_from(text.len()) {
        Ok(len) if len > 0 => Ok(len),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{what} has to have 1 to 255 bytes"))),
    }
}

/// The replies of RFC 1928 §6.
fn refused(reply: u8) -> io::Error {
    use io::ErrorKind::{
        ConnectionRefused, HostUnreachable, NetworkUnreachable, Other, PermissionDenied, TimedOut,
    };
    let (kind, text) = match reply {
        2 => (PermissionDenied, "its rules do not allow this connection"),
        3 => (NetworkUnreachable, "the broker's network is unreachable"),
        4 => (HostUnreachable, "the broker is unreachable, or its host name unknown there"),
        5 => (ConnectionRefused, "the broker refuses the connection"),
        6 => (TimedOut, "the broker did not answer in time"),
        7 => (Other, "it does not support connecting"),
        8 => (Other, "it does not support this kind of address"),
        _ => (Other, "it failed"),
    };
    io::Error::new(kind, text)
}
