//! Runs every peer on one real broker, three times each with the order turned, and writes the table and the chart.
//!
//! ```text
//! cd benches/peers && cargo run --release            # everything, about forty minutes
//! cargo run --release -- --quick                     # the main scenarios and peers, about eight minutes
//! cargo run --release -- --only ours,franz-go
//! ```

mod chart;
mod peer;
mod scenario;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use kafka_testbed::{JvmCluster, Listener};
use peer::Peer;
use scenario::Scenario;
use serde_json::Value;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// What one program may take for one scenario.
const LIMIT: Duration = Duration::from_secs(180);

/// A program's figures, one of each for every repetition.
type Figures = BTreeMap<String, Vec<f64>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let quick = args.iter().any(|arg| arg == "--quick");
    let only = args.iter().position(|arg| arg == "--only").and_then(|at| args.get(at + 1)).cloned();
    let repetitions = 3;
    let cluster = JvmCluster::builder()
        .secured()
        .full_jit()
        .heap_mb(1_024)
        .config("message.max.bytes", "2000000")
        // Topics serve a whole scenario: old records make room.
        .config("log.retention.bytes", "300000000")
        .config("log.segment.bytes", "104857600")
        .config("log.retention.check.interval.ms", "5000")
        .config("log.segment.delete.delay.ms", "1000")
        .start()
        .await?;
    let peers = peer::all(&cluster.libs(), quick, only.as_deref())?;
    let scenarios = scenario::all(quick);
    let total = scenarios.len() * peers.len() * repetitions;
    let (started, mut done) = (Instant::now(), 0);
    let mut results: Vec<(Scenario, BTreeMap<&'static str, Figures>)> = Vec::new();
    for (number, scenario) in scenarios.into_iter().enumerate() {
        let mut figures: BTreeMap<&'static str, Figures> = BTreeMap::new();
        let log = Log::create(&cluster, format!("s{number}"), &scenario).await?;
        for repetition in 0..repetitions {
            for turn in 0..peers.len() {
                let peer = &peers[(turn + repetition) % peers.len()];
                done += 1;
                if !peer.can(&scenario) {
                    continue;
                }
                let result = run(&log, peer, &scenario).await;
                let left = started.elapsed().as_secs_f64() / done as f64 * (total - done) as f64;
                match result {
                    Ok(found) => {
                        println!(
                            "[{done}/{total}, {left:.0} s left] {scenario}: {} {}",
                            peer.name,
                            shown(&found)
                        );
                        let figures = figures.entry(peer.name).or_default();
                        for (name, value) in found {
                            figures.entry(name).or_default().push(value);
                        }
                    }
                    Err(error) => println!("[{done}/{total}] {scenario}: {} FAILED: {error}", peer.name),
                }
            }
        }
        log.delete().await?;
        results.push((scenario, figures));
        // After each scenario: a run that is broken off keeps what it has.
        write(&results)?;
    }
    print!("\n{}", chart::table(&results, &machine()));
    println!("written: src/docs/peers.md, src/docs/peers.svg");
    Ok(())
}

fn write(results: &[(Scenario, BTreeMap<&'static str, Figures>)]) -> Result<(), Error> {
    let table = chart::table(results, &machine());
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/../../src/docs/peers.md"), &table)?;
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/../../src/docs/peers.svg"), chart::svg(results))?;
    Ok(())
}

/// The topics of one scenario, that all programs write to.
struct Log<'a> {
    cluster: &'a JvmCluster,
    prefix: String,
    topics: Vec<String>,
}

impl<'a> Log<'a> {
    async fn create(cluster: &'a JvmCluster, prefix: String, scenario: &Scenario) -> Result<Self, Error> {
        let topics: Vec<_> = (0..scenario.topics).map(|n| format!("{prefix}-{n}")).collect();
        for topic in &topics {
            cluster.create_topic(topic, (scenario.partitions / scenario.topics) as i32, &[]).await?;
        }
        let log = Self { cluster, prefix, topics };
        // Leaders of new partitions take a moment.
        let ready = async {
            while log.stored().await.is_err() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(LIMIT, ready).await.map_err(|_| "new topics have no leaders")?;
        Ok(log)
    }

    /// Records that were ever stored.
    async fn stored(&self) -> Result<i64, Error> {
        let mut stored = 0;
        for topic in &self.topics {
            stored += self.cluster.high_watermarks(topic).await?.iter().sum::<i64>();
        }
        Ok(stored)
    }

    async fn delete(&self) -> Result<(), Error> {
        for topic in &self.topics {
            self.cluster.delete_topic(topic).await?;
        }
        Ok(())
    }
}

/// One program, one scenario. What was acknowledged must be in the log, once.
async fn run(log: &Log<'_>, peer: &Peer, scenario: &Scenario) -> Result<BTreeMap<String, f64>, Error> {
    let before = log.stored().await?;
    let mut command = tokio::process::Command::new(&peer.command[0]);
    command.args(&peer.command[1..]).arg(if scenario.latency { "latency" } else { "flood" });
    let bootstrap =
        if scenario.tls { log.cluster.bootstrap_at(Listener::Ssl) } else { log.cluster.bootstrap() };
    if scenario.tls {
        command.env("PEERS_CA", log.cluster.certificates_dir().join("ca.pem"));
    }
    command.args([&bootstrap[0], &log.prefix]);
    command
        .args([scenario.records, scenario.size, scenario.partitions, scenario.topics].map(|n| n.to_string()));
    command.args([scenario.compression, if peer.idempotent { "true" } else { "false" }]);
    let output =
        tokio::time::timeout(LIMIT, command.stderr(Stdio::piped()).kill_on_drop(true).output()).await;
    let output = output.map_err(|_| format!("no result within {LIMIT:?}"))??;
    let line = String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned();
    let found: Value = serde_json::from_str(&line).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        said.lines()
            .find(|line| line.contains("panic") || line.contains("rror"))
            .unwrap_or("no result")
            .to_owned()
    })?;
    let mut figures: BTreeMap<String, f64> =
        found.as_object().into_iter().flatten().filter_map(|(k, v)| Some((k.clone(), v.as_f64()?))).collect();
    let stored = log.stored().await? - before;
    let warm_up = if peer.warms_up(scenario) { scenario.partitions as i64 } else { 0 };
    if !peer.name.starts_with("floor") {
        figures.insert("extra".into(), (stored - warm_up - scenario.records as i64) as f64);
    }
    Ok(figures)
}

fn shown(figures: &BTreeMap<String, f64>) -> String {
    let get = |name: &str| figures.get(name).copied();
    let mut text = match (get("records_per_s"), get("cpu_us"), get("rss_mb")) {
        (Some(rate), Some(cpu), Some(rss)) => format!("{rate:.0}/s, {cpu:.3} µs CPU, {rss:.0} MB"),
        _ => {
            format!("p50 {:.0} µs, p99 {:.0} µs", get("p50_us").unwrap_or(0.0), get("p99_us").unwrap_or(0.0))
        }
    };
    if get("failed").unwrap_or(0.0) > 0.0 || get("extra").unwrap_or(0.0) != 0.0 {
        text += &format!(
            " (failed {:.0}, stored too many {:.0})",
            get("failed").unwrap_or(0.0),
            get("extra").unwrap_or(0.0)
        );
    }
    text
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kb: f64 = memory.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or_default();
    format!("{cores} cores of {}, {:.0} GiB", model.trim_start_matches([' ', '\t', ':']), kb / 1048576.0)
}
