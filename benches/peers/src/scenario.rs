//! What is measured.

use std::fmt;

#[derive(Clone, Debug)]
pub struct Scenario {
    pub way: Way,
    pub tls: bool,
    pub size: usize,
    pub partitions: usize,
    pub topics: usize,
    pub compression: &'static str,
    pub threads: usize,
    pub producers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As fast as it goes.
    Flood,
    /// The same, through the call for many records.
    Bulk,
    /// One at a time.
    Latency,
}

/// Records that are sent one at a time.
pub const LATENCIES: usize = 1_000;

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size =
            if self.size >= 1_000 { format!("{} kB", self.size / 1_000) } else { format!("{} B", self.size) };
        if self.way == Way::Latency {
            return write!(f, "one at a time, {size}");
        }
        write!(f, "{size}, {} partition{}", self.partitions, if self.partitions == 1 { "" } else { "s" })?;
        if self.topics > 1 {
            write!(f, " of {} topics", self.topics)?;
        }
        match (self.threads, self.producers) {
            (1, _) => {}
            (threads, 1) => write!(f, ", {threads} threads")?,
            (_, producers) => write!(f, ", {producers} producers")?,
        }
        if self.way == Way::Bulk {
            write!(f, ", bulk")?;
        }
        if self.compression != "none" {
            write!(f, ", {}", self.compression)?;
        }
        if self.tls {
            write!(f, ", TLS 1.3")?;
        }
        Ok(())
    }
}

/// That whose name is `row`, or those whose names have it; without it all, or the main ones.
pub fn all(quick: bool, row: Option<&str>) -> Vec<Scenario> {
    let flood = |size, partitions, topics| Scenario {
        way: Way::Flood,
        tls: false,
        size,
        partitions,
        topics,
        compression: "none",
        threads: 1,
        producers: 1,
    };
    let one = |size| flood(size, 1, 1);
    let latency = |size| Scenario { way: Way::Latency, ..one(size) };
    let bulk = |size| Scenario { way: Way::Bulk, ..one(size) };
    let encrypted = |size| Scenario { tls: true, ..one(size) };
    let threads = |producers| Scenario { threads: 4, producers, ..flood(100, 12, 1) };
    let mut all = vec![
        one(100),
        flood(100, 12, 1),
        flood(100, 1_000, 100),
        one(1_000),
        one(10_000),
        bulk(100),
        bulk(1_000),
        threads(1),
        threads(4),
        latency(100),
        latency(10_000),
        encrypted(100),
        encrypted(1_000),
    ];
    if !quick || row.is_some() {
        all.extend([bulk(10_000), encrypted(10_000)]);
        for compression in ["gzip", "snappy", "lz4", "zstd"] {
            all.extend([100, 1_000, 10_000].map(|size| Scenario { compression, ..one(size) }));
        }
        for size in [1_000, 10_000] {
            all.extend([flood(size, 12, 1), flood(size, 1_000, 100)]);
        }
    }
    if let Some(row) = row {
        let exact = all.iter().any(|scenario| scenario.to_string() == row);
        all.retain(|scenario| match exact {
            true => scenario.to_string() == row,
            false => scenario.to_string().contains(row),
        });
    }
    all
}
