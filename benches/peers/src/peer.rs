//! Who is measured, and how each is started.

use std::path::Path;
use std::process::Command;

use crate::Error;
use crate::scenario::Scenario;

pub struct Peer {
    pub name: &'static str,
    pub command: Vec<String>,
    pub idempotent: bool,
    codecs: &'static [&'static str],
    many_partitions: bool,
    /// Also part of the quick run.
    quick: bool,
}

impl Peer {
    pub fn can(&self, scenario: &Scenario) -> bool {
        let codec = scenario.compression == "none" || self.codecs.contains(&scenario.compression);
        let spread = self.many_partitions || scenario.partitions == 1;
        let encrypts = ["ours, idempotent", OURS_RING, "librdkafka, callbacks"].contains(&self.name);
        let encrypts = if scenario.tls { encrypts } else { self.name != OURS_RING };
        codec && spread && encrypts && !(scenario.latency && self.name.starts_with("librdkafka, callbacks"))
    }

    /// Whether the program sends one record to each partition before it measures.
    pub fn warms_up(&self, scenario: &Scenario) -> bool {
        !(scenario.latency && self.name.starts_with("sarama"))
    }
}

/// The same as `ours`, where there is nothing to encrypt.
const OURS_RING: &str = "ours, with ring (C)";
const OURS_PLAIN: &str = "ours, not idempotent";

const ALL: &[&str] = &["gzip", "snappy", "lz4", "zstd"];
const NO_ZSTD: &[&str] = &["gzip", "snappy", "lz4"];

/// Builds what has to be built. A toolchain that is missing is said aloud, and its peers are left out.
pub fn all(libs: &Path, quick: bool, only: Option<&str>) -> Result<Vec<Peer>, Error> {
    let bin = |name: &str| -> Result<String, Error> {
        let runner = std::env::current_exe()?;
        Ok(runner.with_file_name(name).display().to_string())
    };
    run("cargo", &["build", "--release", "--bins"], ".")?;
    let mut peers = Vec::new();
    let mut add = |name: &'static str, command: Vec<String>, idempotent, codecs, many_partitions| {
        let quick = idempotent && !name.ends_with("futures") || name == "floor" || name == OURS_PLAIN;
        peers.push(Peer { name, command, idempotent, codecs, many_partitions, quick });
    };
    let ours = |engine: &str| -> Result<Vec<String>, Error> { Ok(vec![bin("ours")?, engine.into()]) };
    add("floor", vec![bin("floor")?], false, &[], false);
    add("ours, idempotent", ours("native")?, true, ALL, true);
    add(OURS_RING, ours("ring")?, true, ALL, true);
    add(OURS_PLAIN, ours("native")?, false, ALL, true);
    add("ours, PartitionClient", ours("partition-client")?, false, &["gzip", "snappy"], false);
    add("rskafka BatchProducer", vec![bin("batchproducer")?], false, ALL, true);
    add("librdkafka, callbacks", vec![bin("rdkafka")?, "threaded".into()], true, NO_ZSTD, true);
    add(
        "librdkafka, callbacks, not idempotent",
        vec![bin("rdkafka")?, "threaded".into()],
        false,
        NO_ZSTD,
        true,
    );
    add("librdkafka, futures", vec![bin("rdkafka")?, "future".into()], true, NO_ZSTD, true);
    add("librdkafka, futures, not idempotent", vec![bin("rdkafka")?, "future".into()], false, NO_ZSTD, true);
    add("krafka", vec![bin("krafka")?], true, NO_ZSTD, true);
    add("krafka, not idempotent", vec![bin("krafka")?], false, NO_ZSTD, true);
    if run("go", &["build", "-mod=mod", "-o", "target/go-peers", "."], "go").is_ok() {
        let in_go = |client: &str| vec!["go/target/go-peers".to_owned(), client.to_owned()];
        add("franz-go", in_go("franz-go"), true, ALL, true);
        add("franz-go, not idempotent", in_go("franz-go"), false, ALL, true);
        add("sarama", in_go("sarama"), true, ALL, true);
        add("sarama, not idempotent", in_go("sarama"), false, ALL, true);
    } else {
        println!("SKIPPED franz-go and sarama: Go could not build them");
    }
    let class_path = format!("{}:java/target", libs.join("*").display());
    if run(
        "javac",
        &["-cp", &libs.join("*").display().to_string(), "-d", "java/target", "java/Flood.java"],
        ".",
    )
    .is_ok()
    {
        let java = ["java", "-Xmx512m", "-cp", &class_path, "Flood"].map(str::to_owned).to_vec();
        add("Java", java.clone(), true, ALL, true);
        add("Java, not idempotent", java, false, ALL, true);
    } else {
        println!("SKIPPED the Java producer: javac could not build it");
    }
    if let Some(only) = only {
        peers.retain(|peer| only.split(',').any(|wanted| peer.name.contains(wanted)));
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
