//! One connection to one broker: versions known, authenticated, every request within its time.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::api::{Request, Software};
use super::handshake::{Answered, Wanted, shake_hands};
use super::identity::Peer;
use super::listener::Listener;
use super::net::frame::Unreadable;
use super::net::wire::{Ended, RequestFailed, Wire};
use super::observe::Observer;
use super::pace::Pace;
use super::session::Session;
use super::timers::Timers;
use super::versions::Needs;
use crate::clock::later;
use crate::config::{Address, Connector, DnsLookup, Proxy, SaslConfig, SocketConfig, WallClock};
use crate::error::{Error, ErrorKind, Fate, Result};

/// What every connection needs to know.
pub(super) struct Settings {
    pub(super) client_id: Arc<str>,
    pub(super) software: Software,
    pub(super) connect_timeout: Duration,
    pub(super) idle: Duration,
    pub(super) clock: WallClock,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<super::net::tls::Tls>,
    pub(super) sasl: Option<SaslConfig>,
    pub(super) socket: SocketConfig,
    pub(super) dns_lookup: DnsLookup,
    /// Opens streams in place of TCP.
    pub(super) connector: Option<Arc<dyn Connector>>,
    pub(super) proxy: Option<Proxy>,
    pub(super) needs: Needs,
    pub(super) observer: Observer,
}

impl Settings {
    pub(super) fn encrypts(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }
}

pub(super) struct Connection {
    pub(super) address: Address,
    pub(super) wire: Wire,
    listener: Arc<Listener>,
    session: Option<Session>,
    pub(super) connect_timeout: Duration,
    unanswered: Mutex<Unanswered>,
    /// Requests that are unanswered for longer than usual.
    silent: AtomicUsize,
    pace: Pace,
    timers: Timers,
    /// Who answers, once that is known.
    peer: OnceLock<Peer>,
    last_used: Mutex<(Instant, SystemTime)>,
}

/// Requests that are not answered yet, and since when none of them was.
#[derive(Debug, Default)]
struct Unanswered {
    requests: usize,
    since: Option<Instant>,
    /// When the last of them was dropped by its caller.
    dropped: Option<Instant>,
}

/// A caller that has stopped waiting asks why at once.
const JUST_NOW: Duration = Duration::from_millis(100);

impl Connection {
    /// Connects, encrypts, asks for versions and logs in, all within the connect timeout.
    pub(super) async fn open(
        address: &Address,
        listener: &Arc<Listener>,
        settings: &Settings,
        wanted: Option<Wanted<'_>>,
    ) -> Result<(Self, Answered)> {
        let limit = settings.connect_timeout;
        let shaking = async {
            let ready = shake_hands(address, listener, settings, wanted).await?;
            if settings.sasl.is_none() && listener.suspects_login() {
                super::sasl::check_none_is_wanted(address, &ready.wire).await?;
            }
            Ok(ready)
        };
        let ready = match tokio::time::timeout(limit, shaking).await {
            Ok(ready) => ready?,
            Err(_) => {
                return Err(unreachable(address, &format!("no answer within {limit:?} (timeouts.connect)")));
            }
        };
        let session = settings.sasl.clone();
        let connection = Self {
            address: address.clone(),
            wire: ready.wire,
            listener: listener.clone(),
            session: session.map(|sasl| Session::new(ready.session, sasl, settings.clock.clone())),
            connect_timeout: limit,
            unanswered: Mutex::default(),
            silent: AtomicUsize::new(0),
            pace: Pace::default(),
            timers: Timers::default(),
            peer: OnceLock::new(),
            last_used: Mutex::new((Instant::now(), settings.clock.wall())),
        };
        Ok((connection, ready.answered))
    }

    /// Who answers, as far as that is known.
    pub(super) fn peer(&self) -> Option<&Peer> {
        self.peer.get()
    }

    /// Notes who answers, unless that is known.
    pub(super) fn meet(&self, peer: impl FnOnce() -> Peer) {
        self.peer.get_or_init(peer);
    }

