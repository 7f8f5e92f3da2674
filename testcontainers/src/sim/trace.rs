//! What happened in a simulation, as one number and, on request, as text.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event<'a> {
    Opened { connection: u64, port: u16 },
    Refused { port: u16 },
    Wrote { connection: u64, up: bool, bytes: &'a [u8] },
    Read { connection: u64, up: bool, bytes: usize },
    Cut { connection: u64, how: &'static str },
    Closed { connection: u64, by_client: bool },
    Noted { text: &'a str },
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Trace {
    began: Instant,
    hash: u64,
    over: bool,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), hash: 0, over: false, lines: None }
    }

    pub(super) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Keeps each event as a line from here on.
    pub(super) fn record(&mut self) {
        self.lines.get_or_insert_default();
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.clone().unwrap_or_default()
    }

    /// Notes nothing more.
    pub(super) fn end(&mut self) {
        self.over = true;
    }

    pub(super) fn note(&mut self, event: &Event<'_>) {
        if self.over {
            return;
        }
        let age = self.age();
        self.mix(age.as_nanos() as u64);
        for part in event.parts() {
            self.mix(part);
        }
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{age:>10.3?} {event}"));
        }
    }

    fn mix(&mut self, part: u64) {
        self.hash = (self.hash ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    }
}

impl Event<'_> {
    /// All that makes it differ from others.
    fn parts(&self) -> [u64; 4] {
        let sum = |bytes: &[u8]| u64::from(crc32c::crc32c(bytes));
        match *self {
            Self::Opened { connection, port } => [1, connection, port.into(), 0],
            Self::Refused { port } => [2, port.into(), 0, 0],
            Self::Wrote { connection, up, bytes } => {
                [3, connection << 1 | u64::from(up), bytes.len() as u64, sum(bytes)]
            }
            Self::Read { connection, up, bytes } => [4, connection << 1 | u64::from(up), bytes as u64, 0],
            Self::Cut { connection, how } => [5, connection, how.len() as u64, sum(how.as_bytes())],
            Self::Closed { connection, by_client } => [6, connection, by_client.into(), 0],
            Self::Noted { text } => [7, text.len() as u64, sum(text.as_bytes()), 0],
        }
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |up: bool| if up { "client" } else { "broker" };
        match *self {
            Self::Opened { connection, port } => write!(f, "#{connection} opened to port {port}"),
            Self::Refused { port } => write!(f, "port {port} refused a connection"),
            Self::Wrote { connection, up, bytes } => {
                let sum = crc32c::crc32c(bytes);
                write!(f, "#{connection} {} wrote {} bytes, {sum:08x}", side(up), bytes.len())
            }
            Self::Read { connection, up, bytes } => {
                write!(f, "#{connection} {} read {bytes} bytes", side(!up))
            }
            Self::Cut { connection, how } => write!(f, "#{connection} was cut: {how}"),
            Self::Closed { connection, by_client } => {
                write!(f, "#{connection} was closed by the {}", side(by_client))
            }
            Self::Noted { text } => f.write_str(text),
        }
    }
}
