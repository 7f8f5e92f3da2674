//! Requests and answers on one socket, without limits of time.
//!
//! A request is written by its caller, from where its records are; a task reads the answers. A connection ends once, for
//! one reason, which is recorded and which all of its requests get to know.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::io::{BufReader, ReadHalf, WriteHalf};
use tokio::sync::oneshot;

use super::frame::{Answers, Unreadable, frame, read_answer, write_frame};
use crate::config::ByteStream;
use crate::engine::native::api::{ApiKey, Malformed, Request, VersionRange, Versions};
use crate::engine::native::observe::Watch;

/// See the [module](self).
pub(crate) struct Wire {
    shared: Arc<Shared>,
    versions: Versions,
    client_id: Arc<str>,
}

/// Why a connection ended.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("it is no longer needed")]
    Retired,
    #[error("{0}")]
    Cut(&'static str),
    #[error("a request was abandoned while it was being written")]
    Abandoned,
    #[error("an answer belongs to no request")]
    Unasked,
    #[error("a request could not be written: {0}")]
    Write(Arc<io::Error>),
    #[error("{0}")]
    Read(Unreadable),
}

impl Ended {
    /// Whether it was of use until then.
    pub(crate) fn is_loss(&self) -> bool {
        !matches!(self, Self::Retired)
    }
}

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum RequestFailed {
    /// The peer offers no version that we speak. Nothing was sent.
    Unsupported(ApiKey),
    Malformed(Malformed),
    Ended(Ended),
}

impl RequestFailed {
    /// What the socket said, where that is the cause.
    pub(crate) fn io(&self) -> Option<&io::Error> {
        match self {
            Self::Ended(Ended::Write(io) | Ended::Read(Unreadable::Io(io))) => Some(io),
            _ => None,
        }
    }

    /// The same as a cause, in plain words.
    pub(crate) fn cause(&self) -> Option<io::Error> {
        self.io().map(|io| {
            plain(match io.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(io.kind(), io.to_string()),
            })
        })
    }
}

/// What a socket said, in plain words.
pub(crate) fn plain(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "the peer closed the connection"),
        _ => error,
    }
}

impl Wire {
    /// Needs a runtime: a task reads the answers.
    pub(crate) fn new(socket: Box<dyn ByteStream>, client_id: Arc<str>) -> Self {
        let (reader, writer) = tokio::io::split(socket);
        let shared = Arc::new(Shared::new(writer));
        tokio::spawn(read_answers(reader, shared.clone()));
        Self { shared, versions: Versions::default(), client_id }
    }

    /// Sets which requests the peer knows, in which versions.
    pub(crate) fn set_versions(&mut self, versions: Versions) {
        self.versions = versions;
    }

    /// Requests are encoded and written in the order in which these futures are first polled, each when the one before it
    /// has been written: until then it takes no memory, and what is written was just touched.
    ///
    /// Dropping the future before that makes no request of it. Dropping it while it is being written ends the connection,
    /// which could carry nothing else. An answer that nobody waits for any more is read and dropped.
    pub(crate) async fn request<R: Request>(&self, request: R) -> Result<R::Answer, RequestFailed> {
        let offered = self.versions.get(R::KEY);
        let ours = VersionRange::new(R::VERSIONS.min, request.newest());
        let version = offered.and_then(|offered| ours.newest_of_both(offered));
        let version = version.ok_or(RequestFailed::Unsupported(R::KEY))?;
        let answer = self.shared.write(&request, version, &self.client_id).await;
        let answer = match answer {
            Ok(answer) => answer.await.map_err(|_| self.shared.why_ended()),
            Err(ended) => Err(ended),
        };
        let answer = answer.map_err(RequestFailed::Ended)?;
        read_answer::<R>(&answer, version).map_err(RequestFailed::Malformed)
    }

    /// Ends the connection, and with it every request on its way, because it is of no more use.
    pub(crate) fn cut(&self, why: &'static str) {
        self.shared.end(Ended::Cut(why));
    }

    /// The same, where nothing is wrong with it.
    pub(crate) fn retire(&self) {
        self.shared.end(Ended::Retired);
    }

