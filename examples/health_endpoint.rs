//! Serves readiness and liveness over HTTP for a service that produces.
//!
//! Without `KAFKA_BROKERS` it uses a cluster of three brokers in this process:
//!
//! ```text
//! KAFKA_BROKERS=127.0.0.1:9092 cargo run --example health_endpoint
//! curl -i http://127.0.0.1:8080/ready     # PORT sets another port
//! curl -i http://127.0.0.1:8080/live
//! ```
//!
//! `cargo run --example health_endpoint -- --demo` stops and starts the brokers, and shows what the endpoints say.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use kafka_testbed::FakeCluster;
use rskafka_producer::{
    CircuitBreakerConfig, Context, HealthKind, HealthRegistry, HealthReport, Message, Producer,
    ProducerConfig, Registration,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Kubernetes gives a probe one second by default.
const PROBE: Duration = Duration::from_millis(900);

async fn ready(State(health): State<Arc<HealthRegistry>>) -> Response {
    let report = health.report(&Context::timeout(PROBE)).await;
    respond(&report)
}

async fn live(State(health): State<Arc<HealthRegistry>>) -> Response {
    let report = health.liveness(&Context::timeout(PROBE)).await;
    respond(&report)
}

fn respond(report: &HealthReport) -> Response {
    let status = StatusCode::from_u16(report.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, HealthReport::MEDIA_TYPE)], report.to_json()).into_response()
}

fn registry(producer: &Producer) -> rskafka_producer::Result<Arc<HealthRegistry>> {
    let health = HealthRegistry::new().service_id("orders");
    health.register(producer.clone())?;
    health.register_with(Registration::default().kind(HealthKind::Liveness), producer.liveness())?;
    Ok(Arc::new(health))
}

fn app(health: Arc<HealthRegistry>) -> Router {
    Router::new().route("/ready", get(ready)).route("/live", get(live)).with_state(health)
}

/// The service's work: a message to each partition in turn, five times a second.
async fn work(producer: Producer) {
    for n in 0u32.. {
        let message = Message::new(format!("order {n}")).partition((n % 3) as i32);
        // What becomes of it is seen in the events and in the health report.
        match producer.enqueue(&Context::background(), message).await {
            Ok(receipt) => drop(receipt),
            Err(error) => eprintln!("not accepted: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let demo = std::env::args().any(|argument| argument == "--demo");
    let mut embedded = None;
    let brokers: Vec<String> = match std::env::var("KAFKA_BROKERS") {
        Ok(list) if !demo => list.split(',').map(str::to_owned).collect(),
        _ => {
            let cluster = FakeCluster::builder().brokers(3).topic("orders", 3).start().await?;
            embedded.insert(cluster).bootstrap()
        }
    };
    // Shorter than usual, for a demonstration that one can wait for.
    let breaker =
        CircuitBreakerConfig::default().open_for(Duration::from_secs(1)).max_open_for(Duration::from_secs(1));
    let config = ProducerConfig::new(brokers).topic("orders").circuit_breaker(breaker);
    // Connects when it is first used: the service starts, and says that it is not ready, while Kafka is away.
    let producer = Producer::new(config)?;
    let health = registry(&producer)?;
    let port = match std::env::var("PORT") {
        Ok(port) => port.parse()?,
        Err(_) if demo => 0,
        Err(_) => 8080,
    };
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    println!("readiness at http://{address}/ready, liveness at http://{address}/live");
    let working = tokio::spawn(work(producer.clone()));
    let server = axum::serve(listener, app(health)).into_future();
    match (demo, embedded) {
        (true, Some(cluster)) => {
            let serving = tokio::spawn(server);
            demonstrate(&cluster, &address.to_string()).await?;
            serving.abort();
        }
        (_, embedded) => {
            tokio::select! {
                served = server => served?,
                stopped = tokio::signal::ctrl_c() => stopped?,
            }
            drop(embedded);
        }
    }
    working.abort();
    producer.close(&Context::timeout(Duration::from_secs(10))).await?;
    Ok(())
}

/// Stops and starts brokers, and waits until the endpoints say so.
async fn demonstrate(cluster: &FakeCluster, address: &str) -> Result<(), Error> {
    println!("\n--- all three brokers are up");
    expect(address, 200, "pass").await?;
    println!("\n--- one of three is stopped: degraded, and ready all the same");
    cluster.stop(2).await;
    expect(address, 200, "warn").await?;
    println!("\n--- all are stopped: not ready, but alive, so that nobody restarts it");
    cluster.stop(0).await;
    cluster.stop(1).await;
    expect(address, 503, "fail").await?;
    println!("\n--- all are started again");
    for node in 0..3 {
        cluster.start(node)?;
    }
    expect(address, 200, "pass").await
}

/// Asks as a probe does, until both the status and the word are the expected ones, and shows the answers.
async fn expect(address: &str, status: u16, word: &str) -> Result<(), Error> {
    let status = status.to_string();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let (ready, live) = (ask(address, "/ready").await?, ask(address, "/live").await?);
        if live.0 != "200" {
            return Err(format!("liveness depends on Kafka: {} {}", live.0, live.1).into());
        }
        let report: Value = serde_json::from_str(&ready.1)?;
        if ready.0 == status && report["status"] == word {
            println!("GET /ready  {status} {word}{}", describe(&report));
            println!("GET /live   {} {}", live.0, live.1);
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            return Err(format!("expected {status} {word}, got {} {}", ready.0, ready.1).into());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// What a report says of the brokers, on a few lines.
fn describe(report: &Value) -> String {
    let checks = &report["checks"];
    let why = checks["kafka-producer:responseTime"][0]["output"].as_str().unwrap_or_default();
    let breakers = checks["kafka-producer:circuitBreaker"].as_array().into_iter().flatten();
    let breakers =
        breakers.map(|b| format!("\n            {} breaker {}", b["componentId"], b["observedValue"]));
    format!("  {why}{}", breakers.collect::<String>())
}

/// Status and body of one GET.
async fn ask(address: &str, path: &str) -> Result<(String, String), Error> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned();
    Ok((status, body))
}
