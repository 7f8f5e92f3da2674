//! One direction of a simulated connection: bytes that arrive some time after they were written.

use std::collections::VecDeque;
use std::io;
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

/// Bytes on their way at one time, as the buffers of two sockets hold them.
const WINDOW: usize = 64 << 10;

#[derive(Debug, Default)]
pub(super) struct Pipe {
    latency: Duration,
    /// Each with the time of its arrival.
    pieces: VecDeque<(Instant, Vec<u8>)>,
    /// How much of the first piece was read.
    taken: usize,
    held: usize,
    last_arrival: Option<Instant>,
    /// How the writing side ended, once everything before it has arrived.
    end: Option<(Instant, End)>,
    /// The reading side is gone.
    deaf: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// How a direction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// After the last byte.
    Closed,
    /// With an error, in place of whatever has not been read.
    Reset,
    /// Never: nothing arrives any more.
    Silent,
}

/// What a reader finds.
pub(super) enum Found {
    Bytes(usize),
    EndOfStream,
    Reset,
    /// Something arrives then.
    Later(Instant),
    Nothing,
}

impl Pipe {
    pub(super) fn new(latency: Duration) -> Self {
        Self { latency, ..Self::default() }
    }

    /// How much can be written now.
    pub(super) fn room(&self) -> io::Result<usize> {
        match self.end {
            Some((_, End::Silent)) => {}
            Some(_) => return Err(io::ErrorKind::ConnectionReset.into()),
            None if self.deaf => return Err(io::ErrorKind::BrokenPipe.into()),
            None => {}
        }
        Ok(WINDOW.saturating_sub(self.held))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.held += bytes.len();
        if self.end.is_some() {
            // Silent: it fills the window and goes nowhere.
            return;
        }
        let at = self.arrival();
        self.pieces.push_back((at, bytes.to_vec()));
        wake(&mut self.reader);
    }

    /// Reads up to so many bytes of the first piece that has arrived.
    pub(super) fn read(&mut self, most: usize, mut take: impl FnMut(&[u8])) -> Found {
        let now = Instant::now();
        match self.end {
            Some((_, End::Silent)) => return Found::Nothing,
            Some((at, End::Reset)) if at <= now => return Found::Reset,
            _ => {}
        }
        match (self.pieces.front(), self.end) {
            (Some((at, _)), _) if *at > now => Found::Later(*at),
            (Some((_, piece)), _) => {
                let size = most.min(piece.len() - self.taken);
                take(&piece[self.taken..self.taken + size]);
                self.taken += size;
                if self.taken == piece.len() {
                    self.taken = 0;
                    self.pieces.pop_front();
                }
                self.held -= size;
                wake(&mut self.writer);
                Found::Bytes(size)
            }
            (None, Some((at, _))) if at <= now => Found::EndOfStream,
            (None, Some((at, _))) => Found::Later(at),
            (None, None) => Found::Nothing,
        }
    }

    /// The writing side ends. The first end counts, but a reset or silence comes in its place.
    pub(super) fn end(&mut self, end: End) {
        let at = match end {
            End::Closed => self.arrival(),
            End::Reset | End::Silent => Instant::now(),
        };
        let open = self.end.is_none_or(|(_, earlier)| earlier == End::Closed && end != End::Closed);
        if open {
            self.end = Some((at, end));
        }
        wake(&mut self.reader);
        wake(&mut self.writer);
    }

    /// The reading side is gone.
    pub(super) fn deafen(&mut self) {
        self.deaf = true;
        wake(&mut self.writer);
    }

    pub(super) fn wait_to_read(&mut self, waker: &Waker) {
        wait(&mut self.reader, waker);
    }

    pub(super) fn wait_to_write(&mut self, waker: &Waker) {
        wait(&mut self.writer, waker);
    }

    /// When something that leaves now arrives: never before what left earlier.
    fn arrival(&mut self) -> Instant {
        let at = Instant::now() + self.latency;
        let at = self.last_arrival.map_or(at, |last| at.max(last));
        self.last_arrival = Some(at);
        at
    }
}

fn wait(place: &mut Option<Waker>, waker: &Waker) {
    match place {
        Some(there) => there.clone_from(waker),
        None => *place = Some(waker.clone()),
    }
}

fn wake(place: &mut Option<Waker>) {
    if let Some(waker) = place.take() {
        waker.wake();
    }
}
