//! Brokers in the rack of this process, to which messages without a key go (KIP-1123).

use std::collections::HashSet;

use crate::config::ProducerConfig;
use crate::engine::{BrokerMetadata, NodeId};

/// Those that are near; none where racks do not matter.
pub(super) fn near(config: &ProducerConfig, brokers: &[BrokerMetadata]) -> HashSet<NodeId> {
    let Some(rack) = config.client_rack.as_deref().filter(|_| config.partitioner_rack_aware) else {
        return HashSet::new();
    };
    brokers.iter().filter(|broker| broker.rack.as_deref() == Some(rack)).map(|broker| broker.node).collect()
}
