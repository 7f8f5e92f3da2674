//! What a cluster holds, in a form that every kind of cluster can report.

use bytes::Bytes;

/// One record as a reader found it in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Topic it was found in.
    pub topic: String,
    /// Partition it was found in.
    pub partition: i32,
    /// Its offset in that partition.
    pub offset: i64,
    /// Timestamp in milliseconds since 1970.
    pub timestamp: i64,
    /// Key; `None` is Kafka's null, which is not the empty key.
    pub key: Option<Bytes>,
    /// Value; `None` is Kafka's null (a tombstone).
    pub value: Option<Bytes>,
    /// Headers in the order they were stored; names may repeat, values may be null.
    pub headers: Vec<(String, Option<Bytes>)>,
}