    /// Whether a request is unanswered for longer than usual.
    pub(super) fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Acquire) > 0
    }

    pub(super) fn is_alive(&self) -> bool {
        !self.wire.has_ended()
    }

    /// Whether it may be used: alive, and not idle long enough that the peer or something between may have
    /// forgotten it. A frozen process sees only the wall clock advance.
    pub(super) fn is_fresh(&self, settings: &Settings) -> bool {
        if !self.is_alive() {
            return false;
        }
        if self.unanswered.lock().requests > 0 {
            return true;
        }
        let wall = settings.clock.wall();
        let (used, used_wall) = *self.last_used.lock();
        let wall_gap = wall.duration_since(used_wall).unwrap_or_default();
        used.elapsed() < settings.idle && wall_gap < settings.idle
    }

    /// Since when its peer has answered none of the requests that wait; `None` where none does.
    pub(super) fn silent_since(&self, now: Instant) -> Option<Instant> {
        let unanswered = self.unanswered.lock();
        let waits = unanswered.requests > 0
            || unanswered.dropped.is_some_and(|at| now.saturating_duration_since(at) < JUST_NOW);
        unanswered.since.filter(|_| waits)
    }

    /// Makes one request and waits at most `limit` for its answer, the write included. A connection that does
    /// not answer in time is cut: whatever it carries is lost with it.
    ///
    /// Requests are written in the order in which these futures are first polled.
    pub(super) async fn request<R: Request>(
        self: &Arc<Self>,
        body: R,
        limit: Duration,
        clock: &WallClock,
    ) -> Result<R::Answer> {
        self.request_unless_late(body, limit, clock, || {}).await
    }

    /// The same. `late` is called where the answer takes longer than usual.
    pub(super) async fn request_unless_late<R: Request>(
        self: &Arc<Self>,
        body: R,
        limit: Duration,
        clock: &WallClock,
        late: impl FnOnce() + Send,
    ) -> Result<R::Answer> {
        let started = Instant::now();
        let pending = Pending::of(self, clock, started);
        let patience = self.pace.patience().min(limit);
        let mut exchange = pin!(self.exchange(body));
        let mut answer = self.timers.until(later(started, patience), exchange.as_mut()).await;
        if answer.is_none() && patience < limit {
            let _silent = Raised::new(&self.silent);
            late();
            answer = self.timers.until(later(started, limit), exchange.as_mut()).await;
        }
        let now = Instant::now();
        if let Some(Ok(_)) = &answer {
            self.pace.answered(now.saturating_duration_since(started));
        }
        pending.end(now);
        match answer {
            Some(Ok(answer)) => {
                self.listener.has_answered();
                Ok(answer)
            }
            Some(Err(error)) => Err(error),
            None => {
                self.wire.cut("no answer within timeouts.request");
                Err(self.lost(format!("{} did not answer within {limit:?} (timeouts.request)", self.address)))
            }
        }
    }

    async fn exchange<R: Request>(self: &Arc<Self>, body: R) -> Result<R::Answer> {
        let Some(session) = &self.session else {
            return self.wire.request(body).await.map_err(|error| self.failed(&error));
        };
        // Apart, as a login takes much more room than a request.
        let turn = Box::pin(session.turn(self)).await?;
        let mut call = pin!(self.wire.request(body));
        // Begun once it was polled: the next one is behind it.
        let begun = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
        drop(turn);
        let answer = match begun {
            Poll::Ready(answer) => answer,
            Poll::Pending => call.await,
        };
        answer.map_err(|error| self.failed(&error))
    }

    fn lost(&self, text: String) -> Error {
        Error::new(ErrorKind::ConnectionLost, text)
            .with_fate(Fate::PossiblyPersisted)
            .with_broker(self.address.to_string())
    }

    fn failed(&self, failed: &RequestFailed) -> Error {
        let address = &self.address;
        #[cfg(feature = "tls")]
        if let Some(known) = failed.io().and_then(super::net::tls::known) {
            return super::net::tls::explain(address, known).with_fate(Fate::PossiblyPersisted);
        }
        match failed {
            RequestFailed::Unsupported(api) => Error::unsupported_version(format!(
                "{address} does not offer {api:?} in a version that this library speaks"
            )),
            RequestFailed::Malformed(malformed) => {
                // Framing may be intact, trust is not.
                self.wire.cut("an answer is not valid Kafka");
                let text = format!("{address} sent an answer that is not valid Kafka ({malformed})");
                Error::new(ErrorKind::Protocol, text).with_fate(Fate::PossiblyPersisted)
            }
            RequestFailed::Ended(ended @ (Ended::Unasked | Ended::Read(Unreadable::Size(_)))) => {
                Error::new(ErrorKind::Protocol, format!("the connection to {address} ended: {ended}"))
                    .with_fate(Fate::PossiblyPersisted)
            }
            RequestFailed::Ended(_) => self.broke(),
        }
        .with_broker(address.to_string())
        .with_io_cause(failed.cause())
    }

    /// The connection ended. A listener that wants a login answers `ApiVersions` and hangs up on anything else.
    fn broke(&self) -> Error {
        let address = &self.address;
        let lost = self.lost(format!("the connection to {address} broke"));
        if self.session.is_some() {
            return lost;
        }
        match self.listener.ended_at_first_request() {
            true => lost.with_text(format!(
                "{address} closed the connection at the first request: does the listener want a login? sasl is not set"
            )),
            false => lost,
        }
    }
}

/// A counter that is higher by one while this lives.
struct Raised<'a>(&'a AtomicUsize);

impl<'a> Raised<'a> {
    fn new(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::AcqRel);
        Self(counter)
    }
}

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A request under way. However it ends, also where its caller drops it, the connection counts one less.
struct Pending<'a> {
    connection: &'a Connection,
    clock: &'a WallClock,
    /// When it ended by itself: by an answer, a failure, or its time limit.
    ended: Option<Instant>,
}

impl<'a> Pending<'a> {
    fn of(connection: &'a Connection, clock: &'a WallClock, now: Instant) -> Self {
        let mut unanswered = connection.unanswered.lock();
        if unanswered.requests == 0 {
            unanswered.since = Some(now);
        }
        unanswered.requests += 1;
        drop(unanswered);
        Self { connection, clock, ended: None }
    }

    fn end(mut self, now: Instant) {
        self.ended = Some(now);
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let now = self.ended.unwrap_or_else(Instant::now);
        *self.connection.last_used.lock() = (now, self.clock.wall());
        let mut unanswered = self.connection.unanswered.lock();
        unanswered.requests -= 1;
        match self.ended {
            Some(_) => unanswered.since = (unanswered.requests > 0).then_some(now),
            None => unanswered.dropped = Some(now),
        }
    }
}

pub(super) fn unreachable(address: &Address, why: &str) -> Error {
    Error::new(ErrorKind::Unreachable, format!("cannot reach {address}: {why}"))
        .with_broker(address.to_string())
}
