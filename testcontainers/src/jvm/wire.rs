//! One request to a broker and its answer, by the `kafka-protocol` crate.

use std::io;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(30);

/// A connection for requests one after the other.
pub(super) struct Wire {
    socket: TcpStream,
}

impl Wire {
    pub(super) async fn connect(address: &str) -> io::Result<Self> {
        let socket = tokio::time::timeout(LIMIT, TcpStream::connect(address)).await??;
        socket.set_nodelay(true)?;
        Ok(Self { socket })
    }

    pub(super) async fn request<R: Request>(&mut self, body: &R, version: i16) -> io::Result<R::Response> {
        let api = ApiKey::try_from(R::KEY).map_err(|()| io::ErrorKind::Unsupported)?;
        let mut frame = BytesMut::new();
        frame.put_u32(0);
        RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(1)
            .with_client_id(Some(StrBytes::from_static_str("kafka-testbed")))
            .encode(&mut frame, api.request_header_version(version))
            .map_err(io::Error::other)?;
        body.encode(&mut frame, version).map_err(io::Error::other)?;
        let length = (frame.len() - 4) as u32;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        let answer = tokio::time::timeout(LIMIT, self.exchange(&frame)).await??;
        let mut answer = Bytes::from(answer);
        ResponseHeader::decode(&mut answer, api.response_header_version(version))
            .map_err(io::Error::other)?;
        R::Response::decode(&mut answer, version).map_err(io::Error::other)
    }

    async fn exchange(&mut self, frame: &[u8]) -> io::Result<Vec<u8>> {
        self.socket.write_all(frame).await?;
        let length = self.socket.read_u32().await? as usize;
        let mut answer = vec![0; length];
        self.socket.read_exact(&mut answer).await?;
        Ok(answer)
    }
}
