//! The brokers that are known, and the one connection to each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::api::{MetadataRequest, MetadataResponse};
use super::bootstrap::Bootstrap;
use super::connection::{Connection, Settings, unreachable};
use super::handshake::{Answered, Wanted};
use super::identity::{ClusterId, Clusters, Peer};
use super::missed::Missed;
use super::none_reachable::none_reachable;
use super::slot::{Attempts, Slot, in_place};
use crate::config::Address;
use crate::engine::{Link, NodeId, Stage};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{HEAD_START, race};

/// Pause after a failed attempt; it grows up to the second value.
const RECONNECT_BACKOFF: Duration = Duration::from_millis(50);
const RECONNECT_BACKOFF_MAX: Duration = Duration::from_secs(1);
/// Another cluster is used once brokers of the list could not be reached for this long.
const MISSED: Duration = Duration::from_secs(2);
/// Within this time every broker of a list is being tried, however long the list.
const WHOLE_HEAD_START: Duration = Duration::from_millis(800);
/// How long refused credentials are not tried again, so that no account is locked.
const AUTHENTICATION_HOLD: Duration = Duration::from_secs(5);

pub(super) struct Brokers {
    pub(super) bootstrap: Bootstrap,
    pub(super) settings: Settings,
    connecting: Semaphore,
    known: Mutex<BTreeMap<NodeId, Known>>,
    /// By address, so that a broker of the bootstrap list and the same one of the metadata share a connection.
    slots: Mutex<BTreeMap<Address, Arc<Slot>>>,
    /// Whether any broker ever answered.
    answered: Arc<AtomicBool>,
    pub(super) clusters: Clusters,
    /// Brokers that were silent when they were last sent something.
    suspects: Mutex<BTreeMap<(NodeId, Stage), Abandon>>,
    missed: Mutex<Missed>,
}

/// Ends an attempt that takes long.
type Abandon = Box<dyn FnOnce() + Send>;

/// A broker of the metadata.
#[derive(Clone, Debug)]
struct Known {
    address: Arc<Address>,
    name: Arc<str>,
}

impl Known {
    fn at(address: Address) -> Self {
        Self { name: address.to_string().into(), address: Arc::new(address) }
    }
}

/// Why an attempt to reach a broker of the list did not settle it.
enum NotReached {
    /// Another cluster answers there.
    Foreign((Arc<Connection>, Answered)),
    Failed(Error),
}

impl Brokers {
    pub(super) fn new(bootstrap: Vec<Address>, settings: Settings, max_connecting: usize) -> Self {
        Self {
            bootstrap: Bootstrap::new(bootstrap, settings.dns_lookup),
            settings,
            connecting: Semaphore::new(max_connecting.min(Semaphore::MAX_PERMITS)),
            known: Mutex::default(),
            slots: Mutex::default(),
            answered: Arc::default(),
            clusters: Clusters::default(),
            suspects: Mutex::default(),
            missed: Mutex::default(),
        }
    }

    /// The address of a broker, according to the metadata.
    pub(super) fn address(&self, node: NodeId) -> Option<Arc<Address>> {
        self.known.lock().get(&node).map(|known| known.address.clone())
    }

    /// The same as text.
    pub(super) fn name(&self, node: NodeId) -> Option<Arc<str>> {
        self.known.lock().get(&node).map(|known| known.name.clone())
    }

    /// What is amiss on the way to this broker, or to all of them.
    pub(super) fn link(&self, node: Option<NodeId>, now: Instant) -> Option<Link> {
        let slots = self.slots.lock();
        match node {
            Some(node) => {
                let address = self.address(node)?;
                slots.get(&*address)?.link(|| address.to_string().into(), now)
            }
            None => slots
                .iter()
                .filter_map(|(address, slot)| slot.link(|| address.to_string().into(), now))
                .reduce(Link::more_specific),
        }
    }

    /// Takes over the brokers of the metadata; connections to brokers that are gone are dropped.
    pub(super) fn learn(&self, brokers: impl IntoIterator<Item = (NodeId, Address)>) {
        let brokers: BTreeMap<_, _> =
            brokers.into_iter().map(|(node, address)| (node, Known::at(address))).collect();
        if brokers.is_empty() {
            return;
        }
        self.slots.lock().retain(|address, _| {
            self.bootstrap.contains(address) || brokers.values().any(|known| *known.address == *address)
        });
        *self.known.lock() = brokers;
    }

    /// Takes over some more, or other addresses of them.
    pub(super) fn learn_also(&self, brokers: impl Iterator<Item = (NodeId, Address)>) {
        for (node, address) in brokers {
            let mut known = self.known.lock();
            if known.get(&node).is_none_or(|known| *known.address != address) {
                known.insert(node, Known::at(address));
            }
        }
    }

