//! A simulated connection, and its two ends.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::pipe::{End, Found, Pipe};
use super::trace::{Event, Trace};
use super::weather::Weather;

/// One end of a simulated connection. Dropping it closes the connection; what was written before still arrives.
#[derive(Debug)]
pub struct SimStream {
    link: Arc<Mutex<Link>>,
    trace: Arc<Mutex<Trace>>,
    connection: u64,
    /// The client's end, whose bytes go up.
    client: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
struct Link {
    random: fastrand::Rng,
    up: Pipe,
    down: Pipe,
    /// Moves only parts of what could be moved.
    in_pieces: bool,
    /// Bytes of both directions until it is cut, and how.
    cut: Option<(usize, Cut)>,
}

#[derive(Clone, Copy, Debug)]
enum Cut {
    /// Both sides see an error at once.
    Reset,
    /// Both sides see the end of the stream, after what was written.
    Close,
    /// Nobody notices.
    Silence,
}

impl Cut {
    fn name(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Close => "closed",
            Self::Silence => "silent",
        }
    }
}

impl SimStream {
    /// Both ends of a connection, the client's first.
    pub(super) fn pair(
        weather: &Weather,
        mut random: fastrand::Rng,
        trace: &Arc<Mutex<Trace>>,
        connection: u64,
    ) -> (Self, Self) {
        let latency = |random: &mut fastrand::Rng| {
            // Half of all are quick.
            let longest = weather.latency.as_millis() as u64;
            let longest = if random.bool() { longest / 20 } else { longest };
            Duration::from_millis(random.u64(..=longest))
        };
        let cut = (random.f64() < weather.cuts).then(|| {
            // As many within the first hundred bytes as within the next thousand.
            let after = 10usize.pow(random.u32(1..5)) * random.usize(1..10) + random.usize(..10);
            (after, [Cut::Reset, Cut::Close, Cut::Silence][random.usize(..3)])
        });
        let (up, down) = (Pipe::new(latency(&mut random)), Pipe::new(latency(&mut random)));
        let in_pieces = random.f64() < weather.pieces;
        let link = Arc::new(Mutex::new(Link { random, up, down, in_pieces, cut }));
        let end = |client| {
            let (link, trace) = (link.clone(), trace.clone());
            Self { link, trace, connection, client, timer: None }
        };
        (end(true), end(false))
    }

    fn note(&self, event: &Event<'_>) {
        self.trace.lock().note(event);
    }

    fn sleep_until(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(cx)
    }
}

impl Link {
    /// What this end writes to, or reads from.
    fn pipe(&mut self, up: bool) -> &mut Pipe {
        if up { &mut self.up } else { &mut self.down }
    }

    /// How much is moved of what could be.
    fn part(&mut self, most: usize) -> usize {
        match self.in_pieces && most > 1 {
            // Mostly a few bytes, at times many.
            true => {
                let at_most = 10usize.pow(self.random.u32(0..5)).min(most);
                self.random.usize(1..=at_most)
            }
            false => most,
        }
    }

    /// Whether it is somebody else's turn first.
    fn yields(&mut self) -> bool {
        self.in_pieces && self.random.u8(..4) == 0
    }

    /// Counts bytes that were written; whether that was the last of them.
    fn count(&mut self, bytes: usize) -> Option<Cut> {
        let (left, cut) = self.cut.as_mut()?;
        *left = left.saturating_sub(bytes);
        let cut = (*left == 0).then_some(*cut)?;
        self.cut = None;
        let end = match cut {
            Cut::Reset => End::Reset,
            Cut::Close => End::Closed,
            Cut::Silence => End::Silent,
        };
        self.up.end(end);
        self.down.end(end);
        Some(cut)
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let up = !self.client;
        loop {
            let found = {
                let link = &mut *self.link.lock();
                if link.yields() {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                let most = link.part(buffer.remaining());
                let found = link.pipe(up).read(most, |bytes| buffer.put_slice(bytes));
                if let Found::Nothing | Found::Later(_) = found {
                    link.pipe(up).wait_to_read(cx.waker());
                }
                found
            };
            match found {
                Found::Bytes(bytes) => {
                    self.note(&Event::Read { connection: self.connection, up, bytes });
                    return Poll::Ready(Ok(()));
                }
                Found::EndOfStream => return Poll::Ready(Ok(())),
                Found::Reset => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Found::Later(at) => ready!(self.sleep_until(at, cx)),
                Found::Nothing => return Poll::Pending,
            }
        }
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let (up, connection) = (self.client, self.connection);
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let (written, cut) = {
            let link = &mut *self.link.lock();
            if link.yields() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let room = link.pipe(up).room()?.min(bytes.len());
            if room == 0 {
                link.pipe(up).wait_to_write(cx.waker());
                return Poll::Pending;
            }
            let room = link.cut.map_or(room, |(left, _)| room.min(left.max(1)));
            let part = &bytes[..link.part(room)];
            link.pipe(up).write(part);
            (part, link.count(part.len()))
        };
        self.note(&Event::Wrote { connection, up, bytes: written });
        if let Some(cut) = cut {
            self.note(&Event::Cut { connection, how: cut.name() });
        }
        Poll::Ready(Ok(written.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let together: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        self.poll_write(cx, &together)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let up = self.client;
        self.link.lock().pipe(up).end(End::Closed);
        Poll::Ready(Ok(()))
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        let up = self.client;
        {
            let link = &mut *self.link.lock();
            link.pipe(up).end(End::Closed);
            link.pipe(!up).deafen();
        }
        self.note(&Event::Closed { connection: self.connection, by_client: self.client });
    }
}
