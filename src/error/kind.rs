//! Why something failed, and whether the message may be in the log.

use std::fmt;

/// The cause of an [`Error`](crate::Error), one step finer than its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is impossible, or two of them contradict one another.
    InvalidConfig,
    /// The message names no topic and the producer has no default one.
    NoTopic,
    /// Kafka does not allow this topic name.
    InvalidTopic,
    /// The cluster has no such topic, and may not be created.
    UnknownTopic,
    /// The topic has no such partition.
    UnknownPartition,
    /// The message is larger than the producer or the broker accepts.
    MessageTooLarge,
    /// The broker or the producer refuses this message as it is.
    InvalidMessage,
    /// No connection could be made.
    Unreachable,
    /// A connection broke or a broker did not answer in time.
    ConnectionLost,
    /// The peer does not speak Kafka, or not a version that we know.
    Protocol,
    /// The TLS handshake failed.
    Tls,
    /// The broker refuses the credentials.
    Authentication,
    /// The credentials do not allow this.
    Authorization,
    /// The broker answered with an error; see [`Error::broker_error`](crate::Error::broker_error).
    Broker,
    /// Too few replicas are in sync to accept the message.
    NotEnoughReplicas,
    /// The broker lost track of this producer's sequence, so that idempotence cannot be kept.
    SequenceLost,
    /// The context's deadline passed.
    DeadlineExceeded,
    /// The context was cancelled.
    Cancelled,
    /// The message was not acknowledged within `timeouts.delivery`.
    DeliveryTimeout,
    /// The buffer had no room for the message.
    BufferFull,
    /// The circuit breaker is open and `when_open` is `FailFast`.
    CircuitOpen,
    /// The producer was closed.
    Closed,
    /// A panic, contained: of a callback, which the error names, or of this library, which please report.
    Internal,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 23] = [
        Self::InvalidConfig,
        Self::NoTopic,
        Self::InvalidTopic,
        Self::UnknownTopic,
        Self::UnknownPartition,
        Self::MessageTooLarge,
        Self::InvalidMessage,
        Self::Unreachable,
        Self::ConnectionLost,
        Self::Protocol,
        Self::Tls,
        Self::Authentication,
        Self::Authorization,
        Self::Broker,
        Self::NotEnoughReplicas,
        Self::SequenceLost,
        Self::DeadlineExceeded,
        Self::Cancelled,
        Self::DeliveryTimeout,
        Self::BufferFull,
        Self::CircuitOpen,
        Self::Closed,
        Self::Internal,
    ];

    /// A stable name of few letters, fit for a metric's label (OpenTelemetry's `error.type`).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidConfig => "invalid_config",
            Self::NoTopic => "no_topic",
            Self::InvalidTopic => "invalid_topic",
            Self::UnknownTopic => "unknown_topic",
            Self::UnknownPartition => "unknown_partition",
            Self::MessageTooLarge => "message_too_large",
            Self::InvalidMessage => "invalid_message",
            Self::Unreachable => "unreachable",
            Self::ConnectionLost => "connection_lost",
            Self::Protocol => "protocol",
            Self::Tls => "tls",
            Self::Authentication => "authentication",
            Self::Authorization => "authorization",
            Self::Broker => "broker",
            Self::NotEnoughReplicas => "not_enough_replicas",
            Self::SequenceLost => "sequence_lost",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Cancelled => "cancelled",
            Self::DeliveryTimeout => "delivery_timeout",
            Self::BufferFull => "buffer_full",
            Self::CircuitOpen => "circuit_open",
            Self::Closed => "closed",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a failed message may be in the log all the same.
///
/// The same question as librdkafka's `rd_kafka_msg_status_t`. Once a message is possibly persisted it stays
/// so, whatever later attempts answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// It is not in the log and never will be: sending it again cannot duplicate it.
    NotPersisted,
    /// It may be in the log, or may still get there: sending it again can duplicate it.
    PossiblyPersisted,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPersisted => "not persisted",
            Self::PossiblyPersisted => "possibly persisted",
        })
    }
}