    /// The connection to this broker, made if need be. While it is made, the broker is asked which cluster it belongs to.
    pub(super) async fn connection(&self, address: &Address) -> Result<Arc<Connection>> {
        self.connection_and_answer(address).await.map(|(connection, _)| connection)
    }

    /// The same, and what the broker answered if the connection had to be made.
    pub(super) async fn connection_and_answer(
        &self,
        address: &Address,
    ) -> Result<(Arc<Connection>, Option<MetadataResponse>)> {
        let slot = self.slot(address);
        if let Some(connection) = slot.fresh(&self.settings) {
            return Ok((connection, None));
        }
        let abandoned = slot.abandoned.notified();
        let metadata = MetadataRequest { topics: &[], allow_auto_topic_creation: false };
        let wanted = Wanted { metadata: Some(metadata), producer_id: false };
        tokio::select! {
            biased;
            made = self.connection_for(address, Some(wanted), Some(&self.connecting)) => {
                made.map(|(connection, answered)| (connection, answered.metadata))
            }
            () = abandoned => Err(unreachable(address, "it is silent, and another broker leads now")),
        }
    }

    /// The connection to this broker, if there is one that may be used.
    pub(super) fn standing_at(&self, address: &Address) -> Option<Arc<Connection>> {
        let slot = self.slots.lock().get(address).cloned()?;
        slot.fresh(&self.settings)
    }

    fn slot(&self, address: &Address) -> Arc<Slot> {
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.get(address) {
            return slot.clone();
        }
        let slot = Arc::new(Slot::new(self.answered.clone()));
        slots.insert(address.clone(), slot.clone());
        slot
    }

