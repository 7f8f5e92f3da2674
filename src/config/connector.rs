//! Custom transports: how a byte stream to a broker is opened.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream to a broker: whatever tokio reads and writes.
///
/// Implemented for every such type; put it in a box for [`Connector::connect`].
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// Opens byte streams to brokers, in place of TCP: through a tunnel, a proxy, a Unix socket, or in memory.
///
/// Set it with [`ProducerConfig::connector`](crate::ProducerConfig::connector). It is called for each new connection, with
/// the host and the port as the bootstrap list or the broker's `advertised.listeners` has them. Nothing is resolved
/// before: the connector resolves the name, or passes it on. TLS and SASL run on top of the stream. Requires
/// [`EngineKind::Native`](crate::EngineKind::Native).
///
/// A panic of the connector, or of its streams, is an error of that connection.
///
/// # Examples
///
/// Streams in memory. Here the other end is a task that passes the bytes on to a broker; it could be the broker itself.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let cluster = kafka_testbed::FakeCluster::with_topic("events", 1).await?;
/// # let brokers = cluster.bootstrap();
/// use async_trait::async_trait;
/// use rskafka_producer::{ByteStream, ConnectError, Connector, Context, Message, Producer, ProducerConfig};
/// use tokio::net::TcpStream;
///
/// struct InMemory;
///
/// #[async_trait]
/// impl Connector for InMemory {
///     async fn connect(&self, host: &str, port: u16) -> Result<Box<dyn ByteStream>, ConnectError> {
///         let mut broker = TcpStream::connect((host, port)).await?;
///         let (near, mut far) = tokio::io::duplex(64 << 10);
///         tokio::spawn(async move { tokio::io::copy_bidirectional(&mut far, &mut broker).await });
///         Ok(Box::new(near))
///     }
/// }
///
/// let config = ProducerConfig::new(brokers).topic("events").connector(InMemory);
/// let producer = Producer::new(config)?;
/// producer.send(&Context::background(), Message::new("hello")).await?;
/// # assert_eq!(cluster.high_watermark("events", 0), Some(1));
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Connector: Send + Sync {
    /// Opens a stream to `host:port`. An IPv6 address comes without brackets. Part of `timeouts.connect`, which ends it
    /// where it takes longer.
    ///
    /// Frames should leave at once: with TCP, set `TCP_NODELAY`.
    ///
    /// # Errors
    ///
    /// Any; the connection is tried again after a while. [`ConnectError::Resolve`] where the host name is unknown, since
    /// the advice to the user is another one then; an [`io::Error`] becomes [`ConnectError::Connect`].
    ///
    /// # Cancel safety
    ///
    /// The future is dropped where the time is over, or another broker was faster. It must leave nothing behind.
    async fn connect(&self, host: &str, port: u16) -> Result<Box<dyn ByteStream>, ConnectError>;
}

#[async_trait]
impl<C: Connector + ?Sized> Connector for Arc<C> {
    async fn connect(&self, host: &str, port: u16) -> Result<Box<dyn ByteStream>, ConnectError> {
        (**self).connect(host, port).await
    }
}

/// Why a [`Connector`] opened no stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The host name was not resolved.
    #[error("the host name cannot be resolved")]
    Resolve(#[source] io::Error),
    /// Nothing answers there.
    #[error("no connection")]
    Connect(#[from] io::Error),
}
