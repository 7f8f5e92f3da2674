//! The brokers that are known, and the one connection to each.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::connection::{Connection, Settings, unreachable};
use super::dial::HEAD_START;
use super::handshake::{Answered, Wanted};
use super::listener::Listener;
use crate::config::Address;
use crate::engine::{Link, NodeId};
use crate::error::{Error, ErrorKind, Result, list};

/// After a failure no new attempt is made for so long; it doubles up to the second.
const RECONNECT_BACKOFF: Duration = Duration::from_millis(50);
const RECONNECT_BACKOFF_MAX: Duration = Duration::from_secs(1);
/// A connection under construction holds its place for so long at most.
const LONGEST_IN_PLACE: Duration = Duration::from_secs(1);
/// Within this time every broker of a list is being tried, however long the list.
const WHOLE_HEAD_START: Duration = Duration::from_millis(800);
/// Refused credentials are not tried again for so long, so that no account is locked.
const AUTHENTICATION_HOLD: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Brokers {
    bootstrap: Vec<Address>,
    settings: Settings,
    connecting: Semaphore,
    known: Mutex<HashMap<NodeId, Known>>,
    /// By address, so that a broker of the bootstrap list and the same one of the metadata share a connection.
    slots: Mutex<HashMap<Address, Arc<Slot>>>,
    /// Whether any broker ever answered.
    answered: Arc<AtomicBool>,
}

/// A broker of the metadata.
#[derive(Clone, Debug)]
struct Known {
    address: Arc<Address>,
    name: Arc<str>,
}

/// The place of one connection.
#[derive(Debug)]
struct Slot {
    listener: Arc<Listener>,
    current: Mutex<Option<Arc<Connection>>>,
    /// Held while connecting, so that one attempt serves all who wait.
    attempts: tokio::sync::Mutex<Attempts>,
    progress: Mutex<Progress>,
}

/// How far the present attempt has come, and why the last one failed.
#[derive(Debug, Default)]
struct Progress {
    since: Option<Instant>,
    failed: Option<Error>,
}

/// An attempt to connect, however it ends.
struct Trying<'a> {
    slot: &'a Slot,
    address: &'a Address,
    done: bool,
}

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        let mut progress = self.slot.progress.lock();
        if let (Some(since), false) = (progress.since.take(), self.done) {
            let why = format!("no answer for {:.1?} when its caller stopped waiting", since.elapsed());
            progress.failed = Some(unreachable(self.address, &why));
        }
    }
}

#[derive(Debug, Default)]
struct Attempts {
    failed: u32,
    hold: Option<(Instant, Error)>,
}

impl Slot {
    fn new(answered: Arc<AtomicBool>) -> Self {
        let listener = Arc::new(Listener::new(answered));
        Self {
            listener,
            current: Mutex::default(),
            attempts: tokio::sync::Mutex::default(),
            progress: Mutex::default(),
        }
    }

    fn trying<'a>(&'a self, address: &'a Address) -> Trying<'a> {
        self.progress.lock().since = Some(Instant::now());
        Trying { slot: self, address, done: false }
    }

    fn link(&self, broker: impl Fn() -> Arc<str>, now: Instant) -> Option<Link> {
        let connection = self.current.lock().clone().filter(|connection| connection.is_alive());
        if let Some(connection) = connection {
            let since = now.saturating_duration_since(connection.silent_since(now)?);
            return Some(Link::Silent { broker: broker(), since });
        }
        let progress = self.progress.lock();
        let last = progress.failed.clone();
        match (progress.since, last) {
            (Some(since), last) => {
                let since = now.saturating_duration_since(since);
                Some(Link::Connecting { broker: broker(), since, last })
            }
            (None, Some(last)) => Some(Link::Failed { broker: broker(), last }),
            (None, None) => None,
        }
    }

    fn fresh(&self, settings: &Settings) -> Option<Arc<Connection>> {
        let mut current = self.current.lock();
        match &*current {
            Some(connection) if connection.is_fresh(settings) => Some(connection.clone()),
            Some(_) => {
                *current = None;
                None
            }
            None => None,
        }
    }
}

impl Brokers {
    pub(super) fn new(bootstrap: Vec<Address>, settings: Settings, max_connecting: usize) -> Self {
        Self {
            bootstrap,
            settings,
            connecting: Semaphore::new(max_connecting),
            known: Mutex::default(),
            slots: Mutex::default(),
            answered: Arc::default(),
        }
    }