    /// The same; one that has to be made asks for what is wanted as it is made, and is made in one of `places`.
    async fn connection_for(
        &self,
        address: &Address,
        wanted: Option<Wanted<'_>>,
        places: Option<&Semaphore>,
    ) -> Result<(Arc<Connection>, Answered)> {
        let slot = self.slot(address);
        if let Some(connection) = slot.fresh(&self.settings) {
            return Ok((connection, Answered::default()));
        }
        let mut attempts = slot.attempts.lock().await;
        if let Some(connection) = slot.fresh(&self.settings) {
            return Ok((connection, Answered::default()));
        }
        if let Some((until, error)) = &attempts.hold {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Err(error.clone().with_retry_after(Some(left)));
            }
        }
        let (started, name) = (Instant::now(), address.to_string());
        let opening = Connection::open(address, &slot.listener, &self.settings, wanted);
        let mut trying = slot.trying(address);
        let opened = in_place(opening, places).await;
        trying.done = true;
        drop(trying);
        let before = std::mem::replace(&mut slot.progress.lock().failed, opened.as_ref().err().cloned());
        drop(before);
        match opened {
            Ok((connection, answered)) => {
                *attempts = Attempts::default();
                connection.wire.watch(self.settings.observer.opened(name.into(), started));
                if let Some(metadata) = &answered.metadata {
                    connection.meet(|| Peer::of(address, metadata));
                }
                if self.is_ours(&connection) {
                    self.missed.lock().reached();
                }
                let connection = Arc::new(connection);
                *slot.current.lock() = Some(connection.clone());
                Ok((connection, answered))
            }
            Err(error) => {
                self.settings.observer.failed(&name, started, &error);
                let wait = match error.kind() {
                    ErrorKind::Authentication => AUTHENTICATION_HOLD,
                    _ => {
                        (RECONNECT_BACKOFF * 2u32.saturating_pow(attempts.failed)).min(RECONNECT_BACKOFF_MAX)
                    }
                };
                attempts.failed = (attempts.failed + 1).min(10);
                attempts.hold = Some((Instant::now() + wait, error.clone()));
                Err(error)
            }
        }
    }

    /// A connection that stands and of which `wanted` holds; to the current cluster. Of several, that whose `turn` it is.
    pub(super) fn standing(
        &self,
        turn: usize,
        wanted: impl Fn(&Connection) -> bool,
    ) -> Option<Arc<Connection>> {
        let slots: Vec<_> = self.slots.lock().values().cloned().collect();
        let standing = slots.iter().filter_map(|slot| slot.fresh(&self.settings));
        let wanted = |connection: &Arc<Connection>| self.is_ours(connection) && wanted(connection);
        let mut standing: Vec<_> = standing.filter(wanted).collect();
        let count = standing.len().max(1);
        (!standing.is_empty()).then(|| standing.swap_remove(turn % count))
    }

    fn is_ours(&self, connection: &Connection) -> bool {
        connection.peer().is_none_or(|peer| self.clusters.is_current(&peer.cluster))
    }

    /// The brokers to which a connection can be made: those of the bootstrap list, for that is what a name server may have
    /// changed, and of the last metadata.
    pub(super) fn candidates(&self) -> Vec<Address> {
        let mut candidates = self.bootstrap.addresses();
        for known in self.known.lock().values() {
            if !candidates.contains(&known.address) {
                candidates.push((*known.address).clone());
            }
        }
        candidates
    }

    /// Whether a request to this address is unanswered for longer than usual.
    pub(super) fn is_silent(&self, address: &Address) -> bool {
        let slot = self.slots.lock().get(address).cloned();
        slot.is_some_and(|slot| slot.current.lock().as_ref().is_some_and(|current| current.is_silent()))
    }

    /// The first connection that can be made, which asks for what is wanted as it is made. One to another cluster than
    /// the current one counts only where every broker of the list belongs to another, or the others cannot be reached for
    /// [`MISSED`]: a list may name two clusters, and one may take the place of another.
    pub(super) async fn race(
        &self,
        candidates: &[Address],
        wanted: Wanted<'_>,
    ) -> Result<(Arc<Connection>, Answered)> {
        let head_start = HEAD_START.min(WHOLE_HEAD_START / candidates.len().max(1) as u32);
        // Their number is bounded by the list, and none waits for another.
        let attempts: Vec<_> = candidates.iter().map(|address| self.attempt(address, wanted)).collect();
        let missed = match race(attempts, head_start).await {
            Ok(connected) => return Ok(connected),
            Err(missed) => missed,
        };
        let (mut failures, mut foreign) = (Vec::new(), None);
        for missed in missed {
            match missed {
                NotReached::Foreign(connected) => foreign = foreign.or(Some(connected)),
                NotReached::Failed(error) => failures.push(error),
            }
        }
        let Some(foreign) = foreign else {
            return Err(none_reachable(&failures));
        };
        // A broker of the present cluster that cannot be reached at the moment may be back soon.
        if !failures.is_empty() && self.missed.lock().failed(Instant::now()) < MISSED {
            return Err(none_reachable(&failures));
        }
        Ok(foreign)
    }

    async fn attempt(
        &self,
        address: &Address,
        wanted: Wanted<'_>,
    ) -> Result<(Arc<Connection>, Answered), NotReached> {
        match self.connection_for(address, Some(wanted), None).await {
            Ok((connection, answered)) if self.is_ours(&connection) => Ok((connection, answered)),
            Ok(foreign) => Err(NotReached::Foreign(foreign)),
            Err(error) => Err(NotReached::Failed(error)),
        }
    }

    /// Whether the broker there is known to recognise each of the last five batches of a producer.
    pub(super) fn remembers_five_batches(&self, address: &Address) -> bool {
        self.slots.lock().get(address).is_some_and(|slot| slot.listener.remembers_five_batches())
    }

    /// From here on messages go to this cluster; connections to another one are dropped.
    pub(super) fn adopt(&self, cluster: &ClusterId) {
        let Some(former) = self.clusters.adopt(cluster) else {
            return;
        };
        self.settings.observer.log.cluster_changed(former.as_deref(), cluster.as_deref());
        let slots: Vec<_> = self.slots.lock().values().cloned().collect();
        for connection in slots.iter().filter_map(|slot| slot.current.lock().clone()) {
            if !self.is_ours(&connection) {
                connection.wire.retire();
            }
        }
    }

    /// Notes that a connection to this broker takes long to be made.
    pub(super) fn suspect_connecting(&self, node: NodeId, address: &Address) {
        let slot = Arc::downgrade(&self.slot(address));
        self.suspect(node, Stage::Connecting, move || {
            if let Some(slot) = slot.upgrade() {
                slot.abandoned.notify_waiters();
            }
        });
    }

    /// Notes that a request to this broker is unanswered for longer than usual.
    pub(super) fn suspect_connected(&self, node: NodeId, connection: &Arc<Connection>) {
        let connection = Arc::downgrade(connection);
        self.suspect(node, Stage::Sent, move || {
            if let Some(connection) = connection.upgrade() {
                connection.wire.cut("it is silent, and another broker leads now");
            }
        });
    }

    fn suspect(&self, node: NodeId, stage: Stage, abandon: impl FnOnce() + Send + 'static) {
        self.suspects.lock().insert((node, stage), Box::new(abandon));
    }

    /// Ends what is under way to a broker that is silent, and that another one has replaced. The cluster may list it no
    /// longer.
    pub(super) fn abandon(&self, node: NodeId, stage: Stage) {
        let abandon = self.suspects.lock().remove(&(node, stage));
        if let Some(abandon) = abandon {
            abandon();
        }
    }

    /// Forgets every broker but the configured ones, and drops every connection.
    pub(super) fn start_anew(&self) {
        self.known.lock().clear();
        self.bootstrap.forget();
        self.reset();
        self.settings.observer.log.rebootstrapped();
    }

    /// Drops every connection.
    pub(super) fn reset(&self) {
        let slots = std::mem::take(&mut *self.slots.lock());
        for slot in slots.into_values() {
            if let Some(connection) = slot.current.lock().take() {
                connection.wire.retire();
            }
        }
    }
}
