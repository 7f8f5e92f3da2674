//! The topics in use: their partitions, who leads them, and the lane that each is sent by.

mod history;
mod reach;
mod refresh;
mod resolve;
mod topic;

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

pub(crate) use topic::{Partitions, Topic, TopicSettings};

use self::refresh::Refresher;
use crate::accumulator::Partition;
use crate::engine::TopicMetadata;
use crate::error::{Error, ErrorKind, Result};
use crate::producer::Core;
use crate::resilience::{Breaker, CircuitBreakerConfig};
use crate::sender::Lane;
use crate::supervisor::Flight;

#[derive(Debug)]
pub(crate) struct Cluster {
    /// Looked into for every message, hence the quick hash; seeded, so that names cannot be chosen to collide.
    topics: RwLock<HashMap<Arc<str>, Arc<Topic>, RandomState>>,
    /// Held while metadata is taken over: two at a time would make a partition twice.
    learning: Mutex<()>,
    /// Partitions of topics that are gone, until their batches in flight are answered.
    leaving: Mutex<Vec<Arc<Partition>>>,
    settings: TopicSettings,
    refresher: Refresher,
    /// One question for each unknown topic at a time; the answers to recent ones.
    resolving: Mutex<HashMap<Arc<str>, Arc<Flight<Result<Arc<Topic>>>>>>,
    absent: Mutex<HashMap<Arc<str>, (Instant, Error)>>,
    /// Of the whole cluster.
    breaker: Mutex<Breaker>,
    /// Why the last request about the cluster failed, until one succeeds.
    failure: Mutex<Option<Error>>,
}

impl Cluster {
    pub(crate) fn new(settings: TopicSettings, breaker: CircuitBreakerConfig) -> Self {
        Self {
            breaker: Mutex::new(Breaker::new(breaker)),
            topics: RwLock::default(),
            learning: Mutex::default(),
            leaving: Mutex::default(),
            refresher: Refresher::new(settings.metadata_age),
            settings,
            resolving: Mutex::default(),
            absent: Mutex::default(),
            failure: Mutex::default(),
        }
    }

    pub(crate) fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.read().get(name).cloned()
    }

    /// Looks at a topic without taking a share in it.
    #[inline]
    pub(crate) fn with_topic<T>(&self, name: &str, look: impl FnOnce(Option<&Arc<Topic>>) -> T) -> T {
        look(self.topics.read().get(name))
    }

    pub(crate) fn topics(&self) -> Vec<Arc<Topic>> {
        self.topics.read().values().cloned().collect()
    }

    /// All partitions, those too of topics that are gone but still have something in flight.
    pub(crate) fn partitions(&self) -> Vec<Arc<Partition>> {
        let mut leaving = self.leaving.lock();
        leaving.retain(|partition| !partition.is_idle());
        let topics = self.topics();
        topics.iter().flat_map(|topic| topic.partitions.all.clone()).chain(leaving.iter().cloned()).collect()
    }

    pub(crate) fn partitions_of(&self, lane: &Arc<Lane>) -> Vec<Arc<Partition>> {
        let mut partitions = self.partitions();
        partitions.retain(|partition| Arc::ptr_eq(&partition.lane(), lane));
        partitions
    }

    /// Asks for leaders again in the background; many calls make one request.
    pub(crate) fn refresh_soon(&self, core: &Arc<Core>) {
        self.refresher.want(core);
    }

    /// Asks again if the last answer is older than `timeouts.metadata_age`.
    pub(crate) fn refresh_if_old(&self, core: &Arc<Core>) {
        if self.refresher.is_old(Instant::now()) {
            self.refresher.want(core);
        }
    }

    /// Time since the last answer.
    pub(crate) fn metadata_age(&self) -> Option<std::time::Duration> {
        self.refresher.age(Instant::now())
    }

    /// Takes over what the cluster says of a topic.
    pub(crate) fn learn(&self, core: &Arc<Core>, metadata: &TopicMetadata) {
        match &metadata.leaders {
            Ok(leaders) => {
                let _turn = self.learning.lock();
                let topic = match self.topic(&metadata.name) {
                    Some(known) => {
                        known.history().described(metadata.id);
                        known.led_by(core, leaders)
                    }
                    None => {
                        let new = Topic::new(metadata.name.clone(), &self.settings);
                        new.history().described(metadata.id);
                        Some(new.led_by(core, leaders).unwrap_or(new))
                    }
                };
                if let Some(topic) = topic {
                    self.topics.write().insert(metadata.name.clone(), Arc::new(topic));
                }
                self.absent.lock().remove(&metadata.name);
            }
            Err(code) => self.learn_error(core, metadata, *code),
        }
    }

    fn learn_error(&self, core: &Arc<Core>, metadata: &TopicMetadata, code: i16) {
        let _turn = self.learning.lock();
        let Some(topic) = self.topic(&metadata.name) else {
            return;
        };
        let row = crate::error::row(code);
        let fatal = row.retry == crate::error::Retry::No;
        let denied = || topic.history().denied(topic.progress().1, Instant::now());
        let gone = fatal || (row.kind == ErrorKind::UnknownTopic && denied());
        if !gone {
            return;
        }
        self.topics.write().remove(&metadata.name);
        let error = Error::for_topic(code, &metadata.name);
        let partitions = &topic.partitions;
        self.leaving.lock().extend(partitions.all.iter().cloned());
        for partition in &partitions.all {
            core.stats.failed(&metadata.name, partition.abandon(&error), &error);
            // Should the topic come back, its sequence numbers begin again above those of what is still on its way.
            if let Some(used) = partition.producer_id() {
                core.identities.outgrow(used);
            }
        }
    }

    /// Forgets topics that were not used for `timeouts.metadata_idle`, so that nobody asks for them any more. A message
    /// that comes later has them asked for again.
    fn forget_unused(&self, core: &Arc<Core>, now: Instant) {
        let _turn = self.learning.lock();
        let unused = |topic: &Arc<Topic>| {
            let unused_for = topic.history().unused_for(topic.progress().0, now);
            unused_for >= self.settings.metadata_idle && topic.is_idle()
        };
        for topic in self.topics().into_iter().filter(unused) {
            self.topics.write().remove(topic.name());
            self.leaving.lock().extend(topic.partitions.all.iter().cloned());
            for partition in &topic.partitions.all {
                partition.close();
                // Should it be used again, its sequence numbers begin again above those that brokers remember.
                if let Some(used) = partition.producer_id() {
                    core.identities.outgrow(used);
                }
            }
            core.stats.forget_topic(topic.name());
        }
    }

    /// Whether anything waits in a partition that nobody leads.
    fn lacks_leaders(&self) -> bool {
        self.partitions().iter().any(|p| p.lane().node().is_none() && !p.is_idle())
    }
}
