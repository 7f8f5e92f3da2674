//! Values as text: read in the spelling of our names or of Kafka's, printed in ours.

use std::time::Duration;

use crate::compression::Compression;
use crate::config::{Acks, DnsLookup, EngineKind, Idempotence, SaslMechanism, brokers};
use crate::partitioner::Partitioning;
use crate::resilience::OpenCircuit;

/// Whose name a value was given under. Kafka's names carry their unit, ours do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    Ours,
    Kafka,
}

/// How values of one kind are read and printed. What `print` says, `read` takes in our spelling.
pub(crate) struct Codec<T: 'static> {
    pub(super) unit: &'static str,
    pub(super) read: fn(&str, Spelling) -> Result<T, String>,
    pub(super) print: fn(&T) -> String,
}

impl<T> Codec<T> {
    pub(crate) fn read(&self, text: &str) -> Result<T, String> {
        (self.read)(text, Spelling::Ours)
    }
}

pub(super) const TEXT: Codec<String> =
    Codec { unit: "text", read: |text, _| Ok(text.to_owned()), print: Clone::clone };

pub(super) const OPTIONAL_TEXT: Codec<Option<String>> = Codec {
    unit: "text",
    read: |text, _| Ok((!text.is_empty()).then(|| text.to_owned())),
    print: |text| text.clone().unwrap_or_default(),
};

pub(super) const LIST: Codec<Vec<String>> = Codec {
    unit: "list, by commas",
    read: |text, _| Ok(brokers::split(text).collect()),
    print: |list| list.join(","),
};

pub(super) const SWITCH: Codec<bool> = Codec {
    unit: "`true`, `false`",
    read: |text, _| choice(text, &[("true", true), ("false", false)]),
    print: bool::to_string,
};

pub(super) const TIME: Codec<Duration> = Codec {
    unit: "time",
    read: |text, spelling| match spelling {
        Spelling::Kafka => millis(text),
        Spelling::Ours => humantime::parse_duration(text)
            .map_err(|_| "expected a time with its unit, such as 250ms, 5s or 2min".to_owned()),
    },
    print: |time| humantime::format_duration(*time).to_string(),
};

/// librdkafka takes parts of a millisecond.
fn millis(text: &str) -> Result<Duration, String> {
    let whole = text.parse().ok().map(Duration::from_millis);
    let part = || Duration::try_from_secs_f64(text.parse::<f64>().ok()? / 1_000.0).ok();
    whole.or_else(part).ok_or_else(|| "expected a number of milliseconds, not negative".to_owned())
}

/// Kafka writes "never" as a number that is not positive; the longest time that it can express is 24 days.
pub(super) const IDLE: Codec<Duration> = Codec {
    unit: "time, `unlimited` (Kafka: -1)",
    read: |text, spelling| match spelling {
        Spelling::Kafka if text == "-1" || text == "0" => Ok(NEVER),
        Spelling::Ours if text.eq_ignore_ascii_case(UNLIMITED) => Ok(NEVER),
        _ => (TIME.read)(text, spelling),
    },
    print: |time| match *time == NEVER {
        true => UNLIMITED.to_owned(),
        false => (TIME.print)(time),
    },
};

const NEVER: Duration = Duration::from_millis(i32::MAX as u64);

/// Suffixes of sizes; `M` or `kB` alone are left out, since they may mean 1000 or 1024.
const SIZES: [(&str, usize); 6] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

pub(super) const BYTES: Codec<usize> = Codec {
    unit: "bytes",
    read: |text, _| {
        let suffix = SIZES.iter().find_map(|(suffix, scale)| Some((text.strip_suffix(suffix)?, *scale)));
        let (digits, scale) = suffix.unwrap_or((text, 1));
        let number = digits.trim_end().parse::<usize>().ok();
        number
            .and_then(|number| number.checked_mul(scale))
            .ok_or_else(|| "expected a number of bytes, such as 1048576, 32MiB or 1MB".to_owned())
    },
    print: |bytes| {
        let binary = SIZES[..3].iter().rev().find(|(_, scale)| *bytes > 0 && bytes % scale == 0);
        binary.map_or_else(|| bytes.to_string(), |(suffix, scale)| format!("{}{suffix}", bytes / scale))
    },
};

/// Java takes -1 for the system's, and librdkafka 0.
pub(super) const SOCKET_BUFFER: Codec<Option<usize>> = Codec {
    unit: "bytes, `system` (Kafka: `-1`)",
    read: |text, spelling| match (spelling, text) {
        (Spelling::Ours, "system") | (Spelling::Kafka, "-1" | "0") => Ok(None),
        _ => (BYTES.read)(text, spelling).map(Some),
    },
    print: |bytes| bytes.as_ref().map_or_else(|| "system".to_owned(), BYTES.print),
};

