//! A TCP proxy on 127.0.0.1 that does to connections what networks do.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::round_trips::RoundTrips;

/// A proxy for one upstream. Its knobs can be turned at any time; dropping it closes every connection.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    knobs: watch::Sender<Knobs>,
    accepted: AtomicU64,
    open: AtomicU64,
    connections: Mutex<Vec<ConnectionTraffic>>,
}

#[derive(Clone, Debug, Default)]
struct Knobs {
    latency: Duration,
    black_hole: bool,
    /// Connections of earlier generations are closed.
    generation: u64,
    /// Bytes of answers after which each connection is cut.
    cut_after: Option<u64>,
}

/// What passed through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections open now.
    pub open: u64,
    /// Bytes towards the broker.
    pub up: u64,
    /// Bytes from the broker.
    pub down: u64,
    /// Round trips, of all connections together.
    pub round_trips: u64,
}

/// What passed through one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionTraffic {
    /// Bytes towards the broker.
    pub up: u64,
    /// Bytes from the broker.
    pub down: u64,
    /// Round trips: one for the connection, and one each time the client speaks first or after the broker. What is
    /// pipelined counts once.
    pub round_trips: u64,
}

impl FaultProxy {
    /// Listens on a port asked of the system, for `upstream`.
    ///
    /// # Errors
    ///
    /// If no port is available.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let proxy = Self {
            address: listener.local_addr()?,
            shared: Arc::new(Shared {
                upstream,
                knobs: watch::Sender::default(),
                accepted: AtomicU64::new(0),
                open: AtomicU64::new(0),
                connections: Mutex::default(),
            }),
            listener: Mutex::new(None),
        };
        *proxy.listener.lock() = Some(tokio::spawn(accept(listener, proxy.shared.clone())));
        Ok(proxy)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Delays everything, in each direction, by so much.
    pub fn set_latency(&self, latency: Duration) {
        self.turn(|knobs| knobs.latency = latency);
    }

    /// Swallows everything in both directions, of open connections and new ones, or stops to.
    pub fn set_black_hole(&self, on: bool) {
        self.turn(|knobs| knobs.black_hole = on);
    }

    /// Cuts each connection after so many bytes of answers, counted from now for open ones; `None` lets them be.
    pub fn set_cut_after(&self, bytes: Option<u64>) {
        self.turn(|knobs| knobs.cut_after = bytes);
    }

    /// Cuts every open connection.
    pub fn cut_now(&self) {
        self.turn(|knobs| knobs.generation += 1);
    }

    /// Refuses new connections and cuts the open ones.
    pub fn refuse(&self) {
        if let Some(listener) = self.listener.lock().take() {
            listener.abort();
        }
        self.cut_now();
    }

    /// Accepts connections again.
    ///
    /// # Errors
    ///
    /// If the port is taken meanwhile.
    pub fn accept_again(&self) -> io::Result<()> {
        let mut task = self.listener.lock();
        if task.is_none() {
            let listener = std::net::TcpListener::bind(self.address)?;
            listener.set_nonblocking(true)?;
            *task = Some(tokio::spawn(accept(TcpListener::from_std(listener)?, self.shared.clone())));
        }
        Ok(())
    }

    /// What passed through.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let connections = self.shared.connections.lock();
        let sum = |part: fn(&ConnectionTraffic) -> u64| connections.iter().map(part).sum();
        Traffic {
            accepted: self.shared.accepted.load(Ordering::Relaxed),
            open: self.shared.open.load(Ordering::Relaxed),
            up: sum(|connection| connection.up),
            down: sum(|connection| connection.down),
            round_trips: sum(|connection| connection.round_trips),
        }
    }

    /// The same of each connection, closed ones too, in the order in which they reached the broker.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionTraffic> {
        self.shared.connections.lock().clone()
    }

    fn turn(&self, turn: impl FnOnce(&mut Knobs)) {
        self.shared.knobs.send_modify(turn);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        if let Some(listener) = self.listener.lock().take() {
            listener.abort();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Aborted with the task.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        shared.accepted.fetch_add(1, Ordering::Relaxed);
        let shared = shared.clone();
        connections.spawn(async move {
            shared.open.fetch_add(1, Ordering::Relaxed);
            let open = Open(&shared);
            // However a connection ends, it has ended.
            _ = carry(client, &shared).await;
            drop(open);
        });
    }
}

