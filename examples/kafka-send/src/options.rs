//! What can be said on the command line.

use std::path::PathBuf;

use clap::Parser;

/// Sends lines or JSON records from standard input or files to Kafka, and tells what became of each.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP)]
pub(crate) struct Options {
    /// Brokers to start from, separated by commas.
    #[arg(short, long, env = "KAFKA_BOOTSTRAP_SERVERS", value_name = "HOST:PORT,…")]
    pub(crate) brokers: Option<String>,
    /// Topic; a JSON record may name another.
    #[arg(short, long, env = "KAFKA_TOPIC")]
    pub(crate) topic: Option<String>,
    /// Partition, instead of the one that the key chooses.
    #[arg(short, long)]
    pub(crate) partition: Option<i32>,
    /// Key of records that have none.
    #[arg(short, long)]
    pub(crate) key: Option<String>,
    /// Header of each record; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) headers: Vec<(String, String)>,
    /// What ends a record. \n, \t, \0 and \xHH are understood.
    #[arg(short = 'D', long, default_value = "\\n", value_parser = unescape)]
    pub(crate) delimiter: Bytes,
    /// What parts key and value of a line. Without it a line is a value.
    #[arg(short = 'K', long, value_parser = unescape)]
    pub(crate) key_separator: Option<Bytes>,
    /// Sends an empty value as null, a tombstone.
    #[arg(short = 'Z', long)]
    pub(crate) null_empty: bool,
    /// Records are JSON objects, one a line; blank lines are skipped. (Without it an empty line is an empty record.)
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
    /// Sets a property by Kafka's name; may be given several times.
    #[arg(short = 'X', long = "property", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) properties: Vec<(String, String)>,
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
    /// Time that what was accepted has to be stored after SIGINT or SIGTERM.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) close_timeout: u64,
    /// Shows progress even where standard error is no terminal.
    #[arg(long)]
    pub(crate) progress: bool,
    /// Where records are read from, one after the other; none or - is standard input.
    pub(crate) files: Vec<PathBuf>,
}

const AFTER_HELP: &str = "\
JSON records:
  {\"value\": \"paid\", \"key\": \"order-42\", \"headers\": [[\"trace\", \"a1\"]], \"partition\": 0, \"timestamp\": 1700000000000, \
\"topic\": \"orders\"}
  Every field may be missing. A missing or null value is a tombstone; a value that is no string is sent as it is
  written. headers may also be an object. With \"encoding\": \"base64\" key, value and header values are base64.

Exit codes:
  0  every record is stored
  1  a setting is impossible, and nothing was sent
  2  some records are not stored; standard error tells which, and from where to resume";

impl Options {
    /// Every setting by Kafka's name; a later one replaces an earlier one.
    pub(crate) fn properties(&self) -> Vec<(String, String)> {
        let named = [
            ("bootstrap.servers", &self.brokers),
            ("compression.type", &self.compression),
            ("acks", &self.acks),
            ("linger.ms", &self.linger),
            ("batch.size", &self.batch),
            ("buffer.memory", &self.buffer),
        ];
        let given = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
        given.chain(self.properties.iter().cloned()).collect()
    }
}

/// Bytes of an option. A `Vec<u8>` would be an option that may be given several times.
pub(crate) type Bytes = Box<[u8]>;

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
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
    fn the_options_are_consistent() {
        <Options as clap::CommandFactory>::command().debug_assert();
    }
}
