//! One broker's listener and connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::signal::Signal;
use super::state::{Mode, Shared};
use crate::sim::SimListener;

/// A broker that listens; dropping it closes its listener and connections.
#[derive(Debug)]
pub(super) struct Listening {
    address: SocketAddr,
    /// Which broker answers here.
    node: Arc<AtomicI32>,
    cut: Arc<Signal>,
    task: JoinHandle<()>,
}

impl Listening {
    pub(super) fn start(shared: &Arc<Shared>, node: i32, address: SocketAddr) -> std::io::Result<Self> {
        let listener = Listener::bind(shared, address)?;
        let address = listener.address()?;
        let cut = Arc::new(Signal::default());
        let node = Arc::new(AtomicI32::new(node));
        let task = tokio::spawn(accept(shared.clone(), node.clone(), listener, cut.clone()));
        Ok(Self { address, node, cut, task })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes everything, and returns when it is closed.
    pub(super) async fn end(mut self) {
        self.task.abort();
        // Aborted: that it was is all it has to say.
        _ = (&mut self.task).await;
    }

    /// Has another broker answer here, once the connections are cut.
    pub(super) fn serve(&self, node: i32) {
        self.node.store(node, Ordering::Release);
    }

    pub(super) fn cut(&self) {
        self.cut.raise();
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where connections come in.
enum Listener {
    Socket(TcpListener),
    InMemory(SimListener),
}

/// A connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Listener {
    fn bind(shared: &Shared, address: SocketAddr) -> io::Result<Self> {
        let net = shared.lock().net.clone();
        if let Some(net) = net {
            return Ok(Self::InMemory(net.listen(address.port())?));
        }
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self::Socket(TcpListener::from_std(listener)?))
    }

    fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Socket(listener) => listener.local_addr(),
            Self::InMemory(listener) => Ok(listener.address()),
        }
    }

    async fn accept(&mut self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Socket(listener) => {
                let (socket, _) = listener.accept().await?;
                // Where even that fails, the peer is gone.
                _ = socket.set_nodelay(true);
                Ok(Box::new(socket))
            }
            Self::InMemory(listener) => Ok(Box::new(listener.accept().await?)),
        }
    }
}

async fn accept(shared: Arc<Shared>, node: Arc<AtomicI32>, mut listener: Listener, cut: Arc<Signal>) {
    // Aborted with the task.
    let mut connections = JoinSet::new();
    while let Ok(socket) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let node = node.load(Ordering::Acquire);
        let (mode, number, tls) = {
            let mut state = shared.lock();
            state.next_connection += 1;
            let number = state.next_connection;
            let tls = state.tls.clone();
            let node = &mut state.nodes[node as usize];
            node.accepted += 1;
            node.open += 1;
            (node.mode, number, tls)
        };
        let open = Open { shared: shared.clone(), node };
        shared.changed();
        if mode == Mode::Reset {
            continue;
        }
        let (shared, cut, cuts) = (shared.clone(), cut.clone(), cut.count());
        connections.spawn(async move {
            let _open = open;
            tokio::select! {
                // Nothing is answered once it is cut.
                biased;
                () = cut.beyond(cuts) => {}
                // A peer that sends nonsense, or goes away, is done with.
                _ = tls.serve(socket, &shared, node, number) => {}
            }
        });
    }
}

struct Open {
    shared: Arc<Shared>,
    node: i32,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.lock().nodes[self.node as usize].open -= 1;
        self.shared.changed();
    }
}
