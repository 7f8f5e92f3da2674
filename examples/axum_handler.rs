//! An HTTP handler that produces: `POST /events/{key}` answers 201 with the place once the event is stored, 503 with
//! `Retry-After` where it makes sense to try again, and 413 for what is too large.
//!
//! ```text
//! cargo run --example axum_handler
//! ```

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router, body::Bytes};
use rskafka_producer::{Context, Error, ErrorKind, Message, Producer, ProducerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A producer is a handle: clone it into the state.
async fn accept(
    State(producer): State<Producer>,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<impl IntoResponse, Refused> {
    let mut message = Message::new(body).key(key);
    if let Some(trace) = headers.get("traceparent") {
        message = message.header("traceparent", trace.as_bytes().to_vec());
    }
    // The client waits for the answer; it should not wait for long.
    let ctx = Context::timeout(Duration::from_secs(2));
    let stored = producer.send(&ctx, message).await?;
    let place = serde_json::json!({ "partition": stored.partition(), "offset": stored.offset() });
    Ok((StatusCode::CREATED, Json(place)))
}

struct Refused(Error);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let error = self.0;
        let status = match error.kind() {
            ErrorKind::MessageTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::InvalidMessage => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        let wait = error.retry_after().map_or(1, |wait| wait.as_secs() + 1).to_string();
        // `fate` says whether sending it again could store it twice.
        let reported = serde_json::json!({ "code": error.code().as_str(), "fate": error.fate().to_string() });
        (status, [(header::RETRY_AFTER, wait)], Json(reported)).into_response()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = kafka_testbed::cluster_from_env(&[("events", 3)]).await?;
    let producer = Producer::new(ProducerConfig::new(cluster.bootstrap()).topic("events"))?;
    let app = Router::new().route("/events/{key}", post(accept)).with_state(producer.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move { axum::serve(listener, app).await });

    for (key, size) in [("order-1", 20), ("order-2", 20), ("order-1", 20), ("order-3", 1_500_000)] {
        let mut client = TcpStream::connect(address).await?;
        let head = format!(
            "POST /events/{key} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
        );
        client.write_all(&[head.as_bytes(), &vec![b'x'; size]].concat()).await?;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await?;
        let (status, body) =
            (answer.lines().next().unwrap_or_default(), answer.lines().last().unwrap_or_default());
        println!("POST /events/{key} ({size} bytes): {status} {body}");
    }
    server.abort();
    producer.close(&Context::timeout(Duration::from_secs(10))).await?;
    Ok(())
}
