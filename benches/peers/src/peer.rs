//! Who is measured, and how each is started.

use std::process::Command;

use crate::Error;
use crate::scenario::{Scenario, Way};

pub struct Peer {
    pub name: &'static str,
    pub command: Vec<String>,
    pub idempotent: bool,
    codecs: &'static [&'static str],
    shapes: Shapes,
    /// Also part of the quick run.
    quick: bool,
}

/// What a program can measure.
#[derive(Clone, Copy)]
struct Shapes {
    partitions: bool,
    threads: bool,
    bulk: bool,
    latency: bool,
    tls: bool,
}

const EVERY: Shapes = Shapes { partitions: true, threads: true, bulk: true, latency: true, tls: true };
/// One partition and one thread.
const ONE: Shapes = Shapes { partitions: false, threads: false, bulk: false, latency: true, tls: false };

impl Peer {
    pub fn can(&self, scenario: &Scenario) -> bool {
        let codec = scenario.compression == "none" || self.codecs.contains(&scenario.compression);
        let shapes = self.shapes;
        codec
            && (shapes.partitions || scenario.partitions == 1)
            && (shapes.threads || scenario.threads == 1)
            && match scenario.way {
                Way::Flood => true,
                Way::Bulk => shapes.bulk,
                Way::Latency => shapes.latency,
            }
            && if scenario.tls { shapes.tls } else { self.name != OURS_RING }
    }

    /// How many records each of its producers sends to each partition before it measures.
    pub fn warms_up(&self, scenario: &Scenario) -> usize {
        let sarama_sync = scenario.way == Way::Latency && self.name.starts_with("sarama");
        usize::from(!(self.name.starts_with("floor") || sarama_sync))
    }
}

/// The same as `ours`, where there is nothing to encrypt.
const OURS_RING: &str = "ours, with ring (C)";
const OURS_PLAIN: &str = "ours, not idempotent";

const ALL: &[&str] = &["gzip", "snappy", "lz4", "zstd"];
const NO_ZSTD: &[&str] = &["gzip", "snappy", "lz4"];

/// Builds what has to be built. A toolchain that is missing is said aloud, and its peers are left out.
pub fn all(quick: bool, only: Option<&str>) -> Result<Vec<Peer>, Error> {
    let bin = |name: &str| -> Result<String, Error> {
        let runner = std::env::current_exe()?;
        Ok(runner.with_file_name(name).display().to_string())
    };
    let profile: &[_] = if cfg!(debug_assertions) { &[] } else { &["--release"] };
    run("cargo", &[&["build", "--package", "clients"], profile].concat(), ".")?;
    let mut peers = Vec::new();
    let mut add = |name: &'static str, command: Vec<String>, idempotent, codecs, shapes| {
        let quick = idempotent && !name.ends_with("futures") || name == "floor" || name == OURS_PLAIN;
        peers.push(Peer { name, command, idempotent, codecs, shapes, quick });
    };
    let ours = |engine: &str| -> Result<Vec<String>, Error> { Ok(vec![bin("ours")?, engine.into()]) };
    add("floor", vec![bin("floor")?], false, &[], ONE);
    add("ours, idempotent", ours("native")?, true, ALL, EVERY);
    add(OURS_RING, ours("ring")?, true, ALL, EVERY);
    add(OURS_PLAIN, ours("native")?, false, ALL, EVERY);
    add("ours, PartitionClient", ours("partition-client")?, false, &["gzip", "snappy"], ONE);
    let batches = Shapes { partitions: true, ..ONE };
    add("rskafka BatchProducer", vec![bin("batchproducer")?], false, ALL, batches);
    let threaded = || -> Result<Vec<String>, Error> { Ok(vec![bin("rdkafka")?, "threaded".into()]) };
    let callbacks = Shapes { latency: false, ..EVERY };
    add("librdkafka, callbacks", threaded()?, true, NO_ZSTD, callbacks);
    add("librdkafka, callbacks, not idempotent", threaded()?, false, NO_ZSTD, callbacks);
    let future = || -> Result<Vec<String>, Error> { Ok(vec![bin("rdkafka")?, "future".into()]) };
    let futures = Shapes { partitions: true, tls: true, ..ONE };
    add("librdkafka, futures", future()?, true, NO_ZSTD, futures);
    add("librdkafka, futures, not idempotent", future()?, false, NO_ZSTD, futures);
    let no_bulk = Shapes { bulk: false, ..EVERY };
    add("krafka", vec![bin("krafka")?], true, NO_ZSTD, no_bulk);
    add("krafka, not idempotent", vec![bin("krafka")?], false, NO_ZSTD, no_bulk);
    add("partitionline", vec![bin("partitionline")?], true, NO_ZSTD, EVERY);
    add("partitionline, not idempotent", vec![bin("partitionline")?], false, NO_ZSTD, EVERY);
    if run("go", &["build", "-mod=mod", "-o", "target/go-peers", "."], "go").is_ok() {
        let in_go = |client: &str| vec!["go/target/go-peers".to_owned(), client.to_owned()];
        add("franz-go", in_go("franz-go"), true, ALL, EVERY);
        add("franz-go, not idempotent", in_go("franz-go"), false, ALL, EVERY);
        add("sarama", in_go("sarama"), true, ALL, EVERY);
        add("sarama, not idempotent", in_go("sarama"), false, ALL, EVERY);
    } else {
        println!("SKIPPED franz-go and sarama: Go could not build them");
    }
    let fetch = ["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=target/libs"];
    let compile = ["-cp", "java/target/libs/*", "-d", "java/target", "java/Flood.java"];
    if run("mvn", &fetch, "java").and_then(|()| run("javac", &compile, ".")).is_ok() {
        let class_path = "java/target/libs/*:java/target";
        let java = ["java", "-Xmx512m", "-cp", class_path, "Flood"].map(str::to_owned).to_vec();
        add("Java", java.clone(), true, ALL, no_bulk);
        add("Java, not idempotent", java, false, ALL, no_bulk);
    } else {
        println!("SKIPPED the Java producer: Maven or javac could not build it");
    }
    if let Some(only) = only {
        peers.retain(|peer| only.split(';').any(|wanted| peer.name.contains(wanted.trim())));
    }
    peers.retain(|peer| peer.quick || !quick);
    Ok(peers)
}

fn run(program: &str, args: &[&str], dir: &str) -> Result<(), Error> {
    let mut command = Command::new(program);
    // What cargo set for this runner would have some crates built anew each time.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO_") && name != "CARGO_HOME") {
        command.env_remove(name);
    }
    let status = command.args(args).current_dir(dir).status()?;
    if status.success() { Ok(()) } else { Err(format!("{program} {}: {status}", args.join(" ")).into()) }
}
