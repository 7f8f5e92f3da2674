//! A custom connector and its streams: whatever panics in there is an error of that connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::config::{Address, ByteStream, ConnectError, Connector};
use crate::error::callback::{guarded, guarded_async};

/// Opens a stream by a custom connector.
pub(crate) async fn open(connector: &dyn Connector, address: &Address) -> Result<Contained, ConnectError> {
    let opened = guarded_async("the connector", || connector.connect(&address.host, address.port)).await;
    opened
        .unwrap_or_else(|panicked| Err(io::Error::other(panicked).into()))
        .map(|stream| Contained(Some(stream)))
}

const STREAM: &str = "the connector's stream";

/// A stream whose panics are errors. The first one ends it.
pub(crate) struct Contained(Option<Box<dyn ByteStream>>);

impl Contained {
    fn call<T>(
        &mut self,
        call: impl FnOnce(Pin<&mut Box<dyn ByteStream>>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let Some(stream) = &mut self.0 else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        guarded(STREAM, || call(Pin::new(stream))).unwrap_or_else(|panicked| {
            self.end();
            Poll::Ready(Err(io::Error::other(panicked)))
        })
    }

    fn end(&mut self) {
        let stream = self.0.take();
        // What its drop has to say comes too late.
        _ = guarded(STREAM, || drop(stream));
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        self.end();
    }
}

/// Refuses more than there was to write: callers count on it.
fn checked(written: Poll<io::Result<usize>>, given: usize) -> Poll<io::Result<usize>> {
    match written {
        Poll::Ready(Ok(written)) if written > given => {
            let text = format!("{STREAM} claims to have written {written} bytes of {given}");
            Poll::Ready(Err(io::Error::other(text)))
        }
        written => written,
    }
}

impl AsyncRead for Contained {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.call(|stream| stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Contained {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        checked(self.call(|stream| stream.poll_write(cx, bytes)), bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let given = parts.iter().map(|part| part.len()).sum();
        checked(self.call(|stream| stream.poll_write_vectored(cx, parts)), given)
    }

    fn is_write_vectored(&self) -> bool {
        let asked = self.0.as_ref().map(|stream| guarded(STREAM, || stream.is_write_vectored()));
        asked.and_then(Result::ok).unwrap_or_default()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.call(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.call(|stream| stream.poll_shutdown(cx))
    }
}