pub(super) const COUNT: Codec<usize> =
    Codec { unit: "count", read: |text, _| number(text), print: usize::to_string };

pub(super) const SMALL_COUNT: Codec<u32> =
    Codec { unit: "count", read: |text, _| number(text), print: u32::to_string };

/// Java writes -1 for "the default of the codec".
pub(super) const LEVEL: Codec<u32> = Codec {
    unit: "count",
    read: |text, _| if text == "-1" { Ok(1) } else { number(text) },
    print: u32::to_string,
};

pub(super) const PART: Codec<f64> =
    Codec { unit: "part of 1", read: |text, _| real(text), print: f64::to_string };

pub(super) const RATE: Codec<Option<f64>> = Codec {
    unit: "per second, `unlimited`",
    read: |text, _| match text.eq_ignore_ascii_case(UNLIMITED) {
        true => Ok(None),
        false => real(text).map(Some),
    },
    print: |rate| rate.map_or_else(|| UNLIMITED.to_owned(), |rate| rate.to_string()),
};

const UNLIMITED: &str = "unlimited";

/// Kafka counts the attempts after the first, and writes "without end" as the largest number.
pub(super) const ATTEMPTS: Codec<Option<u32>> = Codec {
    unit: "count, `unlimited` (Kafka: one less)",
    read: |text, spelling| match spelling {
        Spelling::Ours if text.eq_ignore_ascii_case(UNLIMITED) => Ok(None),
        Spelling::Ours => number(text).map(Some),
        Spelling::Kafka => match number::<u32>(text)? {
            retries if retries > i32::MAX as u32 => Err("expected at most 2147483647".into()),
            retries if retries == i32::MAX as u32 => Ok(None),
            retries => Ok(Some(retries + 1)),
        },
    },
    print: |attempts| attempts.map_or_else(|| UNLIMITED.to_owned(), |attempts| attempts.to_string()),
};

pub(crate) const ACKS: Codec<Acks> = Codec {
    unit: "`all`, `leader` (Kafka: `-1`, `1`)",
    read: |text, _| match text {
        "0" => Err(
            "without responses nobody knows whether a message was stored: use all, or 1 for the leader alone"
                .into(),
        ),
        _ => choice(
            text,
            &[("all", Acks::All), ("-1", Acks::All), ("leader", Acks::Leader), ("1", Acks::Leader)],
        ),
    },
    print: |acks| match acks {
        Acks::All => "all".into(),
        Acks::Leader => "leader".into(),
    },
};

pub(crate) const IDEMPOTENCE: Codec<Idempotence> = Codec {
    unit: "`true`, `false`, `where_possible`",
    read: |text, _| {
        let choices = [
            ("true", Idempotence::On),
            ("false", Idempotence::Off),
            ("where_possible", Idempotence::WherePossible),
        ];
        choice(text, &choices)
    },
    print: |idempotence| match idempotence {
        Idempotence::On => "true".into(),
        Idempotence::Off => "false".into(),
        Idempotence::WherePossible => "where_possible".into(),
    },
};

pub(crate) const DNS_LOOKUP: Codec<DnsLookup> = Codec {
    unit: "`use_all_dns_ips`, `resolve_canonical_bootstrap_servers_only`",
    read: |text, _| choice(text, &DNS_LOOKUPS),
    print: |lookup| DNS_LOOKUPS.iter().find(|(_, known)| known == lookup).map_or("", |(name, _)| name).into(),
};

const DNS_LOOKUPS: [(&str, DnsLookup); 2] = [
    ("use_all_dns_ips", DnsLookup::UseAllDnsIps),
    ("resolve_canonical_bootstrap_servers_only", DnsLookup::ResolveCanonicalBootstrapServersOnly),
];

pub(crate) const ENGINE: Codec<EngineKind> = Codec {
    unit: "`native`, `partition_client`",
    read: |text, _| match text {
        "native" => Ok(EngineKind::Native),
        #[cfg(feature = "partition-client")]
        "partition_client" => Ok(EngineKind::PartitionClient),
        #[cfg(not(feature = "partition-client"))]
        "partition_client" => Err("needs the feature partition-client of rskafka-producer".into()),
        _ => Err("expected one of native, partition_client".into()),
    },
    print: |engine| match engine {
        EngineKind::Native => "native".into(),
        #[cfg(feature = "partition-client")]
        EngineKind::PartitionClient => "partition_client".into(),
    },
};

