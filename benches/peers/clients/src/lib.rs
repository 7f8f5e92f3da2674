//! What every peer program shares: its arguments, its messages, its clock, its report.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;

/// `PROGRAM MODE BOOTSTRAP TOPIC RECORDS SIZE PARTITIONS TOPICS COMPRESSION IDEMPOTENT SECONDS THREADS PRODUCERS`
///
/// MODE is `flood` (as fast as it goes for SECONDS, every delivery's result looked at), `bulk` (the same through the call for
/// many records, [`Args::bulk_size`] at a time, one call after the other) or `latency` (RECORDS, one at a time). The
/// partitions are spread evenly over topics called TOPIC-0, TOPIC-1, …; record number n of each thread goes to partition n
/// modulo PARTITIONS. THREADS share PRODUCERS, which is 1 or as many. Each producer sends one record to each partition
/// before the clock starts.
#[derive(Clone, Debug)]
pub struct Args {
    pub latency: bool,
    pub bulk: bool,
    pub bootstrap: String,
    pub topics: Vec<String>,
    pub records: usize,
    pub size: usize,
    pub partitions: usize,
    pub compression: String,
    pub idempotent: bool,
    pub seconds: f64,
    pub threads: usize,
    pub producers: usize,
    /// The authority to trust, where the connection is to be encrypted: `PEERS_CA` in the environment.
    pub ca: Option<String>,
}

impl Args {
    /// From the command line; `skip` words belong to the program itself.
    pub fn parse(skip: usize) -> Self {
        let args: Vec<String> = std::env::args().skip(1 + skip).collect();
        let number = |at: usize| args[at].parse::<usize>().expect("a number");
        Self {
            latency: args[0] == "latency",
            bulk: args[0] == "bulk",
            bootstrap: args[1].clone(),
            topics: (0..number(6)).map(|n| format!("{}-{n}", args[2])).collect(),
            records: number(3),
            size: number(4),
            partitions: number(5),
            compression: args[7].clone(),
            idempotent: args[8] == "true",
            seconds: args[9].parse().expect("seconds"),
            threads: number(10),
            producers: number(11),
            ca: std::env::var("PEERS_CA").ok(),
        }
    }

    /// Topic number and partition of record `n`.
    pub fn place(&self, n: usize) -> (usize, i32) {
        let (per_topic, turn) = (self.partitions / self.topics.len(), n % self.partitions);
        (turn / per_topic, (turn % per_topic) as i32)
    }

    /// Records in one call: a megabyte, at most ten thousand.
    pub fn bulk_size(&self) -> usize {
        (1_000_000 / self.size).min(10_000)
    }

    /// For each thread the producer that it uses.
    pub fn share<P: Clone>(&self, producers: &[P]) -> Vec<P> {
        (0..self.threads).map(|thread| producers[thread % producers.len()].clone()).collect()
    }

    /// Floods from every thread, each with the producer that it uses, in tasks where there are several.
    pub async fn floods<C, F>(&self, clients: &[C], flood: impl Fn(C) -> F) -> Vec<Sent>
    where
        C: Clone,
        F: Future<Output = Sent> + Send + 'static,
    {
        if self.threads == 1 {
            return vec![flood(clients[0].clone()).await];
        }
        let threads: Vec<_> =
            self.share(clients).into_iter().map(|client| tokio::spawn(flood(client))).collect();
        join_all(threads).await.into_iter().map(|sent| sent.expect("no panic")).collect()
    }

    /// Sends the records one at a time, each by `send`, and prints the line that the runner reads.
    pub async fn one_at_a_time(&self, mut send: impl AsyncFnMut(usize)) {
        let mut times = Vec::with_capacity(self.records);
        for n in 0..self.records {
            let started = Instant::now();
            send(n).await;
            times.push(started.elapsed());
        }
        latency(times);
    }

    /// A runtime with so many threads.
    pub fn runtime(&self) -> tokio::runtime::Runtime {
        let mut builder = match self.threads {
            1 => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        builder.worker_threads(self.threads).enable_all().build().expect("a runtime")
    }

    /// JSON values of this size: 64, or with a codec so many that none comes again within 8 MB, which a codec with a large
    /// window would find, and real messages hardly do. A power of two.
    pub fn payloads(&self) -> Payloads {
        let count = match self.compression.as_str() {
            "none" => 64,
            _ => (8_000_000 / self.size as u64).next_power_of_two().max(64),
        };
        let value = |n: u64| {
            let mut seed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut text = String::from("{");
            while text.len() < self.size {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                text += &format!(r#""id":{seed},"event":"page_view","country":"DE","ok":true,"#);
            }
            text.truncate(self.size);
            Bytes::from(text)
        };
        Payloads((0..count).map(value).collect())
    }
}

/// Values that records take in turn.
#[derive(Clone)]
pub struct Payloads(Arc<[Bytes]>);

impl Payloads {
    /// The value of record `n`.
    pub fn of(&self, n: usize) -> &Bytes {
        &self.0[n & (self.0.len() - 1)]
    }
}

/// Records in flight that a program keeps receipts of before it looks at the oldest.
pub const WINDOW: usize = 100_000;

/// User and system time of this process, in seconds.
pub fn cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The largest resident size of this process, in MB.
pub fn peak_rss() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    let kb: f64 = line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or_default();
    kb / 1024.0
}

/// Until when a flood goes on.
#[derive(Clone, Copy)]
pub struct Pace(Instant);

impl Pace {
    /// Whether record `n` is still sent; the clock is looked at now and then.
    pub fn goes_on(&self, n: usize) -> bool {
        !n.is_multiple_of(1_024) || Instant::now() < self.0
    }

    pub fn is_over(&self) -> bool {
        Instant::now() >= self.0
    }
}

/// What a thread sent, and how much of that failed.
#[derive(Clone, Copy, Default)]
pub struct Sent {
    pub records: usize,
    pub failed: usize,
}

/// Measures from its making to its report.
pub struct Meter {
    started: Instant,
    cpu: f64,
}

impl Default for Meter {
    fn default() -> Self {
        Self { started: Instant::now(), cpu: cpu() }
    }
}

impl Meter {
    pub fn pace(&self, args: &Args) -> Pace {
        Pace(self.started + Duration::from_secs_f64(args.seconds))
    }

    /// The line that the runner reads, of each thread.
    pub fn flood(&self, sent: &[Sent]) {
        let seconds = self.started.elapsed().as_secs_f64();
        let records: usize = sent.iter().map(|thread| thread.records).sum();
        let counts: Vec<_> = sent.iter().map(|thread| thread.records).collect();
        println!(
            "{}",
            serde_json::json!({
                "records_per_s": records as f64 / seconds, "cpu_us": (cpu() - self.cpu) * 1e6 / records as f64,
                "rss_mb": peak_rss(), "failed": sent.iter().map(|thread| thread.failed).sum::<usize>(),
                "seconds": seconds, "counts": counts,
            })
        );
    }
}

/// The line that the runner reads, of sends one at a time.
fn latency(mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e6;
    println!(
        "{}",
        serde_json::json!({ "p50_us": at(0.5), "p99_us": at(0.99), "failed": 0, "counts": [times.len()] })
    );
}
