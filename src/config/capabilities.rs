//! What each engine can do: declared, so that validation can refuse the rest by name.

use crate::compression::Compression;
use crate::config::EngineKind;

/// What an engine can do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capabilities {
    pub(crate) idempotence: bool,
    pub(crate) acks_leader: bool,
    /// Headers may repeat, be null, and keep their order.
    pub(crate) ordered_headers: bool,
    /// Topics can be created by asking for their metadata, if so wished, and are not otherwise.
    pub(crate) auto_create: bool,
    /// Without C, that is.
    pub(crate) tls: bool,
    pub(crate) connector: bool,
    /// It knows who leads a partition, and in which rack that broker is.
    pub(crate) racks: bool,
    compression: fn(Compression) -> bool,
}

impl Capabilities {
    pub(crate) fn of(kind: EngineKind) -> Self {
        match kind {
            EngineKind::Native => Self {
                idempotence: true,
                acks_leader: true,
                ordered_headers: true,
                auto_create: true,
                tls: true,
                connector: true,
                racks: true,
                compression: |_| true,
            },
            #[cfg(feature = "partition-client")]
            EngineKind::PartitionClient => Self {
                idempotence: false,
                acks_leader: false,
                ordered_headers: false,
                auto_create: false,
                tls: false,
                connector: false,
                racks: false,
                compression: |codec| {
                    matches!(codec, Compression::None | Compression::Gzip | Compression::Snappy)
                },
            },
        }
    }

    pub(crate) fn compresses(&self, codec: Compression) -> bool {
        (self.compression)(codec)
    }
}
