//! Why something failed, and whether the message may be in the log.

use std::fmt;

names! {
    /// The cause of an [`Error`](crate::Error), more specific than its code.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum ErrorKind {
        /// A setting is invalid, or settings contradict each other.
        InvalidConfig = "invalid_config",
        /// The message has no topic and the producer has no default topic.
        NoTopic = "no_topic",
        /// Kafka does not allow this topic name.
        InvalidTopic = "invalid_topic",
        /// The cluster has no such topic, and may not be created.
        UnknownTopic = "unknown_topic",
        /// The topic has no such partition.
        UnknownPartition = "unknown_partition",
        /// The message is larger than the producer or the broker accepts.
        MessageTooLarge = "message_too_large",
        /// The broker or the producer refuses this message.
        InvalidMessage = "invalid_message",
        /// No connection could be established.
        Unreachable = "unreachable",
        /// A connection broke or a broker did not answer in time.
        ConnectionLost = "connection_lost",
        /// The peer does not speak Kafka, or no version that this library supports.
        Protocol = "protocol",
        /// The TLS handshake failed.
        Tls = "tls",
        /// The broker refuses the credentials.
        Authentication = "authentication",
        /// The user is not authorized.
        Authorization = "authorization",
        /// The broker answered with an error; see [`Error::broker_error`](crate::Error::broker_error).
        Broker = "broker",
        /// Too few replicas are in sync to accept the message.
        NotEnoughReplicas = "not_enough_replicas",
        /// The broker lost track of this producer's sequence, so that idempotence cannot be kept.
        SequenceLost = "sequence_lost",
        /// The context's deadline passed.
        DeadlineExceeded = "deadline_exceeded",
        /// The context was cancelled.
        Cancelled = "cancelled",
        /// The message was not acknowledged within `timeouts.delivery`.
        DeliveryTimeout = "delivery_timeout",
        /// The buffer had no space for the message.
        BufferFull = "buffer_full",
        /// The circuit breaker is open and `when_open` is `FailFast`.
        CircuitOpen = "circuit_open",
        /// The producer was closed.
        Closed = "closed",
        /// A panic was caught: in a callback, which the error names, or in this library; please report that.
        Internal = "internal",
    }

    /// A short, stable name for metric labels (OpenTelemetry's `error.type`).
    as_str;

    /// Every kind.
    ALL;
}

/// Whether a failed message may be in the log nevertheless. As librdkafka's `rd_kafka_msg_status_t`. Once a message is
/// possibly persisted it stays so, whatever later attempts return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// It is not in the log and never will be: sending it again cannot duplicate it.
    NotPersisted,
    /// It may be in the log, or may still get there: sending it again can duplicate it.
    PossiblyPersisted,
}

impl Fate {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NotPersisted => "not persisted",
            Self::PossiblyPersisted => "possibly persisted",
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
