//! One request to a broker and its answer.

use std::io;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, Request};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Sends a request and reads its answer; an error if the broker closes the connection instead.
pub(crate) async fn request<R: Request>(
    socket: &mut (impl AsyncRead + AsyncWrite + Unpin),
    body: R,
    version: i16,
) -> io::Result<R::Response> {
    let api = ApiKey::try_from(R::KEY).unwrap();
    let mut frame = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(7);
    header.encode(&mut frame, api.request_header_version(version)).unwrap();
    body.encode(&mut frame, version).unwrap();
    let mut out = BytesMut::new();
    out.put_u32(frame.len() as u32);
    out.extend_from_slice(&frame);
    let exchange = async {
        socket.write_all(&out).await?;
        let mut answer = vec![0; socket.read_u32().await? as usize];
        socket.read_exact(&mut answer).await?;
        io::Result::Ok(answer)
    };
    let mut answer = Bytes::from(tokio::time::timeout(Duration::from_secs(60), exchange).await??);
    ResponseHeader::decode(&mut answer, api.response_header_version(version)).unwrap();
    Ok(R::Response::decode(&mut answer, version).unwrap())
}
