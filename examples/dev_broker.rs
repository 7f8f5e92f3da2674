//! Keeps an in-memory cluster running, to try clients against.
//!
//! ```text
//! cargo run --example dev_broker -- --port 9092 --topic events:3
//! kcat -P -b 127.0.0.1:9092 -t events
//! ```
//!
//! It is a test double: one process, loopback only, nothing is kept. Topics that are asked for are created.

use kafka_testbed::FakeCluster;

const USAGE: &str = "usage: dev_broker [--port PORT] [--brokers N] [--topic NAME:PARTITIONS]... [--print]";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = FakeCluster::builder().port(9092).auto_create(3);
    let mut print = false;
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let mut value = || args.next().ok_or(USAGE);
        builder = match flag.as_str() {
            "--port" => builder.port(value()?.parse()?),
            "--brokers" => builder.brokers(value()?.parse()?),
            "--topic" => {
                let topic = value()?;
                let (name, partitions) = topic.split_once(':').unwrap_or((&topic, "1"));
                builder.topic(name, partitions.parse()?)
            }
            "--print" => {
                print = true;
                builder
            }
            _ => return Err(USAGE.into()),
        };
    }
    let cluster = builder.start().await?;
    println!("listening on {} (in memory, loopback only; end with Ctrl-C)", cluster.bootstrap().join(","));
    tokio::select! {
        () = watch(&cluster), if print => {}
        ended = tokio::signal::ctrl_c() => ended?,
    }
    Ok(())
}

/// Prints each record as it is stored.
async fn watch(cluster: &FakeCluster) {
    let mut printed = std::collections::HashMap::new();
    loop {
        let requests = cluster.requests(kafka_testbed::Api::Produce);
        for topic in cluster.topics() {
            for record in cluster.all_records(&topic) {
                let next = printed.entry((topic.clone(), record.partition)).or_insert(0);
                if record.offset >= *next {
                    *next = record.offset + 1;
                    let text = |bytes: &Option<bytes::Bytes>| {
                        bytes.as_deref().map_or("null".into(), |b| String::from_utf8_lossy(b).into_owned())
                    };
                    let place = format!("{topic}/{} @ {}", record.partition, record.offset);
                    println!("{place}: {} = {}", text(&record.key), text(&record.value));
                }
            }
        }
        cluster.wait_until(|cluster| cluster.requests(kafka_testbed::Api::Produce) > requests).await;
    }
}
