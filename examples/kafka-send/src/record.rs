//! Records of the input as messages, and failed messages as records.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use memchr::memmem::Finder;
use rskafka_producer::{Header, Message};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::options::Options;

/// What makes a message of a record.
pub(crate) struct Reader {
    json: bool,
    /// Separates key and value of a line.
    separator: Option<Finder<'static>>,
    partition: Option<i32>,
    key: Option<Bytes>,
    headers: Vec<Header>,
    null_empty: bool,
    /// Whether an empty line is a record.
    empty_lines: bool,
    /// Whether a record of the input may replace the topic that was named.
    topic_given: bool,
}

impl Reader {
    pub(crate) fn new(options: &Options) -> Self {
        let separator = options.key_separator.as_deref().map(|separator| Finder::new(separator).into_owned());
        let header = |(name, value): &(String, Option<String>)| Header {
            name: name.clone(),
            value: value.clone().map(Bytes::from),
        };
        Self {
            json: options.json,
            separator,
            partition: options.partition(),
            key: options.key.clone().map(Bytes::from),
            headers: options.headers.iter().map(header).collect(),
            null_empty: options.null_empty,
            empty_lines: options.empty_lines || options.whole_files,
            topic_given: options.topic.is_some(),
        }
    }

    /// Whether it is skipped. kcat skips empty lines, and sends those of spaces.
    pub(crate) fn skips(&self, record: &[u8]) -> bool {
        match self.json {
            true => record.iter().all(u8::is_ascii_whitespace),
            false => record.is_empty() && !self.empty_lines,
        }
    }

    /// The error is a clause about the record.
    pub(crate) fn message(&self, record: Bytes) -> Result<Message, String> {
        let mut message = match self.json {
            true => json(&record, self.topic_given)?,
            false => line(record, self.separator.as_ref()),
        };
        if self.null_empty {
            message.value = message.value.filter(|value| !value.is_empty());
            message.key = message.key.filter(|key| !key.is_empty());
        }
        message.key = message.key.or_else(|| self.key.clone());
        message.partition = message.partition.or(self.partition);
        message.headers.extend_from_slice(&self.headers);
        Ok(message)
    }
}

fn line(record: Bytes, separator: Option<&Finder<'_>>) -> Message {
    let found = separator.and_then(|separator| Some((separator.find(&record)?, separator.needle().len())));
    match found {
        Some((at, len)) => Message::new(record.slice(at + len..)).key(record.slice(..at)),
        None => Message::new(record),
    }
}

#[derive(Clone, Copy, Default, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Text,
    Base64,
}

/// Headers in order, or an object where order does not matter.
#[derive(Deserialize)]
#[serde(untagged)]
enum Headers {
    List(Vec<(String, Option<String>)>),
    Object(BTreeMap<String, Option<String>>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record<'a> {
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    headers: Option<Headers>,
    topic: Option<String>,
    partition: Option<i32>,
    timestamp: Option<i64>,
    #[serde(default)]
    encoding: Encoding,
    /// Why it failed when it was sent before.
    #[serde(rename = "failed")]
    _failed: Option<serde::de::IgnoredAny>,
}

/// What marks a record as printed by `kcat -C -J`, of which `Envelope` is the form.
#[derive(Deserialize)]
struct Printed {
    #[serde(default, deserialize_with = "present")]
    payload: bool,
    #[serde(default, deserialize_with = "present")]
    tstype: bool,
}

fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(value).map(|_| true)
}

/// A record as `kcat -C -J` prints it. Where it was read is ignored, as it may be sent elsewhere.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    /// Names and values in turn.
    #[serde(default)]
    headers: Vec<Option<String>>,
    topic: Option<String>,
    tstype: Option<String>,
    ts: Option<i64>,
    #[serde(rename = "partition")]
    _partition: Option<i32>,
    #[serde(rename = "offset")]
    _offset: Option<i64>,
    #[serde(rename = "broker")]
    _broker: Option<i32>,
}

fn envelope(record: &[u8], topic_given: bool) -> Result<Message, String> {
    let record: Envelope<'_> = serde_json::from_slice(record).map_err(|problem| problem.to_string())?;
    let mut message = Message::default();
    message.value = record.payload.map(|raw| bytes_of(raw, Encoding::Text)).transpose()?;
    message.key = record.key.map(|raw| bytes_of(raw, Encoding::Text)).transpose()?;
    for header in record.headers.chunks(2) {
        let [Some(name), value] = header else {
            return Err("headers: expected names and values in turn".into());
        };
        message.headers.push(Header { name: name.clone(), value: value.clone().map(Bytes::from) });
    }
    message.topic = record.topic.filter(|_| !topic_given).map(Into::into);
    message.timestamp = record.ts.filter(|_| record.tstype.as_deref() == Some("create"));
    Ok(message)
}

fn json(record: &[u8], topic_given: bool) -> Result<Message, String> {
    let unlike =
        |problem: serde_json::Error| format!("{problem}; for values that are JSON, one a line, leave -J out");
    let printed: Printed = serde_json::from_slice(record).map_err(unlike)?;
    if printed.payload || printed.tstype {
        return envelope(record, topic_given);
    }
    let record: Record<'_> = serde_json::from_slice(record).map_err(unlike)?;
    let mut message = Message::default();
    message.value = record.value.map(|raw| bytes_of(raw, record.encoding)).transpose()?;
    message.key = record.key.map(|raw| bytes_of(raw, record.encoding)).transpose()?;
    let headers: Vec<_> = match record.headers {
        None => Vec::new(),
        Some(Headers::List(list)) => list,
        Some(Headers::Object(object)) => object.into_iter().collect(),
    };
    for (name, value) in headers {
        let value = value.map(|text| decode(text, record.encoding)).transpose()?;
        message.headers.push(Header { name, value });
    }
    message.topic = record.topic.map(Into::into);
    message.partition = record.partition;
    message.timestamp = record.timestamp;
    Ok(message)
}

