//! A topic that was not used before: what the cluster knows of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Metadata, Resolving, Topic};
use crate::core::Core;
use crate::engine::{Ask, ClusterMetadata};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::supervisor::{Flight, Progress};

/// A topic that was never used counts as unknown once every answer of this long said so: one that was just created is
/// unknown to some brokers for about 100 ms, and a misspelt name is reported within a second.
pub(super) const UNKNOWN_AFTER: Duration = Duration::from_millis(500);
/// One that the cluster is to create counts as refused after this long: creation takes some hundred milliseconds, during
/// which the topic is unknown as well.
const NOT_CREATED_AFTER: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a request goes on after its last caller: one that has less time than an answer takes may come again, and finds
/// it then.
const OUTLIVES_CALLERS: Duration = Duration::from_secs(10);
/// How long an unknown topic is not looked up again.
const ABSENT_FOR: Duration = Duration::from_millis(500);

impl Metadata {
    /// The topic, requested if need be, once for all callers that wait for it.
    ///
    /// Retries what may change; `last` holds the reason for the latest retry.
    ///
    /// # Cancel safety
    ///
    /// The request goes on for [`OUTLIVES_CALLERS`].
    pub(crate) async fn resolve(
        &self,
        core: &Arc<Core>,
        name: &Arc<str>,
        last: &mut Option<Error>,
    ) -> Result<Arc<Topic>> {
        let new = || Arc::new(Flight::outliving_callers(OUTLIVES_CALLERS));
        let flight = self.resolving.lock().entry(name.clone()).or_insert_with(new).clone();
        let asking = Asking { core: core.clone(), name: name.clone(), flight };
        let begin = |progress| {
            let asking = asking.clone();
            async move {
                let Asking { core, name, .. } = &asking;
                core.metadata.ask_until_known(core, name, &progress).await
            }
        };
        asking.flight.join(&core.supervisor, "resolve a topic", last, begin).await?
    }

    /// Whether this topic is being requested.
    pub(crate) fn is_resolving(&self, name: &Arc<str>) -> bool {
        self.resolving.lock().contains_key(name)
    }

    /// Topics that are being asked about, since when, and what has gone wrong so far.
    pub(crate) fn unresolved(&self) -> Vec<(Arc<str>, Instant, Option<Error>)> {
        let under_way =
            |(name, flight): (&Arc<str>, &Arc<Resolving>)| Some((name.clone(), flight.under_way()?));
        let resolving: Vec<_> = self.resolving.lock().iter().filter_map(under_way).collect();
        // What they hold is examined and dropped without holding the lock.
        let unresolved = |(name, work): (Arc<str>, Progress<_>)| {
            let (begun, last) = work.unfinished()?;
            Some((name, begun, last))
        };
        resolving.into_iter().filter_map(unresolved).collect()
    }

    async fn ask_until_known(
        &self,
        core: &Arc<Core>,
        name: &Arc<str>,
        progress: &Progress<Result<Arc<Topic>>>,
    ) -> Result<Arc<Topic>> {
        let mut pause = FIRST_PAUSE;
        let mut unknown_since = None;
        loop {
            if let Some(topic) = self.topic(name) {
                return Ok(topic);
            }
            if let Some(error) = self.known_absent(name) {
                return Err(error);
            }
            if let Some(error) = self.fail_fast(core, Instant::now()) {
                return Err(error.with_topic(name.clone()));
            }
            let asked = Instant::now();
            let answer = core.engine.metadata(std::slice::from_ref(name), Ask::ForMessages).await;
            self.heard(core, asked, &answer);
            let error = match answer {
                Ok(metadata) => match self.take_in(core, name, &metadata) {
                    Ok(topic) => return Ok(topic),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            let mut wait = core.pacing.jitter(pause);
            if error.kind() == ErrorKind::UnknownTopic {
                let unknown_for = unknown_since.get_or_insert_with(Instant::now).elapsed();
                let creates = core.config.allow_auto_create_topics;
                let limit = if creates { NOT_CREATED_AFTER } else { UNKNOWN_AFTER };
                if unknown_for >= limit {
                    let error = if creates { not_created(name, error) } else { error };
                    self.absent.lock().insert(name.clone(), (Instant::now(), error.clone()));
                    return Err(error);
                }
                // Asked a few times within that time, the last time at its end.
                wait = pause.min(limit.saturating_sub(unknown_for).max(FIRST_PAUSE));
                pause += pause / 2;
            } else {
                unknown_since = None;
            }
            if error.row().retry == Retry::No {
                return Err(error);
            }
            progress.failed(Some(error));
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn take_in(&self, core: &Arc<Core>, name: &Arc<str>, metadata: &ClusterMetadata) -> Result<Arc<Topic>> {
        let about = metadata.topics.iter().find(|topic| topic.name == *name);
        let Some(about) = about else {
            return Err(unknown(name, Error::from_broker(3, None)));
        };
        if let Err(code) = about.leaders {
            return Err(unknown(name, Error::from_broker(code, None)));
        }
        self.refresher.answered_in_part();
        self.take_over(core, metadata);
        self.topic(name).ok_or_else(|| still_leaving(name))
    }

    fn known_absent(&self, name: &Arc<str>) -> Option<Error> {
        let mut absent = self.absent.lock();
        absent.retain(|_, (at, _)| at.elapsed() < ABSENT_FOR);
        absent.get(name).map(|(_, error)| error.clone())
    }
}

/// A request for a topic, or a caller that waits for one. Cleans up after itself however it ends.
#[derive(Clone)]
struct Asking {
    core: Arc<Core>,
    name: Arc<str>,
    flight: Arc<Flight<Result<Arc<Topic>>>>,
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut resolving = self.core.metadata.resolving.lock();
        // The map has one, and this; others wait still.
        if Arc::strong_count(&self.flight) <= 2 {
            resolving.remove(&self.name);
        }
    }
}

fn still_leaving(name: &Arc<str>) -> Error {
    let text = format!("messages that were sent to topic {name:?} before it was gone are not answered yet");
    Error::new(ErrorKind::Broker, text)
}

fn not_created(name: &Arc<str>, error: Error) -> Error {
    error.with_text(format!(
        "the cluster did not create topic {name:?}: auto.create.topics.enable is off there? Create the topic, or have it \
         enabled"
    ))
}

pub(super) fn unknown(name: &Arc<str>, error: Error) -> Error {
    let text = match error.kind() {
        ErrorKind::UnknownTopic => format!(
            "topic {name:?} does not exist: create it, or set allow_auto_create_topics (allow.auto.create.topics) where \
             the cluster creates topics itself"
        ),
        _ => format!("topic {name:?} cannot be used: {error}"),
    };
    error.with_text(text).with_topic(name.clone())
}
