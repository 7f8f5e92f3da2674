//! TLS in front of a connection, where it was requested.

use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::serve;
use super::state::Shared;

#[derive(Clone, Default)]
pub(super) struct Tls {
    #[cfg(feature = "tls")]
    acceptor: Option<tokio_rustls::TlsAcceptor>,
}

impl Tls {
    #[cfg(feature = "tls")]
    pub(super) fn by(config: Arc<tokio_rustls::rustls::ServerConfig>) -> Self {
        Self { acceptor: Some(config.into()) }
    }

    /// Serves a connection, after a handshake if one is due.
    pub(super) async fn serve(
        &self,
        socket: impl AsyncRead + AsyncWrite + Unpin,
        shared: &Arc<Shared>,
        node: i32,
        connection: u64,
    ) -> io::Result<()> {
        #[cfg(feature = "tls")]
        if let Some(acceptor) = &self.acceptor {
            return serve(acceptor.accept(socket).await?, shared, node, connection).await;
        }
        serve(socket, shared, node, connection).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}
