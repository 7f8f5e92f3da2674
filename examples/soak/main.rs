//! Random faults on a real cluster of three nodes for some minutes, with a verdict at the end.
//!
//! ```text
//! cargo run --release --example soak -- --minutes 10 --seed 7
//! ```
//!
//! The same seed draws the same faults in the same order. Needs Java 17 and Maven.

#[allow(dead_code, reason = "shared with the tests")]
mod ledger;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kafka_testbed::JvmCluster;
use ledger::Ledger;
use rskafka_producer::{Context, Producer, ProducerConfig, TimeoutConfig};

type Error = Box<dyn std::error::Error + Send + Sync>;

const TOPIC: &str = "soak";
const PARTITIONS: i32 = 6;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let (mut minutes, mut seed) = (2.0, std::process::id().into());
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let value = args.next().ok_or("usage: soak [--minutes M] [--seed S]")?;
        match flag.as_str() {
            "--minutes" => minutes = value.parse()?,
            "--seed" => seed = value.parse()?,
            _ => return Err("usage: soak [--minutes M] [--seed S]".into()),
        }
    }
    println!("seed {seed}, {minutes} minutes; starting a real cluster of three nodes");
    let mut cluster = JvmCluster::builder().nodes(3).proxied().start().await?;
    cluster.create_topic(TOPIC, PARTITIONS, &[]).await?;

    let timeouts = TimeoutConfig::default().request(Duration::from_secs(5)).delivery(Duration::from_secs(30));
    let config = ProducerConfig::new(cluster.proxied_bootstrap()).timeouts(timeouts);
    let producer = Producer::connect(&Context::timeout(Duration::from_secs(30)), config).await?;
    let (ledger, stop) = (Ledger::new(TOPIC), AtomicBool::new(false));
    let feed = async {
        let feeds = (0..PARTITIONS).map(|partition| {
            let stop = &stop;
            ledger.feed(&producer, partition, Duration::from_millis(1), |_| stop.load(Ordering::Relaxed))
        });
        futures_util::future::join_all(feeds).await;
    };
    let trouble = async {
        let until = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
        let mut random = fastrand::Rng::with_seed(seed);
        while Instant::now() < until {
            let what = disturb(&mut cluster, &mut random).await?;
            let (acked, failed, since) = ledger.progress();
            println!("{what:<44} acked {acked:>9}  failed {failed:>6}  last ack {since:>6.1?} ago");
        }
        stop.store(true, Ordering::Relaxed);
        Ok::<_, Error>(())
    };
    let ((), troubled) = tokio::join!(feed, trouble);
    troubled?;
    let stats = producer.stats();
    producer.close(&Context::timeout(Duration::from_secs(60))).await?;
    let verdict = ledger.verify(&cluster.read_fast(TOPIC).await?);
    println!("\nseed {seed}: {verdict:#?}\n{stats:#?}");
    if verdict.is_clean() {
        println!("nothing lost, nothing twice, order kept");
        return Ok(());
    }
    Err(format!("a promise was broken; seed {seed}").into())
}

/// One fault, and the time that it lasts.
async fn disturb(cluster: &mut JvmCluster, random: &mut fastrand::Rng) -> Result<String, Error> {
    let node = random.i32(1..=3);
    let time = Duration::from_millis(random.u64(200..4_000));
    let partition = random.i32(0..PARTITIONS);
    let what = match random.u8(..9) {
        0 => {
            cluster.kill(node)?;
            tokio::time::sleep(time).await;
            cluster.restart(node).await?;
            format!("killed node {node}, back after {time:?}")
        }
        1 => {
            cluster.freeze(node)?;
            tokio::time::sleep(time).await;
            cluster.thaw(node)?;
            format!("froze node {node} for {time:?}")
        }
        2 => {
            cluster.terminate(node).await?;
            cluster.restart(node).await?;
            format!("restarted node {node}")
        }
        3 => {
            // May be refused while the cluster is not whole; then that is not a fault, and nothing is lost by it.
            let moved = cluster.move_leader(TOPIC, partition, node).await;
            format!(
                "moved partition {partition} to node {node}: {}",
                if moved.is_ok() { "done" } else { "refused" }
            )
        }
        4 => {
            cluster.proxy(node).set_black_hole(true);
            tokio::time::sleep(time).await;
            cluster.proxy(node).set_black_hole(false);
            cluster.proxy(node).cut_now();
            format!("black-holed node {node} for {time:?}")
        }
        5 => {
            cluster.proxy(node).refuse();
            tokio::time::sleep(time).await;
            cluster.proxy(node).accept_again()?;
            format!("refused connections to node {node} for {time:?}")
        }
        6 => {
            let bytes = random.u64(1..400);
            cluster.proxy(node).set_cut_after(Some(bytes));
            tokio::time::sleep(time).await;
            cluster.proxy(node).set_cut_after(None);
            format!("cut node {node} every {bytes} bytes for {time:?}")
        }
        7 => {
            cluster.proxy(node).set_latency(time / 20);
            tokio::time::sleep(time).await;
            cluster.proxy(node).set_latency(Duration::ZERO);
            format!("delayed node {node} by {:?}", time / 20)
        }
        _ => {
            for id in cluster.node_ids() {
                cluster.proxy(id).cut_now();
            }
            "cut every connection".to_owned()
        }
    };
    tokio::time::sleep(Duration::from_millis(random.u64(500..3_000))).await;
    Ok(what)
}
