//! The place of the connection to one address: the connection, the attempt to make it, and how that goes.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::connection::{Connection, Settings, unreachable};
use super::listener::Listener;
use crate::config::Address;
use crate::engine::Link;
use crate::error::Error;

/// The place of one connection.
pub(super) struct Slot {
    pub(super) listener: Arc<Listener>,
    pub(super) current: Mutex<Option<Arc<Connection>>>,
    /// Held while connecting, so that one attempt serves all callers that wait.
    pub(super) attempts: tokio::sync::Mutex<Attempts>,
    /// Notified when the connection that is being made is no longer wanted.
    pub(super) abandoned: Notify,
    pub(super) progress: Mutex<Progress>,
}

/// How far the present attempt has come, and why the last one failed.
#[derive(Debug, Default)]
pub(super) struct Progress {
    since: Option<Instant>,
    pub(super) failed: Option<Error>,
}

/// An attempt to connect, however it ends.
pub(super) struct Trying<'a> {
    slot: &'a Slot,
    address: &'a Address,
    pub(super) done: bool,
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
pub(super) struct Attempts {
    pub(super) failed: u32,
    pub(super) hold: Option<(Instant, Error)>,
}

impl Slot {
    pub(super) fn new(answered: Arc<AtomicBool>) -> Self {
        let listener = Arc::new(Listener::new(answered));
        Self {
            listener,
            current: Mutex::default(),
            attempts: tokio::sync::Mutex::default(),
            abandoned: Notify::new(),
            progress: Mutex::default(),
        }
    }

    pub(super) fn trying<'a>(&'a self, address: &'a Address) -> Trying<'a> {
        self.progress.lock().since = Some(Instant::now());
        Trying { slot: self, address, done: false }
    }

    pub(super) fn link(&self, broker: impl Fn() -> Arc<str>, now: Instant) -> Option<Link> {
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

    pub(super) fn fresh(&self, settings: &Settings) -> Option<Arc<Connection>> {
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

/// A connection under construction holds its place for at most this long.
const LONGEST_IN_PLACE: Duration = Duration::from_secs(1);

/// Opens a connection in one of `places`. One that takes long gives its place up: brokers that are silent do not keep
/// others from being connected to.
pub(super) async fn in_place<T>(opening: impl Future<Output = T>, places: Option<&Semaphore>) -> T {
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
