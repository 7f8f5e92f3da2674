//! Shaped as a function of AWS Lambda: one producer for all invocations of an instance, a deadline from the
//! invocation, and nothing left to do when the handler returns, as the instance is frozen then.
//!
//! ```text
//! cargo run --example lambda_handler
//! echo paid | KAFKA_BROKERS=host:9092 cargo run --example lambda_handler -- -   # an invocation for each line
//! ```
//!
//! With the crate `lambda_runtime` the loop in `main` is `lambda_runtime::run(service_fn(handler)).await`.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rskafka_producer::{Context, Error, Message, Producer, ProducerConfig};

/// What the platform says about an invocation.
struct Invocation {
    deadline: Instant,
}

struct Event {
    records: Vec<(String, String)>,
}

static PRODUCER: OnceLock<Producer> = OnceLock::new();

/// Made while the instance starts. It does no I/O: it connects when it is first used, and replaces connections that
/// did not survive a freeze before it uses them.
fn init(brokers: Vec<String>) -> Result<(), Error> {
    let config = ProducerConfig::new(brokers).topic("orders").serverless();
    let producer = Producer::new(config)?;
    PRODUCER.get_or_init(|| producer);
    Ok(())
}

/// Returns only when every record is stored, or its fate is known.
async fn handler(event: Event, invocation: &Invocation) -> Result<usize, Error> {
    let producer = PRODUCER.get().expect("`init` comes first");
    // Ends before the platform does, so that there is time to answer.
    let ctx = Context::background().with_deadline(invocation.deadline - Duration::from_millis(200));
    let mut receipts = Vec::with_capacity(event.records.len());
    for (key, value) in event.records {
        receipts.push(producer.enqueue(&ctx, Message::new(value).key(key)).await?);
    }
    producer.flush(&ctx).await?;
    // Each is settled by now; an error makes the platform repeat the event.
    let stored = receipts.len();
    for receipt in receipts {
        receipt.await?;
    }
    Ok(stored)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = kafka_testbed::cluster_from_env(&[("orders", 3)]).await?;
    init(cluster.bootstrap())?;
    if std::env::args().nth(1).as_deref() == Some("-") {
        for event in std::io::stdin().lines() {
            let invocation = Invocation { deadline: Instant::now() + Duration::from_secs(10) };
            let event = Event { records: vec![("order".into(), event?)] };
            println!("{} stored", handler(event, &invocation).await?);
        }
        return Ok(());
    }
    for n in 0..5 {
        let records = (0..100).map(|r| (format!("order-{r}"), format!("invocation {n}"))).collect();
        let started = Instant::now();
        let invocation = Invocation { deadline: started + Duration::from_secs(3) };
        let stored = handler(Event { records }, &invocation).await?;
        println!(
            "invocation {n}: {stored} stored in {:?}{}",
            started.elapsed(),
            if n == 0 { " (cold)" } else { "" }
        );
        if let (2, Some(fake)) = (n, cluster.fake()) {
            (0..3).for_each(|node| fake.cut_connections(node));
            println!("              frozen; every connection is lost meanwhile");
        }
    }
    Ok(())
}
