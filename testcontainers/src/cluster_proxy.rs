//! A proxy before every broker of a cluster that knows nothing of it: what the brokers say of their addresses is
//! replaced by those of the proxies.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, MetadataResponse, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::FaultProxy;

/// A [`FaultProxy`] before each broker of any cluster, in plaintext. Dropping it closes every connection.
#[derive(Debug)]
pub struct ClusterProxy {
    proxies: Vec<FaultProxy>,
    /// Aborted with it.
    _translators: JoinSet<()>,
}

/// Where clients are to connect instead.
type Instead = Arc<Mutex<HashMap<(String, i32), SocketAddr>>>;

impl ClusterProxy {
    /// Stands before these brokers, `host:port` each as the cluster advertises it.
    ///
    /// # Errors
    ///
    /// If an address is not an IP address with a port, or no port is left.
    pub async fn start(brokers: &[String]) -> io::Result<Self> {
        let instead = Instead::default();
        let mut cluster = Self { proxies: Vec::new(), _translators: JoinSet::new() };
        for broker in brokers {
            let upstream: SocketAddr = broker.parse().map_err(io::Error::other)?;
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let proxy = FaultProxy::start(listener.local_addr()?).await?;
            instead.lock().insert((upstream.ip().to_string(), i32::from(upstream.port())), proxy.address());
            cluster.proxies.push(proxy);
            cluster._translators.spawn(accept(listener, upstream, instead.clone()));
        }
        Ok(cluster)
    }

    /// `host:port` of every proxy.
    #[must_use]
    pub fn bootstrap(&self) -> Vec<String> {
        self.proxies.iter().map(|proxy| proxy.address().to_string()).collect()
    }

    /// The proxies, in the order of the brokers.
    #[must_use]
    pub fn proxies(&self) -> &[FaultProxy] {
        &self.proxies
    }

    /// Cuts every open connection.
    pub fn cut_now(&self) {
        self.proxies.iter().for_each(FaultProxy::cut_now);
    }
}

async fn accept(listener: TcpListener, upstream: SocketAddr, instead: Instead) {
    // Aborted with the task.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let instead = instead.clone();
        connections.spawn(async move {
            // Whichever side ends, the other one notices by the end of its socket.
            _ = translate(client, upstream, &instead).await;
        });
    }
}

async fn translate(mut client: TcpStream, upstream: SocketAddr, instead: &Instead) -> io::Result<()> {
    let mut broker = TcpStream::connect(upstream).await?;
    client.set_nodelay(true)?;
    broker.set_nodelay(true)?;
    let (mut requests, mut to_client) = client.split();
    let (mut answers, mut to_broker) = broker.split();
    // Versions of the questions for metadata that are open, by correlation id.
    let questions = Mutex::new(HashMap::new());
    let up = async {
        loop {
            let frame = read_frame(&mut requests).await?;
            let mut head = &frame[..];
            if head.len() >= 12 && {
                head.advance(4);
                head.get_i16()
            } == ApiKey::Metadata as i16
            {
                let (version, correlation) = (head.get_i16(), head.get_i32());
                questions.lock().insert(correlation, version);
            }
            to_broker.write_all(&frame).await?;
        }
    };
    let down = async {
        loop {
            let mut frame = read_frame(&mut answers).await?;
            let correlation = frame.get(4..8).map_or(-1, |mut id| id.get_i32());
            let version = questions.lock().remove(&correlation);
            if let Some(version) = version {
                frame = replace(&frame, version, instead)?;
            }
            to_client.write_all(&frame).await?;
        }
    };
    tokio::select! {
        ended = up => ended,
        ended = down => ended,
    }
}

/// A frame with its length before it.
async fn read_frame(from: &mut (impl AsyncRead + Unpin)) -> io::Result<BytesMut> {
    let length = from.read_u32().await?;
    let mut frame = BytesMut::with_capacity(length as usize + 4);
    frame.put_u32(length);
    frame.resize(length as usize + 4, 0);
    from.read_exact(&mut frame[4..]).await?;
    Ok(frame)
}

fn replace(frame: &[u8], version: i16, instead: &Instead) -> io::Result<BytesMut> {
    let header = ApiKey::Metadata.response_header_version(version);
    let mut body = Bytes::copy_from_slice(&frame[4..]);
    let head = ResponseHeader::decode(&mut body, header).map_err(io::Error::other)?;
    let mut answer = MetadataResponse::decode(&mut body, version).map_err(io::Error::other)?;
    for broker in &mut answer.brokers {
        if let Some(proxy) = instead.lock().get(&(broker.host.to_string(), broker.port)) {
            broker.host = StrBytes::from_string(proxy.ip().to_string());
            broker.port = i32::from(proxy.port());
        }
    }
    let mut out = BytesMut::new();
    out.put_u32(0);
    head.encode(&mut out, header).map_err(io::Error::other)?;
    answer.encode(&mut out, version).map_err(io::Error::other)?;
    let length = (out.len() - 4) as u32;
    out[..4].copy_from_slice(&length.to_be_bytes());
    Ok(out)
}