pub(crate) const COMPRESSION: Codec<Compression> = Codec {
    unit: "`none`, `gzip`, `snappy`, `lz4`, `zstd`",
    read: |text, _| choice(text, &Compression::ALL.map(|codec| (codec.as_str(), codec))),
    print: Compression::to_string,
};

/// Java checks no name where the algorithm is empty, and librdkafka where it is `none`.
pub(super) const VERIFY_HOSTNAME: Codec<bool> = Codec {
    unit: SWITCH.unit,
    read: |text, spelling| match spelling {
        Spelling::Ours => (SWITCH.read)(text, spelling),
        Spelling::Kafka => match text {
            "" => Ok(false),
            _ => choice(text, &[("https", true), ("none", false)]),
        },
    },
    print: bool::to_string,
};

pub(crate) const WHEN_OPEN: Codec<OpenCircuit> = Codec {
    unit: "`wait`, `fail_fast`",
    read: |text, _| choice(text, &[("wait", OpenCircuit::Wait), ("fail_fast", OpenCircuit::FailFast)]),
    print: |when_open| match when_open {
        OpenCircuit::Wait => "wait".into(),
        OpenCircuit::FailFast => "fail_fast".into(),
    },
};

pub(crate) const MECHANISM: Codec<SaslMechanism> = Codec {
    unit: "`PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512`",
    read: |text, _| match text {
        "GSSAPI" => Err("Kerberos is not supported: use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512".into()),
        "AWS_MSK_IAM" => {
            Err("MSK takes the same signed token by OAUTHBEARER: use SaslConfig::msk_iam".into())
        }
        _ => {
            use SaslMechanism as M;
            choice(text, &[M::Plain, M::ScramSha256, M::ScramSha512, M::OauthBearer].map(|m| (m.as_str(), m)))
        }
    },
    print: SaslMechanism::to_string,
};

pub(crate) const PARTITIONING: Codec<Partitioning> = Codec {
    unit: "`murmur2`, `fnv1a`, `fnv1a_reference`, `crc32`, `round_robin`",
    read: |text, spelling| match spelling {
        Spelling::Ours => choice(text, &PARTITIONINGS),
        Spelling::Kafka => partitioner(text),
    },
    print: |rule| match rule {
        Partitioning::Murmur2 => "murmur2".into(),
        Partitioning::Fnv1a => "fnv1a".into(),
        Partitioning::Fnv1aReference => "fnv1a_reference".into(),
        Partitioning::Crc32 => "crc32".into(),
        Partitioning::RoundRobin => "round_robin".into(),
        Partitioning::Custom(_) => "(custom)".into(),
    },
};

const PARTITIONINGS: [(&str, Partitioning); 5] = [
    ("murmur2", Partitioning::Murmur2),
    ("fnv1a", Partitioning::Fnv1a),
    ("fnv1a_reference", Partitioning::Fnv1aReference),
    ("crc32", Partitioning::Crc32),
    ("round_robin", Partitioning::RoundRobin),
];

/// A class of the Java client, or a rule of librdkafka's.
fn partitioner(text: &str) -> Result<Partitioning, String> {
    let class = text.strip_prefix("org.apache.kafka.clients.producer.").unwrap_or(text);
    match class {
        "" | "murmur2_random" | "internals.DefaultPartitioner" => Ok(Partitioning::Murmur2),
        "consistent_random" => Ok(Partitioning::Crc32),
        "fnv1a_random" => Ok(Partitioning::Fnv1a),
        "RoundRobinPartitioner" => Ok(Partitioning::RoundRobin),
        "murmur2" | "consistent" | "fnv1a" => Err(format!(
            "that sends all messages without a key to one partition: use {class}_random, the same rule for those with one"
        )),
        "random" | "UniformStickyPartitioner" => {
            Err("a rule that ignores keys is not built in: write it as Partitioning::custom".into())
        }
        _ => Err(
            "expected murmur2_random (Java's default), consistent_random (librdkafka's), fnv1a_random or \
                  org.apache.kafka.clients.producer.RoundRobinPartitioner; a class of your own is written as \
                  Partitioning::custom"
                .into(),
        ),
    }
}

pub(super) fn choice<T: Clone>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    match choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        Some((_, value)) => Ok(value.clone()),
        None => {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            Err(format!("expected one of {}", names.join(", ")))
        }
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "expected a whole number, not negative".into())
}

fn real(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| "expected a number".into())
}
