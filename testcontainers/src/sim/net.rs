//! A network in memory: listeners, connections, a clock and a trace, all of one seed.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::stream::SimStream;
use super::trace::{Event, Trace};
use super::weather::Weather;

/// A network in memory, on which everything follows from one seed.
///
/// A clone is the same network. See [`SimCluster`](crate::SimCluster) for an example.
#[derive(Clone, Debug)]
pub struct SimNet {
    seed: u64,
    state: Arc<Mutex<State>>,
    trace: Arc<Mutex<Trace>>,
}

#[derive(Debug)]
struct State {
    random: fastrand::Rng,
    weather: Weather,
    listeners: BTreeMap<SocketAddr, mpsc::UnboundedSender<SimStream>>,
    next_port: u16,
    next_connection: u64,
    next_id: u64,
}

/// What happens while a runtime shuts down does so in real time.
struct EndOfTrace(Arc<Mutex<Trace>>);

impl Drop for EndOfTrace {
    fn drop(&mut self) {
        self.0.lock().end();
    }
}

/// A listener of a [`SimNet`].
#[derive(Debug)]
pub(crate) struct SimListener {
    address: SocketAddr,
    streams: mpsc::UnboundedReceiver<SimStream>,
}

/// The time of day at which every simulation begins, since 1970: in the year 2100, since brokers refuse timestamps of the
/// future, which those of the system's clock would be otherwise.
const BEGINS: Duration = Duration::from_secs(4_102_444_800);

impl SimNet {
    /// A calm network. Needs a tokio runtime, whose clock it uses.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = State {
            random: fastrand::Rng::with_seed(seed),
            weather: Weather::default(),
            listeners: BTreeMap::new(),
            next_port: 9092,
            next_connection: 0,
            next_id: 0,
        };
        Self { seed, state: Arc::new(Mutex::new(state)), trace: Arc::new(Mutex::new(Trace::new())) }
    }

    /// Runs `world` on a runtime of one thread, whose paused clock jumps to whatever is due next. Needs no network, no
    /// ports and no waiting.
    ///
    /// # Panics
    ///
    /// Inside a runtime, and if the runtime cannot be created.
    pub fn run<F: Future>(seed: u64, world: impl FnOnce(Self) -> F) -> F::Output {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build();
        let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
        runtime.block_on(async {
            let net = Self::new(seed);
            let _end = EndOfTrace(net.trace.clone());
            world(net).await
        })
    }

    /// The seed of it all.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A number that follows from the seed, and another one with each call: the seed of something else.
    #[must_use]
    pub fn random(&self) -> u64 {
        self.state.lock().random.u64(..)
    }

    /// A number that no other call returns.
    pub(crate) fn next_id(&self) -> u64 {
        let mut state = self.state.lock();
        state.next_id += 1;
        state.next_id
    }

    /// How connections are treated that are opened from here on.
    pub fn set_weather(&self, weather: Weather) {
        self.state.lock().weather = weather;
    }

    /// The time of day, which advances with the clock of the runtime: for
    /// `ProducerConfig::wall_clock`, and whatever else reads one.
    #[must_use]
    pub fn wall_clock(&self) -> SystemTime {
        UNIX_EPOCH + BEGINS + self.trace.lock().age()
    }

    /// Opens a connection to `host:port`. Every host name and address is the same host.
    ///
    /// # Errors
    ///
    /// If nothing listens on this port.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn connect(&self, host: &str, port: u16) -> io::Result<SimStream> {
        _ = host;
        let (pause, lost) = {
            let state = &mut *self.state.lock();
            let longest = state.weather.latency.as_millis() as u64;
            (Duration::from_millis(state.random.u64(..=longest)), state.random.f64() < state.weather.lost)
        };
        if lost {
            std::future::pending::<()>().await;
        }
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let address = local(port);
        let opened = self.open(address);
        let event = match &opened {
            Some((_, connection)) => Event::Opened { connection: *connection, port },
            None => Event::Refused { port },
        };
        self.trace.lock().note(&event);
        opened.map(|(stream, _)| stream).ok_or_else(|| io::ErrorKind::ConnectionRefused.into())
    }

    fn open(&self, address: SocketAddr) -> Option<(SimStream, u64)> {
        let state = &mut *self.state.lock();
        let listener = state.listeners.get(&address).filter(|listener| !listener.is_closed())?;
        state.next_connection += 1;
        let connection = state.next_connection;
        let random = fastrand::Rng::with_seed(state.random.u64(..));
        let (near, far) = SimStream::pair(&state.weather, random, &self.trace, connection);
        listener.send(far).ok()?;
        Some((near, connection))
    }

    /// Listens at a port; any where it is 0.
    pub(crate) fn listen(&self, port: u16) -> io::Result<SimListener> {
        let state = &mut *self.state.lock();
        let port = match port {
            0 => {
                let next = state.next_port.checked_add(1).ok_or(io::ErrorKind::AddrNotAvailable)?;
                std::mem::replace(&mut state.next_port, next)
            }
            port => port,
        };
        let address = local(port);
        let (sender, streams) = mpsc::unbounded_channel();
        if let Some(taken) = state.listeners.insert(address, sender) {
            if !taken.is_closed() {
                state.listeners.insert(address, taken);
                return Err(io::ErrorKind::AddrInUse.into());
            }
        }
        Ok(SimListener { address, streams })
    }

    /// Adds a line to the trace.
    pub fn note(&self, text: &str) {
        self.trace.lock().note(&Event::Noted { text });
    }

    /// A number that stands for everything that has happened so far: bytes, their times and their order. It is the same
    /// for the same seed.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.trace.lock().hash()
    }

    /// Keeps a line for each thing that happens from here on, which takes time.
    pub fn record(&self) {
        self.trace.lock().record();
    }

    /// The lines that were kept since [`record`](Self::record).
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.trace.lock().lines()
    }
}

impl SimListener {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn accept(&mut self) -> io::Result<SimStream> {
        // The network itself is gone.
        self.streams.recv().await.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::from([127, 0, 0, 1]), port)
}