    /// Sets the observer of its end.
    pub(crate) fn watch(&self, watch: Watch) {
        _ = self.shared.watch.set(watch);
        // It may have ended in this very moment.
        if self.has_ended() {
            self.shared.report();
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.shared.has_ended.load(Ordering::Acquire)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // The task that reads holds the socket.
        self.retire();
    }
}

type Answer = oneshot::Receiver<Vec<u8>>;

/// What those who write and the task that reads have in common.
struct Shared {
    /// Held while a request is encoded and written.
    pen: tokio::sync::Mutex<Pen>,
    state: Mutex<State>,
    has_ended: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
    /// The observer of its end, once the connection is open.
    watch: OnceLock<Watch>,
}

struct Pen {
    /// `None` once the connection has ended.
    socket: Option<WriteHalf<Box<dyn ByteStream>>>,
    next_id: i32,
}

#[derive(Default)]
struct State {
    /// Requests that are not answered, in the order in which they were written.
    waiting: VecDeque<(i32, oneshot::Sender<Vec<u8>>)>,
    ended: Option<Ended>,
}

impl Shared {
    fn new(socket: WriteHalf<Box<dyn ByteStream>>) -> Self {
        Self {
            pen: tokio::sync::Mutex::new(Pen { socket: Some(socket), next_id: 0 }),
            state: Mutex::default(),
            has_ended: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
            watch: OnceLock::new(),
        }
    }

    async fn write<R: Request>(&self, request: &R, version: i16, client_id: &str) -> Result<Answer, Ended> {
        let mut pen = self.pen.lock().await;
        let id = pen.next_id;
        pen.next_id = id.wrapping_add(1);
        let Some(socket) = &mut pen.socket else {
            return Err(self.why_ended());
        };
        let answer = self.expect(id)?;
        let frame = frame(request, version, id, client_id);
        let mut begun = Begun { shared: self, id, written: 0, size: frame.len() };
        let writing = pin!(write_frame(socket, &frame, &mut begun.written));
        let written = unless_ended(self, &self.writer, writing).await;
        match written {
            Some(Ok(())) => Ok(answer),
            Some(Err(error)) => {
                self.end(Ended::Write(Arc::new(error)));
                Err(self.why_ended())
            }
            None => Err(self.why_ended()),
        }
    }

    /// Makes a place for an answer.
    fn expect(&self, id: i32) -> Result<Answer, Ended> {
        let (sender, answer) = oneshot::channel();
        let mut state = self.state.lock();
        match &state.ended {
            Some(ended) => Err(ended.clone()),
            None => {
                state.waiting.push_back((id, sender));
                Ok(answer)
            }
        }
    }

    /// Takes the place of an answer. Brokers answer in order, so that it is the first one.
    fn take(&self, id: i32) -> Option<oneshot::Sender<Vec<u8>>> {
        let mut state = self.state.lock();
        let at = state.waiting.iter().position(|(waiting, _)| *waiting == id)?;
        state.waiting.remove(at).map(|(_, sender)| sender)
    }

    /// Ends the connection, for this reason unless it has ended.
    fn end(&self, why: Ended) {
        let lost = {
            let mut state = self.state.lock();
            if state.ended.is_some() {
                return;
            }
            state.ended = Some(why);
            std::mem::take(&mut state.waiting)
        };
        self.has_ended.store(true, Ordering::Release);
        self.report();
        self.reader.wake();
        self.writer.wake();
        drop(lost);
    }

    fn why_ended(&self) -> Ended {
        self.state.lock().ended.clone().unwrap_or(Ended::Retired)
    }

    fn report(&self) {
        if let Some(watch) = self.watch.get() {
            watch.ended(&self.why_ended());
        }
    }
}

/// A request whose bytes are being written.
struct Begun<'a> {
    shared: &'a Shared,
    id: i32,
    written: usize,
    size: usize,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        match self.written {
            // No answer will come.
            0 => drop(self.shared.take(self.id)),
            written if written < self.size => self.shared.end(Ended::Abandoned),
            _ => {}
        }
    }
}

/// Reads answers until the connection ends, and then closes the socket.
async fn read_answers(socket: ReadHalf<Box<dyn ByteStream>>, shared: Arc<Shared>) {
    {
        let mut answers = Answers::new(BufReader::new(socket));
        let reading = pin!(async {
            loop {
                let (id, answer) = match answers.next().await {
                    Ok(next) => next,
                    Err(unreadable) => return Ended::Read(unreadable),
                };
                let Some(waiting) = shared.take(id) else {
                    return Ended::Unasked;
                };
                // Its caller may have stopped waiting.
                _ = waiting.send(answer);
            }
        });
        if let Some(ended) = unless_ended(&shared, &shared.reader, reading).await {
            shared.end(ended);
        }
    }
    // A request that is being written fails at once.
    drop(shared.pen.lock().await.socket.take());
}

/// `None` once the connection has ended. Its end wakes the task that waits here by `waker`.
async fn unless_ended<F: Future + Unpin>(
    shared: &Shared,
    waker: &AtomicWaker,
    mut future: F,
) -> Option<F::Output> {
    poll_fn(|cx| {
        waker.register(cx.waker());
        match shared.has_ended.load(Ordering::Acquire) {
            true => Poll::Ready(None),
            false => std::pin::Pin::new(&mut future).poll(cx).map(Some),
        }
    })
    .await
}

#[cfg(test)]
mod tests;
