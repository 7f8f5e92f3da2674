//! Keeps a cluster running, to try clients against: one in memory, or with `--real` an Apache Kafka.
//!
//! ```text
//! cargo run --example dev_broker -- --port 9092 --topic events:3
//! kcat -P -b 127.0.0.1:9092 -t events
//! ```
//!
//! Both listen on the loopback only, and nothing is kept. In memory, requested topics are created; a real one
//! needs Java 17 and Maven, and chooses its port.

use kafka_testbed::{FakeCluster, JvmCluster};

type Error = Box<dyn std::error::Error>;

const USAGE: &str =
    "usage: dev_broker [--real] [--port PORT] [--brokers N] [--topic NAME:PARTITIONS]... [--print]";

#[tokio::main]
async fn main() -> Result<(), Error> {
    let (mut real, mut print, mut port, mut brokers, mut topics) = (false, false, 9092, 1, Vec::new());
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let mut value = || args.next().ok_or(USAGE);
        match flag.as_str() {
            "--real" => real = true,
            "--print" => print = true,
            "--port" => port = value()?.parse()?,
            "--brokers" => brokers = value()?.parse()?,
            "--topic" => {
                let topic = value()?;
                let (name, partitions) = topic.split_once(':').unwrap_or((&topic, "1"));
                topics.push((name.to_owned(), partitions.parse()?));
            }
            "--help" | "-h" => {
                println!("{USAGE}");
                return Ok(());
            }
            _ => {
                eprintln!("{flag} is unknown; {USAGE}");
                std::process::exit(2);
            }
        }
    }
    if real {
        let cluster = JvmCluster::builder().nodes(brokers).full_jit().heap_mb(512).start().await?;
        for (name, partitions) in topics {
            cluster.create_topic(&name, partitions, &[]).await?;
        }
        return until_interrupted(&cluster.bootstrap()).await;
    }
    let builder = FakeCluster::builder().brokers(brokers).port(port).auto_create(3);
    let builder = topics.into_iter().fold(builder, |builder, (name, n)| builder.topic(name, n));
    let cluster = builder.start().await?;
    let bootstrap = cluster.bootstrap();
    tokio::select! {
        () = watch(&cluster), if print => Ok(()),
        ended = until_interrupted(&bootstrap) => ended,
    }
}

async fn until_interrupted(bootstrap: &[String]) -> Result<(), Error> {
    println!("listening on {} (loopback only; end with Ctrl-C)", bootstrap.join(","));
    // A real broker's files are removed on the way out, also where a script ends this by `kill`.
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            ended = tokio::signal::ctrl_c() => ended?,
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await?;
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
