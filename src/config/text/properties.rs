//! Settings by Kafka's names, from pairs or from a `.properties` file's text.

use std::collections::BTreeMap;

use super::Reader;
use crate::config::ProducerConfig;
use crate::error::{Error, ErrorKind, Result};

impl ProducerConfig {
    /// Creates a configuration from settings under Kafka's names, librdkafka's or ours, which
    /// [`docs::configuration`](crate::docs::configuration) lists.
    ///
    /// A value under Kafka's name has the unit of that name (`linger.ms` is a whole number of milliseconds), under ours
    /// it brings it (`batch.linger` is `20ms`). A repeated key replaces the earlier one, as in Java. Settings that have no
    /// effect on this producer, such as `key.serializer`, are reported in the event `config.ignored` when a producer is
    /// created.
    ///
    /// ```
    /// use rskafka_producer::ProducerConfig;
    ///
    /// let config = ProducerConfig::from_properties([
    ///     ("bootstrap.servers", "kafka-1:9092,kafka-2:9092"),
    ///     ("linger.ms", "20"),
    ///     ("compression.type", "lz4"),
    /// ])?
    /// .topic("events");
    ///
    /// let error = ProducerConfig::from_properties([("linger.sm", "20"), ("acks", "0")]).unwrap_err();
    /// assert!(error.to_string().contains("did you mean linger.ms"));
    /// assert!(error.to_string().contains("acks=\"0\""));
    /// # Ok::<_, rskafka_producer::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `KAFKA_INVALID_CONFIG` with one sentence for **each** unknown key, with the names it was probably meant to be,
    /// and for each value that cannot be read. Nothing is clamped, and no secret is shown. Whether the settings are
    /// consistent is checked by
    /// [`validate`](Self::validate), which [`Producer::new`](crate::Producer::new) calls.
    pub fn from_properties<K, V>(properties: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        Self::default().with_properties(properties)
    }

    /// Applies these settings to this configuration; all others stay.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::{BatchConfig, ProducerConfig};
    ///
    /// let ours = ProducerConfig::default().batch(BatchConfig::default().linger(Duration::from_millis(20)));
    /// let config = ours.with_properties([("bootstrap.servers", "kafka:9092")])?;
    /// assert_eq!(config.batch.linger, Duration::from_millis(20));
    /// # Ok::<_, rskafka_producer::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`from_properties`](Self::from_properties).
    pub fn with_properties<K, V>(self, properties: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        let mut last = BTreeMap::new();
        for (key, value) in properties {
            last.insert(key.as_ref().to_owned(), zeroize::Zeroizing::new(value.as_ref().to_owned()));
        }
        let mut reader = Reader::new(self);
        for (key, value) in &last {
            reader.set(key, key, value);
        }
        reader.finish()
    }

    /// Creates a configuration from the text of a `.properties` file: Java's syntax, with comments, `=`, `:` or space
    /// between key and value, continued lines and escapes. Lines such as `[default]`, an INI file's sections, are skipped.
    ///
    /// ```
    /// # use rskafka_producer::ProducerConfig;
    /// let config = ProducerConfig::from_properties_text(r"
    ///     ## the cluster
    ///     bootstrap.servers = kafka-1:9092, \
    ///                         kafka-2:9092
    ///     linger.ms: 20
    /// ")?;
    /// assert_eq!(config.brokers, ["kafka-1:9092", "kafka-2:9092"]);
    /// # Ok::<_, rskafka_producer::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`from_properties`](Self::from_properties), and for a malformed `\uXXXX`.
    pub fn from_properties_text(text: &str) -> Result<Self> {
        Self::default().with_properties_text(text)
    }

    /// Applies the text of a `.properties` file to this configuration; all other settings stay.
    ///
    /// ```
    /// use rskafka_producer::ProducerConfig;
    ///
    /// let config = ProducerConfig::from_env()?.with_properties_text("linger.ms = 20")?;
    /// assert_eq!(config.batch.linger.as_millis(), 20);
    /// # Ok::<_, rskafka_producer::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`from_properties_text`](Self::from_properties_text).
    pub fn with_properties_text(self, text: &str) -> Result<Self> {
        self.with_properties(parse(text)?)
    }
}

/// Keys and values by the rules of `java.util.Properties.load`.
fn parse(text: &str) -> Result<Vec<(String, String)>> {
    let text = text.replace("\r\n", "\n");
    let mut properties = Vec::new();
    let mut logical = String::new();
    for line in text.split(['\n', '\r']).map(|line| line.trim_start_matches(BLANK)) {
        if logical.is_empty() && (line.is_empty() || line.starts_with(['#', '!'])) {
            continue;
        }
        logical.push_str(line);
        if is_continued(line) {
            logical.pop();
            continue;
        }
        // A section of an INI file, as Confluent's for Python has them.
        if !(logical.starts_with('[') && logical.trim_end().ends_with(']')) {
            properties.push(split(&logical)?);
        }
        logical.clear();
    }
    if !logical.is_empty() {
        properties.push(split(&logical)?);
    }
    Ok(properties)
}