    /// The address of a broker, as the metadata told.
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
                .reduce(Link::telling),
        }
    }

    /// Takes over what the metadata told; connections to brokers that are gone are dropped.
    pub(super) fn learn(&self, brokers: impl IntoIterator<Item = (NodeId, Address)>) {
        let known = |address: Address| Known { name: address.to_string().into(), address: Arc::new(address) };
        let brokers: HashMap<_, _> =
            brokers.into_iter().map(|(node, address)| (node, known(address))).collect();
        if brokers.is_empty() {
            return;
        }
        self.slots.lock().retain(|address, _| {
            self.bootstrap.contains(address) || brokers.values().any(|known| *known.address == *address)
        });
        *self.known.lock() = brokers;
    }

    /// The connection to this broker, made if need be.
    pub(super) async fn connection(&self, address: &Address) -> Result<Arc<Connection>> {
        self.connection_for(address, None, Some(&self.connecting)).await.map(|(connection, _)| connection)
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
                connection.watch(self.settings.observer.opened(name.into(), started));
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

    /// A connection that stands, or the first that can be made to any broker: of the bootstrap list, for that
    /// is what a name server may have changed, and of the last metadata. One that has to be made asks for what is
    /// wanted as it is made.
    pub(super) async fn any(&self, wanted: Option<Wanted<'_>>) -> Result<(Arc<Connection>, Answered)> {
        let slots: Vec<_> = self.slots.lock().values().cloned().collect();
        if let Some(connection) = slots.iter().find_map(|slot| slot.fresh(&self.settings)) {
            return Ok((connection, Answered::default()));
        }
        let mut candidates = self.bootstrap.clone();
        for known in self.known.lock().values() {
            if !candidates.contains(&known.address) {
                candidates.push((*known.address).clone());
            }
        }
        self.race(&candidates, wanted).await
    }

    async fn race(
        &self,
        candidates: &[Address],
        wanted: Option<Wanted<'_>>,
    ) -> Result<(Arc<Connection>, Answered)> {
        let head_start = HEAD_START.min(WHOLE_HEAD_START / candidates.len().max(1) as u32);
        let mut attempts = FuturesUnordered::new();
        let mut waiting = candidates.iter();
        let mut failures = Vec::new();
        loop {
            match waiting.next() {
                // Their number is bounded by the list, and none waits for another.
                Some(address) => attempts.push(self.connection_for(address, wanted, None)),
                None if attempts.is_empty() => return Err(none_reachable(&failures)),
                None => {}
            }
            let next = async {
                match waiting.len() {
                    0 => std::future::pending().await,
                    _ => tokio::time::sleep(head_start).await,
                }
            };
            tokio::select! {
                Some(done) = attempts.next() => match done {
                    Ok(connected) => return Ok(connected),
                    Err(error) => failures.push(error),
                },
                () = next => {}
            }
        }
    }

    /// Whether the broker there is known to recognise each of the last five batches of a producer.
    pub(super) fn remembers_five_batches(&self, address: &Address) -> bool {
        self.slots.lock().get(address).is_some_and(|slot| slot.listener.remembers_five_batches())
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Drops every connection.
    pub(super) fn reset(&self) {
        for slot in self.slots.lock().drain() {
            if let Some(connection) = slot.1.current.lock().take() {
                connection.retire();
            }
        }
    }
}

/// Opens a connection in one of `places`. One that takes long gives its place up: brokers that are silent do not keep
/// others from being connected to.
async fn in_place<T>(opening: impl Future<Output = T>, places: Option<&Semaphore>) -> T {
    let Some(places) = places else {
        return opening.await;
    };
    let place = places.acquire().await;
    tokio::pin!(opening);
    if let Ok(opened) = tokio::time::timeout(LONGEST_IN_PLACE, &mut opening).await {
        return opened;
    }
    drop(place);
    opening.await
}

/// One error for all brokers: the cause that someone has to act on wins over a broker that is merely away.
fn none_reachable(failures: &[Error]) -> Error {
    let telling = |error: &&Error| {
        matches!(
            error.kind(),
            ErrorKind::Authentication | ErrorKind::InvalidConfig | ErrorKind::Tls | ErrorKind::Protocol
        )
    };
    if let [only] = failures {
        return only.clone();
    }
    let kind = failures.iter().find(telling).map_or(ErrorKind::Unreachable, Error::kind);
    let retry_after = failures.iter().filter_map(Error::retry_after).min();
    let first = failures.iter().filter(telling);
    let others = failures.iter().filter(|failure| !telling(failure));
    let text = format!("no broker can be used: {}", list(first.chain(others)));
    let hopeless = failures.iter().all(|error| error.is_lasting());
    let error = match failures.iter().find(telling).filter(|_| hopeless) {
        // What the table says about it holds for all of them.
        Some(first) => first.clone().with_text(text),
        None => Error::new(kind, text),
    };
    error.with_retry_after(retry_after)
}
