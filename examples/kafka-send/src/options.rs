//! What can be said on the command line.

use std::path::PathBuf;

use clap::{ArgAction, Parser};
use clap_complete::Shell;

/// Sends lines or JSON records from standard input or files to Kafka, and accounts for each.
///
/// Settings come from KAFKA_… variables (KAFKA_BOOTSTRAP_SERVERS, KAFKA_SASL_PASSWORD_FILE, …), from -F FILE, and from options: the
/// latter replace the former. A login is complete either in the variables or in FILE and options. Keep passwords out of the
/// latter: others can see a command line.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP)]
pub(crate) struct Options {
    /// Brokers to start from, separated by commas; the port is 9092 unless given.
    #[arg(short, long, value_name = "HOST[:PORT],…")]
    pub(crate) brokers: Option<String>,
    /// Topic; a JSON record may name another.
    #[arg(short, long)]
    pub(crate) topic: Option<String>,
    /// Partition, instead of the one that the key chooses; -1 is the latter.
    #[arg(short, long, allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(-1..))]
    pub(crate) partition: Option<i32>,
    /// Key of records that have none.
    #[arg(short, long)]
    pub(crate) key: Option<String>,
    /// Header of each record; NAME alone is a header without a value. May be given several times.
    #[arg(short = 'H', long = "header", value_name = "NAME[=VALUE]", value_parser = header)]
    pub(crate) headers: Vec<(String, Option<String>)>,
    /// What ends a record. \n, \t, \0 and \xHH are understood.
    #[arg(short = 'D', long, default_value = "\\n", value_parser = unescape)]
    pub(crate) delimiter: Bytes,
    /// What separates key and value of a line. Without it a line is a value.
    #[arg(short = 'K', long, value_parser = unescape)]
    pub(crate) key_separator: Option<Bytes>,
    /// Sends an empty key or value as null; a null value is a tombstone.
    #[arg(short = 'Z', long)]
    pub(crate) null_empty: bool,
    /// Sends an empty line as an empty record. Without it empty lines are skipped.
    #[arg(long)]
    pub(crate) empty_lines: bool,
    /// Sends each file as one record, as kcat does without -l.
    #[arg(long, conflicts_with_all = ["json", "skip", "resume_from"])]
    pub(crate) whole_files: bool,
    /// Records are JSON objects, one a line, in the form below or as `kcat -C -J` prints them; blank lines are skipped.
    #[arg(short = 'J', long, conflicts_with_all = ["key_separator", "delimiter"])]
    pub(crate) json: bool,
    /// none, gzip, snappy, lz4 or zstd (compression.type).
    #[arg(short = 'z', long, value_name = "CODEC")]
    pub(crate) compression: Option<String>,
    /// all or 1 (acks).
    #[arg(long)]
    pub(crate) acks: Option<String>,
    /// Longest time that a record waits for others while requests are in flight (linger.ms).
    #[arg(long, value_name = "MS")]
    pub(crate) linger: Option<String>,
    /// Largest batch (batch.size).
    #[arg(long, value_name = "BYTES")]
    pub(crate) batch: Option<String>,
    /// Most that may wait for acknowledgement (buffer.memory).
    #[arg(long, value_name = "BYTES")]
    pub(crate) buffer: Option<String>,
    /// Reads settings from a file of NAME=VALUE lines, by Kafka's or librdkafka's names.
    #[arg(short = 'F', long = "config", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Sets a property by Kafka's or librdkafka's name; may be given several times. `list` lists all, `dump` prints
    /// those in force.
    #[arg(short = 'X', long = "property", value_name = "NAME=VALUE|list|dump", value_parser = property)]
    pub(crate) properties: Vec<Property>,
    /// Time to wait for a first broker.
    #[arg(short = 'm', long = "connect-timeout", value_name = "SECONDS")]
    pub(crate) connect_timeout: Option<u64>,
    /// Ends after this number of records.
    #[arg(short = 'c', long, value_name = "RECORDS")]
    pub(crate) count: Option<u64>,
    /// Skips so many records of the input.
    #[arg(long, value_name = "RECORDS", default_value_t = 0)]
    pub(crate) skip: u64,
    /// Skips so many bytes of the input.
    #[arg(long, value_name = "BYTES", default_value_t = 0, conflicts_with = "skip")]
    pub(crate) resume_from: u64,
    /// Appends each failed record to this file as JSON, with its fate, and goes on. Without it, the first failure
    /// ends the sending.
    #[arg(long, value_name = "FILE")]
    pub(crate) failed: Option<PathBuf>,
    /// Goes on when a record fails.
    #[arg(short = 'E', long)]
    pub(crate) keep_going: bool,
    /// Time that accepted records have to be stored after SIGINT or SIGTERM.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) close_timeout: u64,
    /// Copies each record that is sent to standard output, with its delimiter.
    #[arg(short = 'T', long)]
    pub(crate) tee: bool,
    /// Shows progress even if standard error is not a terminal.
    #[arg(short = 'v', long = "progress", action = ArgAction::Count)]
    pub(crate) progress: u8,
    /// Says what records wait for, while none is stored: a leader, an answer, a connection, a throttle, …
    #[arg(long)]
    pub(crate) explain: bool,
    /// Prints failed records and the result of a failed run, and nothing else.
    #[arg(short, long, conflicts_with = "progress")]
    pub(crate) quiet: bool,
    /// Prints the library's events. Any list that kcat takes is accepted; all show the same.
    #[arg(short = 'd', long = "debug", value_name = "LIST")]
    pub(crate) debug: Option<String>,
    /// Prints completions for a shell, to be sourced.
    #[arg(long, value_name = "SHELL")]
    pub(crate) completions: Option<Shell>,
    /// Prints a man page, for `man -l -`.
    #[arg(long)]
    pub(crate) man: bool,
    /// Accepted for kcat's sake: this program always produces.
    #[arg(short = 'P', hide_short_help = true)]
    _produce: bool,
    /// Accepted for kcat's sake: files are read line by line.
    #[arg(short = 'l', hide_short_help = true, conflicts_with = "whole_files")]
    _lines: bool,
    /// Where records are read from, one after the other; none or - is standard input.
    pub(crate) files: Vec<PathBuf>,
}

