//! Runs every peer on one real broker, several times each with the order turned. See README.md.

mod chart;
mod log;
mod options;
mod peer;
mod scenario;
mod store;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use kafka_testbed::{JvmCluster, Listener};
use log::Log;
use options::Options;
use peer::Peer;
use scenario::{LATENCIES, Scenario, Way};
use serde_json::Value;
use store::{Figures, Store};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// What one program may take for one scenario.
const LIMIT: Duration = Duration::from_secs(180);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let options = Options::parse(std::env::args().skip(1))?;
    let scenarios = scenario::all(options.quick, options.row.as_deref());
    if options.list {
        scenarios.iter().for_each(|scenario| println!("{scenario}"));
        return Ok(());
    }
    let peers = peer::all(options.quick, options.only.as_deref())?;
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
    let started = Instant::now();
    let (mut store, mut problems) = (Store::load(), Vec::new());
    for (number, scenario) in scenarios.iter().enumerate() {
        let able: Vec<_> = peers.iter().filter(|peer| peer.can(scenario)).collect();
        let mut figures: BTreeMap<String, Figures> = BTreeMap::new();
        let log = match Log::create(&cluster, format!("s{number}"), scenario).await {
            Ok(log) => log,
            Err(error) => {
                problems.push(format!("{scenario}: no topics: {error}"));
                continue;
            }
        };
        for turn in 0..options.repetitions * able.len() {
            if options.budget.is_some_and(|budget| started.elapsed() > budget) {
                println!("the time is over: {scenario} is not complete");
                break;
            }
            // The order turns from one repetition to the next.
            let peer = able[(turn + turn / able.len()) % able.len()];
            match run(&log, peer, scenario, &options).await {
                Ok(found) => {
                    println!("{scenario}: {} {}", peer.name, shown(&found));
                    let figures = figures.entry(peer.name.to_owned()).or_default();
                    for (name, value) in found {
                        figures.entry(name).or_default().push(value);
                    }
                }
                Err(error) => {
                    println!("{scenario}: {} FAILED: {error}", peer.name);
                    problems.push(format!("{scenario}: {}: {error}", peer.name));
                }
            }
        }
        log.delete().await?;
        // After each scenario: a run that is broken off keeps what it has.
        store.put(scenario, figures);
        store.save()?;
    }
    let table = chart::table(&store, &machine());
    print!("\n{table}");
    if options.publish && problems.is_empty() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/../../src/docs/peers.md"), &table)?;
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/../../src/docs/peers.svg"), chart::svg(&store))?;
        println!("written: src/docs/peers.md, src/docs/peers.svg");
        // The front page shows the chart.
        let update = std::process::Command::new("cargo")
            .args(["test", "--lib", "the_front_page"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .env("UPDATE_GUIDES", "1")
            .status()?;
        if !update.success() {
            problems.push("src/docs/readme_links.md was not updated".to_owned());
        }
    }
    match problems.len() {
        0 => Ok(()),
        n => Err(format!("{n} runs failed:\n{}", problems.join("\n")).into()),
    }
}

/// One program, one scenario. What was acknowledged must be in the log, once, in each partition.
async fn run(
    log: &Log<'_>,
    peer: &Peer,
    scenario: &Scenario,
    options: &Options,
) -> Result<BTreeMap<String, f64>, Error> {
    let before = log.ends().await?;
    let mut command = tokio::process::Command::new(&peer.command[0]);
    command.args(&peer.command[1..]).arg(match scenario.way {
        Way::Flood => "flood",
        Way::Bulk => "bulk",
        Way::Latency => "latency",
    });
    let bootstrap =
        if scenario.tls { log.cluster.bootstrap_at(Listener::Ssl) } else { log.cluster.bootstrap() };
    if scenario.tls {
        command.env("PEERS_CA", log.cluster.certificates_dir().join("ca.pem"));
    }
    command.args([&bootstrap[0], &log.prefix]);
    command.args([LATENCIES, scenario.size, scenario.partitions, scenario.topics].map(|n| n.to_string()));
    command.args([scenario.compression, if peer.idempotent { "true" } else { "false" }]);
    command.args([options.seconds.to_string(), scenario.threads.to_string(), scenario.producers.to_string()]);
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
    if let Some(failed) = figures.get("failed").filter(|failed| **failed > 0.0) {
        return Err(format!("{failed} records failed").into());
    }
    let counts: Vec<i64> =
        found["counts"].as_array().ok_or("no counts")?.iter().filter_map(Value::as_i64).collect();
    let warm_up = peer.warms_up(scenario) * scenario.producers;
    log::compare(&before, &log.ends().await?, &counts, warm_up as i64)?;
    if scenario.compression != "none"
        && let Some(bytes) = log.bytes_per_record(before[0])?
    {
        figures.insert("ratio".to_owned(), scenario.size as f64 / bytes);
    }
    Ok(figures)
}

fn shown(figures: &BTreeMap<String, f64>) -> String {
    let get = |name: &str| figures.get(name).copied().unwrap_or(f64::NAN);
    match figures.contains_key("cpu_us") {
        true => format!(
            "{:.0}/s, {:.3} µs CPU, {:.0} MB, {:.1} s{}",
            get("records_per_s"),
            get("cpu_us"),
            get("rss_mb"),
            get("seconds"),
            figures.get("ratio").map_or(String::new(), |ratio| format!(", ratio {ratio:.2}")),
        ),
        false => format!("p50 {:.0} µs, p99 {:.0} µs", get("p50_us"), get("p99_us")),
    }
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kb: f64 = memory.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or_default();
    format!("{cores} cores of {}, {:.0} GiB", model.trim_start_matches([' ', '\t', ':']), kb / 1048576.0)
}
