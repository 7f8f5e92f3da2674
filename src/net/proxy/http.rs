//! The method `CONNECT` of HTTP (RFC 9110 §9.3.6), with Basic credentials (RFC 7617).

use std::io;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use crate::config::Address;
use crate::error::printable;

/// Longest answer that is read.
const LONGEST: usize = 8 << 10;
const END: &[u8] = b"\r\n\r\n";

/// Has the proxy connect to `host:port`; what follows on the stream is the peer's.
pub(super) async fn open(
    stream: &mut TcpStream,
    host: &str,
    port: u16,
    credentials: Option<(&str, &str)>,
) -> io::Result<()> {
    // A host with a line break would add lines of its choice.
    if host.is_empty() || host.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the broker's host name is not valid"));
    }
    let target = Address::new(host, port);
    let mut request = Zeroizing::new(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"));
    if let Some((user, password)) = credentials {
        if user.contains(':') {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the proxy's user name has a colon"));
        }
        let plain = Zeroizing::new(format!("{user}:{password}"));
        let encoded = Zeroizing::new(BASE64_STANDARD.encode(plain.as_bytes()));
        request.push_str("Proxy-Authorization: Basic ");
        request.push_str(&encoded);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;
    accepted(&head(stream).await?)
}

/// The answer up to its empty line. A broker says nothing before it is asked, so that nothing follows.
async fn head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(256);
    while !head.windows(END.len()).any(|end| end == END) {
        if head.len() > LONGEST {
            return Err(io::Error::other("its answer has no end"));
        }
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection"));
        }
    }
    Ok(head)
}

fn accepted(head: &[u8]) -> io::Result<()> {
    let status =
        String::from_utf8_lossy(head.split(|byte| *byte == b'\r').next().unwrap_or_default()).into_owned();
    let code = status.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
    match code {
        Some(code) if code.len() == 3 && code.starts_with('2') => match head.ends_with(END) {
            true => Ok(()),
            false => Err(io::Error::other("its answer to CONNECT has a body")),
        },
        Some("407") => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "it wants a login, or refuses this one: proxy.username, proxy.password ({})",
                printable(&status)
            ),
        )),
        Some(_) => Err(io::Error::other(format!("it answers {}", printable(&status)))),
        None => Err(io::Error::other("it does not speak HTTP")),
    }
}
