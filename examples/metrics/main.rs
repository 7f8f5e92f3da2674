//! Serves the producer's metrics to Prometheus. `dashboard.json` beside this file shows them in Grafana: Dashboards → New →
//! Import.
//!
//! Without `KAFKA_BROKERS` it uses a cluster in this process:
//!
//! ```text
//! # Serve until Ctrl-C; PORT sets another port than 9464
//! KAFKA_BROKERS=127.0.0.1:9092 cargo run --example metrics --features metrics
//! curl http://127.0.0.1:9464/metrics
//!
//! # Send a little, print what a scrape returns, and end
//! cargo run --example metrics --features metrics -- --demo
//! ```

mod buckets;

use std::future::IntoFuture;
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use rskafka_producer::{Context, Message, Producer, ProducerConfig};
use tokio::net::TcpListener;
use tokio::time::{interval, sleep};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Prometheus's text format.
const MEDIA_TYPE: &str = "text/plain; version=0.0.4";

fn app(metrics: PrometheusHandle) -> Router {
    let scrape = get(async move || ([(header::CONTENT_TYPE, MEDIA_TYPE)], metrics.render()));
    Router::new().route("/metrics", scrape)
}

/// The service's work: twenty messages a second.
async fn work(producer: Producer) {
    let mut ticks = interval(Duration::from_millis(50));
    for n in 0u64.. {
        ticks.tick().await;
        match producer.enqueue(&Context::background(), Message::new(format!("order {n}"))).await {
            // The metrics count what becomes of it.
            Ok(receipt) => drop(receipt),
            Err(error) => eprintln!("not accepted: {error}"),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let demo = std::env::args().any(|argument| argument == "--demo");
    // Before the first producer: what is counted without a recorder is lost.
    let metrics = buckets::set(PrometheusBuilder::new())?.install_recorder()?;
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        // Histograms keep what was observed since the last time. A scrape does the same, where scrapes are frequent.
        let mut ticks = interval(Duration::from_secs(5));
        loop {
            ticks.tick().await;
            upkeep.run_upkeep();
        }
    });

    let cluster = kafka_testbed::cluster_from_env(&[("orders", 3)]).await?;
    let config = ProducerConfig::new(cluster.bootstrap()).topic("orders").client_id("orders");
    let producer = Producer::new(config)?;
    let working = tokio::spawn(work(producer.clone()));
    if demo {
        sleep(Duration::from_secs(1)).await;
        println!("{}", metrics.render());
    } else {
        let port = std::env::var("PORT").map_or(Ok(9464), |port| port.parse())?;
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        println!("metrics at http://{}/metrics", listener.local_addr()?);
        tokio::select! {
            served = axum::serve(listener, app(metrics)).into_future() => served?,
            stopped = tokio::signal::ctrl_c() => stopped?,
        }
    }
    working.abort();
    producer.close(&Context::timeout(Duration::from_secs(10))).await?;
    Ok(())
}
