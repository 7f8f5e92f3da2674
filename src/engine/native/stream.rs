//! A socket that can be cut from outside, and that notices a peer that does not speak Kafka.
//!
//! rskafka's `Messenger` finishes a begun write in a separate task, and drains an answer that claims to be
//! too large; neither ends by itself on a peer that falls silent. Cutting the stream ends both.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::observe::Watch;
use super::wire::MAX_ANSWER;

/// The outside end: cuts the stream, and knows whether it has ended.
#[derive(Default)]
pub(super) struct Cut {
    ended: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
    /// How often everything that was written had left.
    flushed: AtomicU64,
    /// The observer of its end, once the connection is open.
    watch: OnceLock<Watch>,
}

impl Cut {
    /// Ends the stream because it is of no more use.
    pub(super) fn cut(&self) {
        self.end(true);
    }

    /// Ends the stream because it is no longer wanted.
    pub(super) fn retire(&self) {
        self.end(false);
    }

    pub(super) fn watch(&self, watch: Watch) {
        _ = self.watch.set(watch);
        // It may have ended in this very moment.
        if let (true, Some(watch)) = (self.has_ended(), self.watch.get()) {
            watch.ended(true);
        }
    }

    fn end(&self, lost: bool) {
        let first = !self.ended.swap(true, Ordering::AcqRel);
        if let (true, Some(watch)) = (first, self.watch.get()) {
            watch.ended(lost);
        }
        self.reader.wake();
        self.writer.wake();
    }

    pub(super) fn flushed(&self) -> u64 {
        self.flushed.load(Ordering::Acquire)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

/// See the [module](self).
pub(super) struct Stream<S> {
    inner: S,
    cut: Arc<Cut>,
    /// The first four bytes read, as far as they have come.
    head: Vec<u8>,
}

impl<S> Stream<S> {
    pub(super) fn new(inner: S) -> (Self, Arc<Cut>) {
        let cut = Arc::new(Cut::default());
        let stream = Self { inner, cut: cut.clone(), head: Vec::with_capacity(4) };
        (stream, cut)
    }

    fn check_head(&mut self, read: &[u8]) -> io::Result<()> {
        let missing = 4 - self.head.len();
        if missing == 0 {
            return Ok(());
        }
        self.head.extend(read.iter().take(missing));
        match <[u8; 4]>::try_from(self.head.as_slice()) {
            Ok(head) => {
                not_kafka(head).map_or(Ok(()), |what| Err(io::Error::new(io::ErrorKind::InvalidData, what)))
            }
            Err(_) => Ok(()),
        }
    }
}

/// A peer's first four bytes are the size of its first answer; what else they may be.
fn not_kafka(head: [u8; 4]) -> Option<NotKafka> {
    match head {
        [0x15 | 0x16, 0x03, _, _] => Some(NotKafka::Tls),
        [b'H', b'T', b'T', b'P'] => Some(NotKafka::Http),
        _ if u32::from_be_bytes(head) as usize > MAX_ANSWER => Some(NotKafka::Other),
        _ => None,
    }
}

/// What a peer speaks instead of Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotKafka {
    #[error("the port speaks TLS")]
    Tls,
    #[error("the port speaks HTTP")]
    Http,
    #[error("the port does not speak Kafka")]
    Other,
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.cut.reader.register(cx.waker());
        if this.cut.has_ended() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(cx, buf);
        let result = match polled {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) => this.check_head(&buf.filled()[before..]),
            Poll::Ready(Err(error)) => Err(error),
        };
        let at_end = buf.filled().len() == before && buf.remaining() > 0;
        if result.is_err() || at_end {
            this.cut.cut();
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncWrite + Unpin> Stream<S> {
    fn guard_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.cut.writer.register(cx.waker());
        if self.cut.has_ended() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let polled = write(Pin::new(&mut self.inner), cx);
        if let Poll::Ready(Err(_)) = polled {
            self.cut.cut();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.guard_write(cx, |inner, cx| inner.poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self.guard_write(cx, |inner, cx| inner.poll_flush(cx));
        if let Poll::Ready(Ok(())) = polled {
            self.cut.flushed.fetch_add(1, Ordering::AcqRel);
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.guard_write(cx, |inner, cx| inner.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_cut_ends_a_read_and_a_write_that_wait() {
        let (near, _far) = tokio::io::duplex(8);
        let (stream, cut) = Stream::new(near);
        let (mut reader, mut writer) = tokio::io::split(stream);
        let read = tokio::spawn(async move { reader.read_u8().await });
        let write = tokio::spawn(async move { writer.write_all(&[0; 64]).await });
        tokio::task::yield_now().await;
        cut.cut();
        assert_eq!(read.await.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert_eq!(write.await.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test]
    async fn a_peer_that_does_not_speak_kafka_is_recognised_by_its_first_bytes() {
        for (said, what) in [
            (&[0x15, 0x03, 0x03, 0x00, 0x02][..], Some(NotKafka::Tls)),
            (b"HTTP/1.1 400 Bad Request\r\n", Some(NotKafka::Http)),
            (b"SSH-2.0-OpenSSH", Some(NotKafka::Other)),
            (&[0, 0, 0, 42, 0, 0, 0, 1], None),
        ] {
            let (near, mut far) = tokio::io::duplex(64);
            let (mut stream, cut) = Stream::new(near);
            // In two pieces, as a network may deliver it.
            far.write_all(&said[..1]).await.unwrap();
            let first = stream.read_u8().await.unwrap();
            assert_eq!(first, said[0]);
            far.write_all(&said[1..]).await.unwrap();
            let mut rest = vec![0; said.len() - 1];
            let read = stream.read_exact(&mut rest).await;
            let found = read.err().and_then(|e| e.get_ref()?.downcast_ref::<NotKafka>().copied());
            assert_eq!(found, what);
            assert_eq!(cut.has_ended(), what.is_some());
        }
    }

    #[tokio::test]
    async fn the_end_of_the_stream_is_noticed() {
        let (near, far) = tokio::io::duplex(8);
        let (mut stream, cut) = Stream::new(near);
        drop(far);
        assert!(stream.read_u8().await.is_err());
        assert!(cut.has_ended());
    }
}