/// What -X takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Property {
    Set(String, String),
    List,
    Dump,
}

const AFTER_HELP: &str = "\
JSON records:
  {\"value\": \"paid\", \"key\": \"order-42\", \"headers\": [[\"trace\", \"a1\"]], \"partition\": 0, \"timestamp\": 1700000000000, \\
\"topic\": \"orders\"}
  Every field may be missing. A missing or null value is a tombstone; a value that is not a string is sent as it is
  written. headers may also be an object. With \"encoding\": \"base64\" key, value and header values are base64.
  Of what kcat prints, key, payload, headers and the creation time are sent, and its topic only without -t.
  For values that are JSON, one a line, leave -J out.

Exit codes:
  0  every record is stored
  1  a setting is impossible, and nothing was sent
  2  some records are not stored; standard error says which, and where to resume";

impl Options {
    /// Every setting by Kafka's name; a later one replaces an earlier one.
    pub(crate) fn properties(&self) -> Vec<(String, String)> {
        let brokers = self.brokers.as_deref().map(with_ports);
        let named = [
            ("bootstrap.servers", &brokers),
            ("compression.type", &self.compression),
            ("acks", &self.acks),
            ("linger.ms", &self.linger),
            ("batch.size", &self.batch),
            ("buffer.memory", &self.buffer),
        ];
        let given = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
        let set = self.properties.iter().filter_map(|property| match property {
            Property::Set(name, value) => Some((name.clone(), value.clone())),
            Property::List | Property::Dump => None,
        });
        given.chain(set).collect()
    }

    /// The partition of records that name none.
    pub(crate) fn partition(&self) -> Option<i32> {
        self.partition.filter(|partition| *partition >= 0)
    }
}

/// As kcat has it: 9092 where no port is given.
fn with_ports(brokers: &str) -> String {
    let with_port = |broker: &str| match broker.rsplit_once(':') {
        Some((_, port)) if !port.ends_with(']') => broker.to_owned(),
        _ if broker.trim().is_empty() => broker.to_owned(),
        _ => format!("{broker}:9092"),
    };
    brokers.split(',').map(with_port).collect::<Vec<_>>().join(",")
}

/// Bytes of an option. A `Vec<u8>` would be an option that may be given several times.
pub(crate) type Bytes = Box<[u8]>;

fn header(text: &str) -> Result<(String, Option<String>), std::convert::Infallible> {
    Ok(match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (text.to_owned(), None),
    })
}

fn property(text: &str) -> Result<Property, String> {
    match (text, text.split_once('=')) {
        ("list", _) => Ok(Property::List),
        ("dump", _) => Ok(Property::Dump),
        (_, None) => Err("expected NAME=VALUE, list or dump".into()),
        // librdkafka's settings of topics.
        (_, Some((name, value))) => {
            Ok(Property::Set(name.strip_prefix("topic.").unwrap_or(name).to_owned(), value.to_owned()))
        }
    }
}

fn unescape(text: &str) -> Result<Bytes, String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, used) = match (first, after) {
            (b'\\', [b'n', ..]) => (b'\n', 2),
            (b'\\', [b't', ..]) => (b'\t', 2),
            (b'\\', [b'r', ..]) => (b'\r', 2),
            (b'\\', [b'0', ..]) => (0, 2),
            (b'\\', [b'\\', ..]) => (b'\\', 2),
            (b'\\', [b'x', high, low, ..]) => {
                let digit = |digit: &u8| char::from(*digit).to_digit(16).ok_or("expected \\xHH");
                ((digit(high)? * 16 + digit(low)?) as u8, 4)
            }
            (b'\\', _) => return Err("expected \\n, \\t, \\r, \\0, \\\\ or \\xHH after a backslash".into()),
            _ => (*first, 1),
        };
        bytes.push(byte);
        rest = &rest[used..];
    }
    if bytes.is_empty() {
        return Err("expected at least one byte".into());
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn escapes_are_the_bytes_that_they_name() {
        for (text, bytes) in [("\\n", &b"\n"[..]), ("\\0", b"\0"), ("::", b"::"), ("\\x1fa", b"\x1fa")] {
            assert_eq!(&*unescape(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "\\", "\\q", "\\x1", "\\xzz"] {
            assert!(unescape(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_property_given_by_name_comes_after_the_option_for_it() {
        let options =
            Options::try_parse_from(["kafka-send", "-b", "h:1", "-z", "lz4", "-X", "compression.type=gzip"]);
        let names: Vec<_> =
            options.unwrap().properties().into_iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(names, ["bootstrap.servers=h:1", "compression.type=lz4", "compression.type=gzip"]);
    }

    #[test]
    fn brokers_without_a_port_listen_at_9092_as_for_kcat() {
        for (given, meant) in [
            ("a", "a:9092"),
            ("a:1,b", "a:1,b:9092"),
            ("[::1],[::1]:2", "[::1]:9092,[::1]:2"),
            ("a:1,", "a:1,"),
        ] {
            assert_eq!(with_ports(given), meant);
        }
    }

    #[test]
    fn the_options_are_consistent() {
        <Options as clap::CommandFactory>::command().debug_assert();
    }
}