struct Open<'a>(&'a Shared);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn carry(client: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut knobs = shared.knobs.subscribe();
    let generation = knobs.borrow_and_update().generation;
    let upstream = TcpStream::connect(shared.upstream).await?;
    for socket in [&client, &upstream] {
        socket.set_nodelay(true)?;
    }
    let (client_in, client_out) = client.into_split();
    let (upstream_in, upstream_out) = upstream.into_split();
    let counter = Counter::new(shared);
    let up = pump(client_in, upstream_out, &counter, Direction::Up);
    let down = pump(upstream_in, client_out, &counter, Direction::Down);
    tokio::select! {
        result = up => result,
        result = down => result,
        _ = knobs.wait_for(|knobs| knobs.generation != generation) => Ok(()),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Up,
    Down,
}

/// Where one connection's traffic is counted.
struct Counter<'a> {
    shared: &'a Shared,
    index: usize,
    trips: Mutex<RoundTrips>,
}

impl<'a> Counter<'a> {
    fn new(shared: &'a Shared) -> Self {
        let trips = RoundTrips::connected();
        let mut connections = shared.connections.lock();
        connections.push(ConnectionTraffic { up: 0, down: 0, round_trips: trips.count() });
        Self { shared, index: connections.len() - 1, trips: Mutex::new(trips) }
    }

    fn count(&self, direction: Direction, bytes: u64) {
        let mut trips = self.trips.lock();
        let connection = &mut self.shared.connections.lock()[self.index];
        match direction {
            Direction::Up => {
                trips.client_spoke();
                connection.up += bytes;
            }
            Direction::Down => {
                trips.server_spoke();
                connection.down += bytes;
            }
        }
        connection.round_trips = trips.count();
    }
}

/// Carries bytes one way. Each piece is late by itself: what follows sets out before it has arrived.
async fn pump(
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    counter: &Counter<'_>,
    direction: Direction,
) -> io::Result<()> {
    let (line, pieces) = mpsc::channel(64);
    tokio::select! {
        delivered = deliver(pieces, to, counter.shared, direction) => delivered,
        Err(error) = take_up(from, line, counter, direction) => Err(error),
    }
}

type Piece = (Instant, Vec<u8>);

async fn take_up(
    mut from: OwnedReadHalf,
    line: mpsc::Sender<Piece>,
    counter: &Counter<'_>,
    direction: Direction,
) -> io::Result<()> {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut bytes).await?;
        if read == 0 {
            return Ok(());
        }
        let knobs = counter.shared.knobs.borrow().clone();
        if knobs.black_hole {
            continue;
        }
        counter.count(direction, read as u64);
        let piece = (Instant::now() + knobs.latency, bytes[..read].to_vec());
        if line.send(piece).await.is_err() {
            return Ok(());
        }
    }
}

async fn deliver(
    mut pieces: mpsc::Receiver<Piece>,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    direction: Direction,
) -> io::Result<()> {
    let mut passed = 0u64;
    let mut limit = None;
    while let Some((due, piece)) = pieces.recv().await {
        tokio::time::sleep_until(due).await;
        let mut bytes = &piece[..];
        if direction == Direction::Down {
            let cut_after = shared.knobs.borrow().cut_after;
            // A limit that is new counts from here.
            if limit.map(|(cut, _)| cut) != cut_after {
                limit = cut_after.map(|cut| (cut, passed));
            }
            if let Some((cut, since)) = limit {
                let left = (since + cut).saturating_sub(passed);
                if (bytes.len() as u64) > left {
                    bytes = &bytes[..left as usize];
                    return to.write_all(bytes).await;
                }
            }
        }
        passed += bytes.len() as u64;
        to.write_all(bytes).await?;
    }
    Ok(())
}
