//! What is measured.

use std::fmt;

#[derive(Clone, Debug)]
pub struct Scenario {
    pub latency: bool,
    pub tls: bool,
    pub records: usize,
    pub size: usize,
    pub partitions: usize,
    pub topics: usize,
    pub compression: &'static str,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size =
            if self.size >= 1_000 { format!("{} kB", self.size / 1_000) } else { format!("{} B", self.size) };
        if self.latency {
            return write!(f, "one at a time, {size}");
        }
        write!(f, "{size}, {} partition{}", self.partitions, if self.partitions == 1 { "" } else { "s" })?;
        if self.topics > 1 {
            write!(f, " of {} topics", self.topics)?;
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

pub fn all(quick: bool) -> Vec<Scenario> {
    let flood = |records: usize, size, partitions, topics, compression| Scenario {
        latency: false,
        tls: false,
        records,
        size,
        partitions,
        topics,
        compression,
    };
    let latency = |size| Scenario { latency: true, ..flood(1_000, size, 1, 1, "none") };
    let encrypted = |records, size| Scenario { tls: true, ..flood(records, size, 1, 1, "none") };
    let mut all = vec![
        flood(1_000_000, 100, 1, 1, "none"),
        flood(1_000_000, 100, 12, 1, "none"),
        flood(300_000, 100, 1_000, 100, "none"),
        flood(200_000, 1_000, 1, 1, "none"),
        flood(20_000, 10_000, 1, 1, "none"),
        latency(100),
        latency(10_000),
        encrypted(1_000_000, 100),
        encrypted(200_000, 1_000),
    ];
    if !quick {
        for codec in ["gzip", "snappy", "lz4", "zstd"] {
            all.push(flood(500_000, 100, 1, 1, codec));
            all.push(flood(100_000, 1_000, 1, 1, codec));
            all.push(flood(10_000, 10_000, 1, 1, codec));
        }
        for (size, records) in [(1_000, 200_000), (10_000, 20_000)] {
            all.push(flood(records, size, 12, 1, "none"));
            all.push(flood(records, size, 1_000, 100, "none"));
        }
    }
    all
}
