//! What happens when brokers take less than is sent: `enqueue` waits for room, `try_enqueue` says no and gives the
//! message back, and memory stays within `buffer.max_bytes`.
//!
//! ```text
//! cargo run --example backpressure
//! ```

use std::time::{Duration, Instant};

use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{BatchConfig, BufferConfig, Context, ErrorKind, Message, Producer, ProducerConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A broker that takes 20 ms for each request.
    let cluster = FakeCluster::with_topic("clicks", 1).await?;
    cluster.inject(Rule::on(Api::Produce).always(), Fault::Delay(Duration::from_millis(20)));

    let config = ProducerConfig::new(cluster.bootstrap())
        .topic("clicks")
        .batch(BatchConfig::default().max_bytes(16_000))
        .buffer(BufferConfig::default().max_bytes(200_000).max_wait(Duration::from_millis(50)));
    let producer = Producer::connect(&Context::timeout(Duration::from_secs(10)), config).await?;
    let click = || Message::new(vec![b'x'; 1_000]);

    // Shed: for what may be lost, such as metrics. Never waits.
    let (mut taken, mut shed) = (Vec::new(), 0);
    for _ in 0..500 {
        match producer.try_enqueue(click()) {
            Ok(receipt) => taken.push(receipt),
            Err(error) if error.kind() == ErrorKind::BufferFull => shed += 1,
            Err(error) => return Err(error.into()),
        }
    }
    println!(
        "try_enqueue: {} accepted, {shed} shed, {} bytes held",
        taken.len(),
        producer.stats().buffer_bytes
    );

    // Wait: for what must arrive. The producer sets the pace, within `buffer.max_wait` and the context.
    let (started, mut longest, mut most) = (Instant::now(), Duration::ZERO, 0);
    for _ in 0..500 {
        let before = Instant::now();
        taken.push(producer.enqueue(&Context::timeout(Duration::from_secs(5)), click()).await?);
        longest = longest.max(before.elapsed());
        most = most.max(producer.stats().buffer_bytes);
    }
    println!(
        "enqueue:     500 accepted in {:?}, longest wait {longest:?}, most held {most}",
        started.elapsed()
    );

    // Too slow: 300 ms for each request, while `buffer.max_wait` is 50 ms.
    cluster.heal();
    cluster.inject(Rule::on(Api::Produce).always(), Fault::Delay(Duration::from_millis(300)));
    let full = loop {
        match producer.enqueue(&Context::background(), click()).await {
            Ok(receipt) => taken.push(receipt),
            Err(error) => break error,
        }
    };
    println!("too slow:    {full} ({})", full.fate());

    cluster.heal();
    producer.close(&Context::timeout(Duration::from_secs(10))).await?;
    println!("and then:    {} accepted, {} stored", taken.len(), producer.stats().records_acked);
    Ok(())
}
