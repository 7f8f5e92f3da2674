//! Frames on the wire: a size, a header, a body. <https://kafka.apache.org/protocol#protocol_common>

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::engine::native::api::{ApiKey, Malformed, Parts, Reader, Request, Writer};

/// Largest answer that is read, in bytes; a peer that announces more does not speak Kafka.
const MAX_ANSWER: usize = 16 << 20;
/// Room for so many bytes of an answer is made at once, for more as they come.
const READ_AHEAD: usize = 64 << 10;
/// Bytes of a size, and of the number by which an answer is found.
const SIZE: usize = 4;
const CORRELATION_ID: usize = 4;
/// Up to this size a copy costs less than to write from several places.
const SMALL: usize = 4 << 10;
/// Most requests fit, batches aside.
const USUAL_REQUEST: usize = 256;

/// The frame of a request: header 1, and 2 in the flexible versions (KIP-482).
pub(crate) fn frame<'a, R: Request>(request: &'a R, version: i16, id: i32, client_id: &str) -> Parts<'a> {
    let flexible = version >= R::FLEXIBLE_FROM;
    let mut parts = Parts::with_capacity(USUAL_REQUEST);
    // The name of the client has kept its plain encoding.
    let mut header = Writer::new(&mut parts, false);
    header.i32(0);
    header.i16(R::KEY.code());
    header.i16(version);
    header.i32(id);
    header.string(client_id);
    let mut writer = Writer::new(&mut parts, flexible);
    writer.tagged_fields();
    request.write(&mut writer, version);
    let size = (parts.len() - SIZE) as i32;
    parts.own()[..SIZE].copy_from_slice(&size.to_be_bytes());
    parts
}

/// Writes a frame as far as it gets each time, in one call of the system where that takes all of it. `written` says how
/// far it has come, also where the future is dropped.
pub(crate) async fn write_frame<W>(socket: &mut W, frame: &Parts<'_>, written: &mut usize) -> io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    let joined;
    let (mut one, mut several) = ([IoSlice::new(&[])], Vec::new());
    let mut left = if frame.len() > SMALL && socket.is_write_vectored() {
        several.extend(frame.iter().map(IoSlice::new));
        &mut several[..]
    } else {
        joined = frame.joined();
        one[0] = IoSlice::new(&joined);
        &mut one[..]
    };
    while *written < frame.len() {
        let some = poll_fn(|cx| match &*left {
            [one] => Pin::new(&mut *socket).poll_write(cx, one),
            several => Pin::new(&mut *socket).poll_write_vectored(cx, several),
        })
        .await?;
        if some == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut left, some.min(frame.len() - *written));
        *written += some;
    }
    poll_fn(|cx| Pin::new(&mut *socket).poll_flush(cx)).await
}

/// Reads what follows the number of an answer.
pub(crate) fn read_answer<R: Request>(answer: &[u8], version: i16) -> Result<R::Answer, Malformed> {
    let mut reader = Reader::new(answer, version >= R::FLEXIBLE_FROM);
    // Every client can read the header of this one.
    if R::KEY != ApiKey::ApiVersions {
        reader.tagged_fields()?;
    }
    let read = R::read(&mut reader, version)?;
    reader.end()?;
    Ok(read)
}

/// Why no further answer can be read.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("{0}")]
    NotKafka(NotKafka),
    #[error("an answer of {0} bytes is announced, and at most {MAX_ANSWER} are read")]
    Size(i32),
    #[error("{0}")]
    Io(Arc<io::Error>),
}

/// What a peer speaks instead of Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotKafka {
    #[error("the port speaks TLS")]
    Tls,
    #[error("the port speaks HTTP")]
    Http,
    #[error("the port does not speak Kafka")]
    Other,
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

/// Answers of one connection, one after the other.
pub(crate) struct Answers<S> {
    socket: S,
    /// Whether there was an answer: until then the peer may speak anything.
    speaks_kafka: bool,
}

impl<S: AsyncRead + Unpin> Answers<S> {
    pub(crate) fn new(socket: S) -> Self {
        Self { socket, speaks_kafka: false }
    }

