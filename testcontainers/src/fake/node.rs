//! One broker's listener and connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::state::{Mode, Shared};

/// A broker that listens; dropping it closes its listener and connections.
#[derive(Debug)]
pub(super) struct Listening {
    address: SocketAddr,
    /// Which broker answers here.
    node: Arc<AtomicI32>,
    cut: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Listening {
    pub(super) fn start(shared: &Arc<Shared>, node: i32, address: SocketAddr) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let cut = watch::Sender::new(());
        let node = Arc::new(AtomicI32::new(node));
        let task = tokio::spawn(accept(shared.clone(), node.clone(), listener, cut.subscribe()));
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
        self.cut.send_replace(());
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(shared: Arc<Shared>, node: Arc<AtomicI32>, listener: TcpListener, cut: watch::Receiver<()>) {
    // Aborted with the task.
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        // Where even that fails, the peer is gone.
        _ = socket.set_nodelay(true);
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
        let (shared, mut cut) = (shared.clone(), cut.clone());
        cut.mark_unchanged();
        connections.spawn(async move {
            let _open = open;
            tokio::select! {
                // Nothing is answered once it is cut.
                biased;
                _ = cut.changed() => {}
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
