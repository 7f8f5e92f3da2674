//! One connection to one broker: versions known, authenticated, every request within its time.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use rskafka::messenger::{Messenger, RequestError, SyncVersionsError};
use rskafka::protocol::frame::ReadError;
use rskafka::protocol::messages::{ReadVersionedType, RequestBody, WriteVersionedType};
use tokio::io::BufStream;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::dial::dial;
use super::stream::{Cut, NotKafka, Stream};
use crate::clock::Clock;
use crate::config::Address;
use crate::error::{Error, ErrorKind, Fate, Result};

/// Largest answer that is read, in bytes; a peer that announces more does not speak Kafka.
pub(super) const MAX_ANSWER: usize = 16 << 20;

/// Small frames leave in one write; larger ones pass the buffer by.
const WRITE_BUFFER: usize = 64 << 10;
const READ_BUFFER: usize = 8 << 10;

/// What every connection needs to know.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) client_id: Arc<str>,
    pub(super) connect_timeout: Duration,
    pub(super) idle: Duration,
    pub(super) clock: Clock,
}

#[derive(Debug)]
pub(super) struct Connection {
    address: Address,
    messenger: Messenger<BufStream<Stream<TcpStream>>>,
    cut: Arc<Cut>,
    pending: AtomicUsize,
    last_used: Mutex<(Instant, SystemTime)>,
}

impl Connection {
    /// Connects, authenticates and asks for versions, all within the connect timeout.
    pub(super) async fn open(address: &Address, settings: &Settings) -> Result<Self> {
        let limit = settings.connect_timeout;
        match tokio::time::timeout(limit, Self::handshake(address, settings)).await {
            Ok(result) => result,
            Err(_) => Err(unreachable(address, &format!("no answer within {limit:?} (timeouts.connect)"))),
        }
    }

    async fn handshake(address: &Address, settings: &Settings) -> Result<Self> {
        let socket = dial(address)
            .await
            .map_err(|error| unreachable(address, &error.to_string()).with_source(error))?;
        let (stream, cut) = Stream::new(socket);
        // Armed until the connection stands: a handshake that is dropped half-way leaves no reader behind.
        let armed = CutOnDrop(Some(cut.clone()));
        let stream = BufStream::with_capacity(READ_BUFFER, WRITE_BUFFER, stream);
        let mut messenger = Messenger::new(stream, MAX_ANSWER, settings.client_id.clone());
        messenger.sync_versions().await.map_err(|error| match error {
            SyncVersionsError::RequestError(error) => handshake_failed(address, error),
            other => Error::new(
                ErrorKind::Protocol,
                format!("{address} offers no version of the Kafka protocol that this library knows"),
            )
            .with_broker(address.to_string())
            .with_source(other),
        })?;
        armed.disarm();
        Ok(Self {
            address: address.clone(),
            messenger,
            cut,
            pending: AtomicUsize::new(0),
            last_used: Mutex::new((Instant::now(), settings.clock.wall())),
        })
    }

    pub(super) fn is_alive(&self) -> bool {
        !self.cut.has_ended()
    }

    /// Whether it may be used: alive, and not idle for so long that the peer or something between may have
    /// forgotten it. A frozen process sees only the wall clock advance.
    pub(super) fn is_fresh(&self, settings: &Settings) -> bool {
        if !self.is_alive() {
            return false;
        }
        if self.pending.load(Ordering::Acquire) > 0 {
            return true;
        }
        let (used, used_wall) = *self.last_used.lock();
        let wall_gap = settings.clock.wall().duration_since(used_wall).unwrap_or_default();
        used.elapsed() < settings.idle && wall_gap < settings.idle
    }

    pub(super) fn cut(&self) {
        self.cut.cut();
    }

    /// Makes one request and waits at most `limit` for its answer, the write included. A connection that does
    /// not answer in time is cut: whatever it carries is lost with it.
    ///
    /// Requests are written in the order in which these futures are first polled.
    pub(super) async fn request<R>(&self, body: R, limit: Duration, clock: &Clock) -> Result<R::ResponseBody>
    where
        R: RequestBody + Send + WriteVersionedType<Vec<u8>>,
        R::ResponseBody: ReadVersionedType<Cursor<Vec<u8>>>,
    {
        self.pending.fetch_add(1, Ordering::AcqRel);
        let answer = tokio::time::timeout(limit, self.messenger.request(body)).await;
        *self.last_used.lock() = (Instant::now(), clock.wall());
        self.pending.fetch_sub(1, Ordering::AcqRel);
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.failed(error)),
            Err(_) => {
                self.cut();
                Err(self.lost(format!("{} did not answer within {limit:?} (timeouts.request)", self.address)))
            }
        }
    }

    fn lost(&self, text: String) -> Error {
        Error::new(ErrorKind::ConnectionLost, text)
            .with_fate(Fate::PossiblyPersisted)
            .with_broker(self.address.to_string())
    }

    fn failed(&self, error: RequestError) -> Error {
        let address = &self.address;
        match error {
            RequestError::NoVersionMatch { api_key } => Error::new(
                ErrorKind::Protocol,
                format!("{address} does not support {api_key:?} in a version that this library knows"),
            ),
            RequestError::WriteError(_) => Error::new(ErrorKind::Internal, "a request could not be encoded"),
            RequestError::ReadError(_)
            | RequestError::ReadVersionedError(_)
            | RequestError::TooMuchData { .. } => {
                // Framing may be intact, trust is not.
                self.cut();
                Error::new(ErrorKind::Protocol, format!("{address} sent an answer that is not valid Kafka"))
                    .with_fate(Fate::PossiblyPersisted)
            }
            _ => {
                self.cut();
                self.lost(format!("the connection to {address} broke"))
            }
        }
        .with_broker(address.to_string())
        .with_source(RequestFailed(error))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.cut.cut();
    }
}

struct CutOnDrop(Option<Arc<Cut>>);

impl CutOnDrop {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        if let Some(cut) = &self.0 {
            cut.cut();
        }
    }
}

/// rskafka's error, whose own text repeats its sources.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct RequestFailed(RequestError);

pub(super) fn unreachable(address: &Address, why: &str) -> Error {
    Error::new(ErrorKind::Unreachable, format!("cannot reach {address}: {why}"))
        .with_broker(address.to_string())
}

/// The first exchange failed: the peer may speak something else.
fn handshake_failed(address: &Address, error: RequestError) -> Error {
    let io = io_error(&error);
    let not_kafka = io.and_then(|io| io.get_ref()?.downcast_ref::<NotKafka>().copied());
    let (kind, text) = match not_kafka {
        Some(NotKafka::Tls) => (
            ErrorKind::Protocol,
            format!(
                "{address} speaks TLS; this producer connects in plaintext: is TLS missing in its configuration?"
            ),
        ),
        Some(NotKafka::Http) => {
            (ErrorKind::Protocol, format!("{address} is an HTTP server, not a Kafka broker"))
        }
        Some(NotKafka::Other) => (ErrorKind::Protocol, format!("{address} does not speak Kafka")),
        None => (
            ErrorKind::Unreachable,
            format!(
                "{address} accepted the connection and closed it during the handshake: does it expect TLS or SASL?"
            ),
        ),
    };
    Error::new(kind, text).with_broker(address.to_string()).with_source(RequestFailed(error))
}

fn io_error(error: &RequestError) -> Option<&std::io::Error> {
    match error {
        RequestError::IO(io) | RequestError::ReadFramedMessageError(ReadError::IO(io)) => Some(io),
        RequestError::Poisoned(inner) => io_error(inner),
        _ => None,
    }
}
