//! What a user hands to the producer.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

/// One message: a value, and whatever else Kafka stores with it.
///
/// Values and keys are [`Bytes`]: anything that is owned (`String`, `Vec<u8>`, `Bytes`) or `'static` is taken without a
/// copy. **Borrowed data** is copied explicitly, with [`copy_of`](Self::copy_of), [`key_copy`](Self::key_copy) and
/// [`header_copy`](Self::header_copy); with [`new`](Self::new) it does not compile ("borrowed data escapes outside of
/// function", E0521), since messages outlive the call that hands them over.
///
/// ```
/// use rskafka_producer::Message;
///
/// let message = Message::new("paid")
///     .key("order-42")
///     .to("orders")
///     .header("source", "checkout");
/// assert_eq!(message.topic.as_deref(), Some("orders"));
///
/// fn from_borrowed(body: &[u8], key: &str) -> Message {
///     Message::copy_of(body).key_copy(key)
/// }
/// assert_eq!(from_borrowed(b"paid", "order-42").key.as_deref(), Some(&b"order-42"[..]));
/// ```
///
/// `Debug` prints sizes, never contents.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Value; `None` is Kafka's null, a tombstone on a compacted topic. An empty value is not null.
    pub value: Option<Bytes>,
    /// Key; chooses the partition, unless [`partition`](Self::partition) is set. `None` is Kafka's null, an
    /// empty key is a key.
    pub key: Option<Bytes>,
    /// Headers in order; names may repeat and values may be null (KIP-82).
    pub headers: Vec<Header>,
    /// Topic; without one the producer's default topic is used.
    pub topic: Option<Arc<str>>,
    /// Partition to use instead of the one that the key would choose.
    pub partition: Option<i32>,
    /// Timestamp in milliseconds since 1970; without one the time of acceptance is used.
    pub timestamp: Option<i64>,
}

/// A header of a [`Message`].
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// Name; may repeat within a message.
    pub name: String,
    /// Value; `None` is null.
    pub value: Option<Bytes>,
}

impl Message {
    /// Creates a message with this value and no key. Takes owned and `'static` data without a copy; for borrowed data there
    /// is [`copy_of`](Self::copy_of).
    pub fn new(value: impl Into<Bytes>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }

    /// Creates a message with a copy of this value, which may be borrowed.
    pub fn copy_of(value: impl AsRef<[u8]>) -> Self {
        Self::new(Bytes::copy_from_slice(value.as_ref()))
    }

    /// Creates a message with a null value for this key: deletes the key from a compacted topic.
    pub fn tombstone(key: impl Into<Bytes>) -> Self {
        Self { key: Some(key.into()), ..Self::default() }
    }

    /// Sets the key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the key to a copy of this one, which may be borrowed.
    #[must_use]
    pub fn key_copy(self, key: impl AsRef<[u8]>) -> Self {
        self.key(Bytes::copy_from_slice(key.as_ref()))
    }

    /// Sets the topic. An `Arc<str>` that is cloned for each message costs no allocation.
    #[must_use]
    pub fn to(mut self, topic: impl Into<Arc<str>>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// Sets the partition, whatever the key.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Appends a header; an earlier one of the same name stays.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.headers.push(Header { name: name.into(), value: Some(value.into()) });
        self
    }

    /// Appends a header with a copy of this value, which may be borrowed.
    #[must_use]
    pub fn header_copy(self, name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        self.header(name, Bytes::copy_from_slice(value.as_ref()))
    }

    /// Appends a header whose value is null.
    #[must_use]
    pub fn null_header(mut self, name: impl Into<String>) -> Self {
        self.headers.push(Header { name: name.into(), value: None });
        self
    }

    /// Sets the timestamp, rounded down to milliseconds. A time before 1970 is refused when the message is
    /// sent, as Kafka cannot store it.
    #[must_use]
    pub fn timestamp(mut self, at: SystemTime) -> Self {
        self.timestamp = Some(unix_millis(at));
        self
    }
}

/// Milliseconds since 1970; negative before.
pub(crate) fn unix_millis(at: SystemTime) -> i64 {
    match at.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}

debug_as!(message: Message {
    topic: message.topic,
    partition: message.partition,
    key_bytes: message.key.as_ref().map(Bytes::len),
    value_bytes: message.value.as_ref().map(Bytes::len),
    headers: message.headers.len(),
    timestamp: message.timestamp,
});

debug_as!(header: Header { name: header.name, value_bytes: header.value.as_ref().map(Bytes::len) });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_contents() {
        let shown = format!("{:?}", Message::new("s3cret").key("hush").header("h", "quiet"));
        for secret in ["s3cret", "hush", "quiet"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn borrowed_data_is_copied() {
        let borrowed = [String::from("v"), String::from("k"), String::from("h")];
        let message = Message::copy_of(&borrowed[0]).key_copy(&borrowed[1]).header_copy("n", &borrowed[2]);
        drop(borrowed);
        assert_eq!(message, Message::new("v").key("k").header("n", "h"));
    }

    #[test]
    fn headers_keep_their_order_and_may_repeat() {
        let message = Message::new("v").header("a", "1").null_header("a").header("b", "2");
        let names: Vec<_> = message.headers.iter().map(|h| h.name.as_str()).collect();
        assert_eq!(names, ["a", "a", "b"]);
    }
}