    /// The number of the next answer, and what follows it.
    pub(crate) async fn next(&mut self) -> Result<(i32, Vec<u8>), Unreadable> {
        let mut head = [0; SIZE];
        self.socket.read_exact(&mut head).await?;
        let mut left = self.size(head)? - CORRELATION_ID;
        self.speaks_kafka = true;
        let id = self.socket.read_i32().await?;
        let mut answer = Vec::new();
        while left > 0 {
            let (from, some) = (answer.len(), left.min(READ_AHEAD));
            answer.resize(from + some, 0);
            self.socket.read_exact(&mut answer[from..]).await?;
            left -= some;
        }
        Ok((id, answer))
    }

    fn size(&self, head: [u8; SIZE]) -> Result<usize, Unreadable> {
        let size = i32::from_be_bytes(head);
        match usize::try_from(size) {
            Ok(size) if (CORRELATION_ID..=MAX_ANSWER).contains(&size) => Ok(size),
            _ if self.speaks_kafka => Err(Unreadable::Size(size)),
            _ => Err(Unreadable::NotKafka(match head {
                [0x15 | 0x16, 0x03, ..] => NotKafka::Tls,
                [b'H', b'T', b'T', b'P'] => NotKafka::Http,
                _ => NotKafka::Other,
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn a_peer_that_does_not_speak_kafka_is_recognised_by_its_first_bytes() {
        for (said, found) in [
            (&[0x15, 0x03, 0x03, 0x00, 0x02][..], Some("the port speaks TLS")),
            (b"HTTP/1.1 400 Bad Request\r\n", Some("the port speaks HTTP")),
            (b"SSH-2.0-OpenSSH", Some("the port does not speak Kafka")),
            (&[0, 0, 0, 3, 0, 0, 1], Some("the port does not speak Kafka")),
            (&[0, 0, 0, 5, 0, 0, 0, 1, 9], None),
        ] {
            let (near, mut far) = tokio::io::duplex(64);
            let mut answers = Answers::new(near);
            // In two pieces, as a network may deliver it.
            far.write_all(&said[..1]).await.unwrap();
            assert!(answers.next().now_or_never().is_none());
            let (near, mut far) = tokio::io::duplex(64);
            let mut answers = Answers::new(near);
            let next = tokio::spawn(async move { answers.next().await });
            far.write_all(&said[..1]).await.unwrap();
            tokio::task::yield_now().await;
            far.write_all(&said[1..]).await.unwrap();
            match (next.await.unwrap(), found) {
                (Ok(answer), None) => assert_eq!(answer, (1, vec![9])),
                (Err(error), Some(found)) => assert_eq!(error.to_string(), found),
                (other, _) => panic!("{said:?}: {other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_too_large_is_refused_before_it_is_read() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut answers = Answers::new(near);
        far.write_all(&[0, 0, 0, 4, 0, 0, 0, 7]).await.unwrap();
        assert_eq!(answers.next().await.unwrap(), (7, Vec::new()));
        far.write_all(&i32::MAX.to_be_bytes()).await.unwrap();
        let refused = answers.next().await.unwrap_err().to_string();
        assert_eq!(refused, "an answer of 2147483647 bytes is announced, and at most 16777216 are read");
    }

    /// A socket that takes a few bytes at a time, of one slice or of all of them.
    struct Narrow {
        written: Vec<u8>,
        vectored: bool,
    }

    impl AsyncWrite for Narrow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            bytes: &[u8],
        ) -> std::task::Poll<io::Result<usize>> {
            let some = bytes.len().min(3);
            self.written.extend(&bytes[..some]);
            std::task::Poll::Ready(Ok(some))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> std::task::Poll<io::Result<usize>> {
            let joined = slices.iter().flat_map(|slice| slice.iter().copied()).collect::<Vec<_>>();
            self.as_mut().poll_write(cx, &joined)
        }

        fn is_write_vectored(&self) -> bool {
            self.vectored
        }

        fn poll_flush(
            self: Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn poll_shutdown(
            self: Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            std::task::Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_frame_is_written_whole_and_in_order_however_little_the_socket_takes() {
        let mut frame = Parts::default();
        frame.own().extend(b"head");
        frame.lend(b"records");
        frame.lend(b"a value");
        frame.own().extend(b"end");
        for vectored in [false, true] {
            let (mut socket, mut written) = (Narrow { written: Vec::new(), vectored }, 0);
            write_frame(&mut socket, &frame, &mut written).await.unwrap();
            assert_eq!((socket.written.as_slice(), written), (&b"headrecordsa valueend"[..], 21));
        }
    }
}
