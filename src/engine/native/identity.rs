//! Which cluster answers at an address, and which one granted a producer id.
//!
//! Addresses are used again: another cluster may answer where the former one did, with the same node ids and topics. A
//! producer id may belong to another producer there, and the brokers would take batches for duplicates of that
//! producer's.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::api::MetadataResponse;
use crate::config::Address;
use crate::engine::NodeId;

/// As a cluster reports it; `None` where it does not, as brokers before Kafka 0.10.1 do not.
pub(super) type ClusterId = Option<Arc<str>>;

/// Number of producer ids whose cluster is remembered. Older ones are not used any more.
const GRANTS_KEPT: usize = 1_000;

/// Who answers on a connection.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) cluster: ClusterId,
    /// The brokers that the cluster has at the address of the connection: none behind a proxy, whose address it does not
    /// know.
    nodes: Vec<NodeId>,
}

impl Peer {
    pub(super) fn of(address: &Address, metadata: &MetadataResponse) -> Self {
        let here = |host: &str, port: i32| host == address.host && port == i32::from(address.port);
        let nodes = metadata.brokers.iter().filter(|broker| here(&broker.host, broker.port));
        Self {
            cluster: metadata.cluster_id.as_deref().map(Arc::from),
            nodes: nodes.map(|broker| NodeId(i64::from(broker.id))).collect(),
        }
    }

    /// The broker that it is instead of `node`, if it certainly is another.
    pub(super) fn is_other_than(&self, node: NodeId) -> Option<NodeId> {
        if self.nodes.contains(&node) { None } else { self.nodes.first().copied() }
    }
}

/// The cluster that messages go to, and the producer ids that were granted.
#[derive(Debug, Default)]
pub(super) struct Clusters {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None` before any answered.
    current: Option<ClusterId>,
    granted: VecDeque<(i64, ClusterId)>,
}

impl Clusters {
    /// Whether messages go to this cluster, or may because none is known yet.
    pub(super) fn is_current(&self, cluster: &ClusterId) -> bool {
        self.state.lock().current.as_ref().is_none_or(|current| current == cluster)
    }

    /// From here on messages go to this cluster. Returns the one before it, where that is another one.
    pub(super) fn adopt(&self, cluster: &ClusterId) -> Option<ClusterId> {
        let former = self.state.lock().current.replace(cluster.clone());
        former.filter(|former| former != cluster)
    }

    /// Notes that `cluster` granted a producer id. `false` where another cluster granted the same one before: it would
    /// not be known whose it is.
    pub(super) fn granted(&self, id: i64, cluster: &ClusterId) -> bool {
        let granted = &mut self.state.lock().granted;
        if let Some((_, by)) = granted.iter().find(|(known, _)| *known == id) {
            return by == cluster;
        }
        if granted.len() >= GRANTS_KEPT {
            granted.pop_front();
        }
        granted.push_back((id, cluster.clone()));
        true
    }

    /// Whether this cluster granted the producer id.
    pub(super) fn knows(&self, id: i64, cluster: &ClusterId) -> bool {
        let state = self.state.lock();
        state.granted.iter().rev().any(|(known, by)| *known == id && by == cluster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ClusterId {
        Some(text.into())
    }

    #[test]
    fn the_first_cluster_is_no_change_and_another_one_is() {
        let clusters = Clusters::default();
        assert!(clusters.is_current(&id("a")) && clusters.is_current(&None));
        assert_eq!(clusters.adopt(&id("a")), None);
        assert_eq!(clusters.adopt(&id("a")), None);
        assert!(clusters.is_current(&id("a")) && !clusters.is_current(&id("b")));
        for (from, to) in [(id("a"), id("b")), (id("b"), None), (None, id("a"))] {
            assert_eq!(clusters.adopt(&to), Some(from));
        }
    }

    #[test]
    fn an_id_is_known_to_the_cluster_that_granted_it_first_and_to_no_other() {
        let clusters = Clusters::default();
        assert!(clusters.granted(7, &id("a")) && clusters.granted(7, &id("a")));
        assert!(!clusters.granted(7, &id("b")), "both would have the same");
        assert!(clusters.granted(8, &id("b")));
        assert!(clusters.knows(7, &id("a")) && clusters.knows(8, &id("b")));
        assert!(!clusters.knows(7, &id("b")) && !clusters.knows(9, &id("a")));
    }

    #[test]
    fn an_id_that_was_granted_long_ago_is_known_to_nobody() {
        let clusters = Clusters::default();
        for granted in 0..=GRANTS_KEPT as i64 {
            assert!(clusters.granted(granted, &None));
        }
        assert!(!clusters.knows(0, &None) && clusters.knows(1, &None));
    }

    #[test]
    fn a_broker_is_another_one_only_where_the_cluster_says_so() {
        let peer = |nodes: &[i64]| Peer { cluster: None, nodes: nodes.iter().copied().map(NodeId).collect() };
        assert_eq!(peer(&[]).is_other_than(NodeId(1)), None, "behind a proxy");
        assert_eq!(peer(&[1]).is_other_than(NodeId(1)), None);
        assert_eq!(peer(&[2, 1]).is_other_than(NodeId(1)), None, "a load balancer in front of all");
        assert_eq!(peer(&[2]).is_other_than(NodeId(1)), Some(NodeId(2)));
    }
}
