//! Settings with a few values.

/// Which replicas must have a message before it counts as stored (Kafka: `acks`).
///
/// There is no `none`: without a response, a producer cannot know what happened to a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acks {
    /// All replicas in sync; what the promises of this crate rest on. `-1` on the wire.
    #[default]
    All,
    /// The leader alone: a message that was acknowledged is lost with it. Excludes idempotence.
    Leader,
}

/// The implementation of the connection to the brokers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineKind {
    /// Our own sockets, one connection per broker. The default.
    #[default]
    Native,
    /// rskafka's stable `PartitionClient`, one connection per partition. It cannot be idempotent, cannot
    /// compress beyond what rskafka offers, and **stores a batch again when the broker throttles it**; it is
    /// kept as the baseline. Feature `partition-client`.
    #[cfg(feature = "partition-client")]
    PartitionClient,
}

/// How the hosts of the bootstrap list are looked up (Kafka: `client.dns.lookup`, KIP-302).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DnsLookup {
    /// Every address of a host is tried.
    #[default]
    UseAllDnsIps,
    /// Each address of a host is looked up in turn, and connected to by its canonical name: for a name that stands for
    /// several brokers, each with a certificate for its own name. Other brokers are not affected.
    ResolveCanonicalBootstrapServersOnly,
}

/// Whether the producer is idempotent. By default it is where the engine and `acks` allow that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idempotence {
    /// On with the default engine and `acks=all`; off with `acks=leader` or the `PartitionClient` engine.
    #[default]
    WherePossible,
    /// On; validation fails where it is not possible.
    On,
    /// Off: a retry whose earlier attempt was stored duplicates its messages.
    Off,
}

impl From<bool> for Idempotence {
    fn from(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }
}