fn split(line: &str) -> Result<(String, String)> {
    let (key, rest) = line.split_at(end_of_key(line));
    let rest = rest.trim_start_matches(BLANK);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start_matches(BLANK);
    let key = unescape(key).ok_or_else(|| malformed("a key"))?;
    let value = unescape(rest).ok_or_else(|| malformed(&format!("the value of {key:?}")))?;
    Ok((key, value))
}

const BLANK: [char; 3] = [' ', '\t', '\x0c'];

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, format!("{what} has a malformed \\uXXXX"))
}

/// Whether an odd number of backslashes ends the line: an even one stands for themselves.
fn is_continued(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn end_of_key(line: &str) -> usize {
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '=' | ':' => return at,
            c if BLANK.contains(&c) => return at,
            _ => {}
        }
    }
    line.len()
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut utf16 = Vec::new();
    let mut chars = text.chars();
    loop {
        let c = chars.next();
        let escape = if c == Some('\\') { chars.next() } else { None };
        if escape == Some('u') {
            let digits: String = chars.by_ref().take(4).collect();
            let valid = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            utf16.push(u16::from_str_radix(&digits, 16).ok().filter(|_| valid)?);
            continue;
        }
        // Characters beyond 16 bits are two escapes in a row.
        plain.push_str(&String::from_utf16(&utf16).ok()?);
        utf16.clear();
        match (c, escape) {
            (None, _) => return Some(plain),
            (Some('\\'), None) => {}
            (Some(_), Some('t')) => plain.push('\t'),
            (Some(_), Some('n')) => plain.push('\n'),
            (Some(_), Some('r')) => plain.push('\r'),
            (Some(_), Some('f')) => plain.push('\x0c'),
            (Some(_), Some(itself)) | (Some(itself), None) => plain.push(itself),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_syntax_is_javas() {
        for (text, expected) in [
            ("", vec![]),
            ("# c\n ! c\n\n  \t\n", vec![]),
            ("a=b", vec![("a", "b")]),
            ("a = b \n", vec![("a", "b ")]),
            ("a:b\r\nc d\re\tf", vec![("a", "b"), ("c", "d"), ("e", "f")]),
            ("a", vec![("a", "")]),
            ("a==b", vec![("a", "=b")]),
            ("a : = b", vec![("a", "= b")]),
            ("a=b\\\n   c", vec![("a", "bc")]),
            ("a=b\\\r\n   c\r\nd=e", vec![("a", "bc"), ("d", "e")]),
            ("a=b\\\\\nc=d", vec![("a", "b\\"), ("c", "d")]),
            ("a=b\\\n", vec![("a", "b")]),
            ("a=b\\\n# c", vec![("a", "b# c")]),
            ("a=b\\\n\nc=d", vec![("a", "b"), ("c", "d")]),
            ("\\\n# c\na=b", vec![("a", "b")]),
            ("a\\ b\\=c\\:d = e", vec![("a b=c:d", "e")]),
            ("a=\\t\\n\\r\\f\\q\\\"", vec![("a", "\t\n\r\x0cq\"")]),
            ("a=\\u00e4\\uD83D\\uDE00x", vec![("a", "ä😀x")]),
            ("[default]\na=b\n[consumer]\n", vec![("a", "b")]),
            ("a=b # no comment", vec![("a", "b # no comment")]),
        ] {
            let parsed = parse(text).unwrap();
            let parsed: Vec<_> = parsed.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            assert_eq!(parsed, expected, "{text:?}");
        }
        for text in ["a=\\u12", "a=\\u+123", "a=\\uD83D", "\\uzzzz=b", "sasl.password=hunter2\\u"] {
            let problem = parse(text).unwrap_err().to_string();
            assert!(problem.contains("malformed") && !problem.contains("hunter2"), "{text:?}: {problem}");
        }
    }

    #[test]
    fn no_text_panics_the_parser() {
        const PIECES: [&str; 16] =
            ["a", "=", ":", " ", "\\", "\n", "\r", "\t", "#", "!", "u", "\\u00", "ä", "😀", "\\uD83D", "1f"];
        for seed in 0..4_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let text: String =
                (0..random.usize(..24)).map(|_| PIECES[random.usize(..PIECES.len())]).collect();
            let _ = parse(&text);
            let _ = ProducerConfig::from_properties_text(&text);
        }
    }
}