/// A string is its text; anything else is sent as it is written.
fn bytes_of(raw: &RawValue, encoding: Encoding) -> Result<Bytes, String> {
    if raw.get().starts_with('"') {
        let text = serde_json::from_str(raw.get()).map_err(|problem| problem.to_string())?;
        return decode(text, encoding);
    }
    if encoding == Encoding::Base64 {
        return Err("expected a string of base64".into());
    }
    Ok(raw.get().to_owned().into())
}

fn decode(text: String, encoding: Encoding) -> Result<Bytes, String> {
    match encoding {
        Encoding::Text => Ok(text.into()),
        Encoding::Base64 => match BASE64_STANDARD.decode(text) {
            Ok(bytes) => Ok(bytes.into()),
            Err(problem) => Err(format!("invalid base64: {problem}")),
        },
    }
}

/// A failed message as a JSON record that can be sent again.
#[derive(Serialize)]
pub(crate) struct Failed {
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
    encoding: Encoding,
    key: Option<String>,
    value: Option<String>,
    headers: Vec<(String, Option<String>)>,
    failed: Reason,
}

/// Why it failed, and what became of it.
#[derive(Serialize)]
pub(crate) struct Reason {
    pub(crate) record: u64,
    pub(crate) fate: String,
    pub(crate) code: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) error: String,
}

impl Failed {
    pub(crate) fn new(message: &Message, failed: Reason) -> Self {
        let headers = message.headers.iter().map(|header| &header.value);
        let mut contents = [&message.key, &message.value].into_iter().chain(headers).flatten();
        let is_text = contents.all(|bytes| std::str::from_utf8(bytes).is_ok());
        let encoding = if is_text { Encoding::Text } else { Encoding::Base64 };
        let written = |bytes: &Option<Bytes>| {
            bytes.as_deref().map(|bytes| match encoding {
                Encoding::Text => String::from_utf8_lossy(bytes).into_owned(),
                Encoding::Base64 => BASE64_STANDARD.encode(bytes),
            })
        };
        Self {
            topic: message.topic.as_deref().map(str::to_owned),
            partition: message.partition,
            timestamp: message.timestamp,
            encoding,
            key: written(&message.key),
            value: written(&message.value),
            headers: message.headers.iter().map(|h| (h.name.clone(), written(&h.value))).collect(),
            failed,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn reason() -> Reason {
        Reason { record: 7, fate: "not persisted".into(), code: "C", kind: "k", error: "e".into() }
    }

    #[test]
    fn a_failed_message_comes_back_as_it_was() {
        let mut messages =
            vec![Message::new(r#"{"a": 1}"#).key("k").to("t").partition(3).header("h", "1").null_header("h")];
        messages.push(Message::new(&b"\xff\x00"[..]).header("text", "beside bytes"));
        messages.push(Message::tombstone("gone"));
        messages.push(Message::new(""));
        messages[1].timestamp = Some(5);
        for message in messages {
            let line = serde_json::to_vec(&Failed::new(&message, reason())).unwrap();
            assert!(json(&line, true).unwrap() == message, "{}", String::from_utf8_lossy(&line));
        }
    }

    #[test]
    fn a_value_that_is_not_a_string_is_sent_as_it_is_written() {
        for written in [r#"{"b": 1,  "a": 2}"#, "[1, 2]", "1.50", "true"] {
            let message = json(format!(r#"{{"value": {written}}}"#).as_bytes(), true).unwrap();
            assert_eq!(message.value.as_deref(), Some(written.as_bytes()));
        }
        assert!(json(br#"{"value": null}"#, true).unwrap() == Message::default());
    }

    #[test]
    fn a_misspelt_field_is_refused_rather_than_sent_as_a_tombstone() {
        for record in [r#"{"vaule": "x"}"#, "text", "[]", r#"{"value": "?", "encoding": "base64"}"#, ""] {
            assert!(json(record.as_bytes(), true).is_err(), "{record}");
        }
    }

    #[test]
    fn what_kcat_prints_is_read_as_the_message_that_it_was() {
        let printed = r#"{"topic":"a","partition":3,"offset":9,"tstype":"create","ts":1700000000000,"broker":0,
            "headers":["h","1","n",null],"key":"k","payload":"v \u00e9"}"#;
        let mut message = Message::new("v é").key("k").header("h", "1").null_header("n");
        message.timestamp = Some(1_700_000_000_000);
        assert!(json(printed.as_bytes(), true).unwrap() == message);
        assert!(json(printed.as_bytes(), false).unwrap() == message.to("a"));
        let appended = br#"{"tstype":"logappend","ts":5,"key":null,"payload":null}"#;
        assert!(
            json(appended, false).unwrap() == Message::default(),
            "the broker's time is not the message's"
        );
        for wrong in [r#"{"payload":"x","ofset":1}"#, r#"{"payload":"x","headers":["odd"]}"#] {
            assert!(json(wrong.as_bytes(), false).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_line_is_split_at_its_first_separator() {
        let part = |text: &'static str| line(Bytes::from(text), Some(&Finder::new(":")));
        assert!(part("k:v:w") == Message::new("v:w").key("k"));
        assert!(part("v") == Message::new("v"));
        assert!(part(":") == Message::new("").key(""));
    }
}
