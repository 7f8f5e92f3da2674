//! rskafka's `Messenger` over whatever carries its bytes.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::io::{self, Cursor};
use std::pin::pin;
use std::sync::Arc;

use rskafka::messenger::{Messenger, RequestError};
use rskafka::protocol::api_key::ApiKey;
use rskafka::protocol::api_version::ApiVersionRange;
use rskafka::protocol::frame::ReadError;
use rskafka::protocol::messages::{ReadVersionedType, RequestBody, WriteVersionedType};
use tokio::io::{AsyncRead, AsyncWrite, BufStream};
use tokio::sync::Mutex;

use super::observe::Watch;
use super::stream::{Cut, Stream};

/// Largest answer that is read, in bytes; a peer that announces more does not speak Kafka.
pub(super) const MAX_ANSWER: usize = 16 << 20;

/// Small frames leave in one write; larger ones pass the buffer by. Outside TLS, whose records would otherwise be cut
/// where the frame's length ends.
const WRITE_BUFFER: usize = 64 << 10;
const READ_BUFFER: usize = 8 << 10;

/// A socket, encrypted or not.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// A request that we write, and whose answer we read.
pub(super) trait Request:
    RequestBody<ResponseBody: ReadVersionedType<Cursor<Vec<u8>>>> + WriteVersionedType<Vec<u8>> + Send
{
}

impl<R> Request for R where
    R: RequestBody<ResponseBody: ReadVersionedType<Cursor<Vec<u8>>>> + WriteVersionedType<Vec<u8>> + Send
{
}

/// Requests and answers on one socket, without limits of time.
pub(super) struct Wire {
    messenger: Messenger<BufStream<Stream<Box<dyn Socket>>>>,
    cut: Arc<Cut>,
    /// Held while a request is encoded and written. The next one waits as records rather than as bytes that were
    /// encoded too soon: less memory, and what is written was just touched.
    turn: Mutex<()>,
}

impl Wire {
    /// Needs a runtime: a task reads the answers.
    pub(super) fn new(socket: Box<dyn Socket>, client_id: Arc<str>) -> Self {
        let (stream, cut) = Stream::new(socket);
        let stream = BufStream::with_capacity(READ_BUFFER, WRITE_BUFFER, stream);
        Self { messenger: Messenger::new(stream, MAX_ANSWER, client_id), cut, turn: Mutex::default() }
    }

    /// Sets which requests the peer knows, in which versions.
    pub(super) fn set_versions(&mut self, ranges: HashMap<ApiKey, ApiVersionRange>) {
        self.messenger.override_version_ranges(ranges);
    }

    /// Requests are encoded and written in the order in which these futures are first polled.
    pub(super) async fn request<R: Request>(&self, body: R) -> Result<R::ResponseBody, RequestFailed> {
        let mut turn = Some(self.turn.lock().await);
        let flushed = self.cut.flushed();
        let mut request = pin!(self.messenger.request(body));
        poll_fn(|cx| {
            let polled = request.as_mut().poll(cx);
            if self.cut.flushed() != flushed {
                turn = None;
            }
            polled
        })
        .await
        .map_err(RequestFailed)
    }

    /// Ends the connection, and with it every request on its way.
    pub(super) fn cut(&self) {
        self.cut.cut();
    }

    /// The same, where nothing is wrong with it.
    pub(super) fn retire(&self) {
        self.cut.retire();
    }

    /// Sets the observer of its end.
    pub(super) fn watch(&self, watch: Watch) {
        self.cut.watch(watch);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.cut.has_ended()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // The task that reads holds the socket.
        self.cut.retire();
    }
}

/// rskafka's error, whose words are its own affair: nothing of them is shown.
#[derive(Debug)]
pub(super) struct RequestFailed(pub(super) RequestError);

impl RequestFailed {
    /// What the socket said, where that is the cause.
    pub(super) fn io(&self) -> Option<&io::Error> {
        io_of(&self.0)
    }

    /// The same as a cause, in plain words.
    pub(super) fn cause(&self) -> Option<io::Error> {
        let io = self.io()?;
        plain(match io.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(io.kind(), io.to_string()),
        })
    }
}

/// What a socket said, in plain words; `None` where it was this end that cut the connection.
pub(super) fn plain(error: io::Error) -> Option<io::Error> {
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::ConnectionAborted, None) => None,
        (io::ErrorKind::UnexpectedEof, _) => {
            Some(io::Error::new(error.kind(), "the peer closed the connection"))
        }
        _ => Some(error),
    }
}

fn io_of(error: &RequestError) -> Option<&io::Error> {
    match error {
        RequestError::IO(io) | RequestError::ReadFramedMessageError(ReadError::IO(io)) => Some(io),
        RequestError::Poisoned(inner) => io_of(inner),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;
    use rskafka::protocol::api_version::ApiVersionRange;
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::engine::native::api::{Malformed, Reader, Writer, request_body, version};

    const SIZE: usize = 4 << 10;

    /// A request that counts how often one was encoded.
    struct Counted(Arc<AtomicUsize>);
    struct Nothing;

    request_body!(Counted => Nothing, Produce, 3..=8, flexible from 9);

    impl Counted {
        fn write(&self, writer: &mut Writer<'_>, _: i16) {
            self.0.fetch_add(1, Ordering::Relaxed);
            writer.bytes(&[7; SIZE]);
        }
    }

    impl Nothing {
        fn read(_: &mut Reader<'_>, _: i16) -> Result<Self, Malformed> {
            Ok(Self)
        }
    }

    #[tokio::test]
    async fn a_request_is_encoded_when_the_one_before_it_has_been_written() {
        let (near, mut far) = tokio::io::duplex(1 << 10);
        let mut wire = Wire::new(Box::new(near), "us".into());
        wire.set_versions([(ApiKey::Produce, ApiVersionRange::new(version(3), version(3)))].into());
        let encoded = Arc::new(AtomicUsize::new(0));
        let mut first = Box::pin(wire.request(Counted(encoded.clone())));
        let mut second = Box::pin(wire.request(Counted(encoded.clone())));
        let mut poll = || (first.as_mut().now_or_never().is_none(), second.as_mut().now_or_never().is_none());
        for _ in 0..3 {
            assert_eq!(poll(), (true, true));
            assert_eq!(encoded.load(Ordering::Relaxed), 1);
        }
        let mut read = 0;
        while read <= SIZE + 64 {
            assert_eq!(poll(), (true, true));
            read += far.read(&mut [0; 256]).await.unwrap();
        }
        assert_eq!(poll(), (true, true));
        assert_eq!(encoded.load(Ordering::Relaxed), 2);
    }
}
