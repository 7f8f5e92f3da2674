//! The topics in use: their partitions, who leads them, and the broker that each is sent by.

mod abandoned;
mod bound;
mod describe;
mod history;
mod leaving;
mod moved;
mod overdue;
mod racks;
mod reach;
mod refresh;
mod resolve;
mod topic;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::FixedState;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use tokio::time::Instant;

pub(crate) use bound::Bound;
pub(crate) use topic::{Partitions, Topic, TopicSettings};

use self::history::Incarnation;
use self::leaving::Leaving;
use self::overdue::Overdue;
use self::refresh::Refresher;
use crate::accumulator::{Queue, lost_track};
use crate::core::Core;
use crate::engine::{ClusterMetadata, Leadership, NodeId, TopicMetadata};
use crate::error::{Error, ErrorKind, Fate, Result};
use crate::record::ProducerId;
use crate::resilience::{Breaker, BreakerState};
use crate::sender::{Broker, Partition};
use crate::supervisor::Flight;

/// The topics in use, by name.
type Topics = HashMap<Arc<str>, Arc<Topic>, FixedState>;

/// A request for one topic, shared by all callers that need it.
type Resolving = Flight<Result<Arc<Topic>>>;

pub(crate) struct Metadata {
    /// Looked into for every message, hence the quick hash; seeded, so that names cannot be chosen to collide.
    topics: RwLock<Topics>,
    /// Rises with each change of `topics`.
    version: AtomicU64,
    /// Held while metadata is taken over: two at a time would make a partition twice.
    learning: Mutex<()>,
    leaving: Leaving,
    settings: TopicSettings,
    refresher: Refresher,
    overdue: Overdue,
    /// The id that the cluster reported last, which it may not have: `None` before any was reported.
    id: Mutex<Option<Option<Arc<str>>>>,
    /// One question for each unknown topic at a time; the answers to recent ones.
    resolving: Mutex<HashMap<Arc<str>, Arc<Resolving>>>,
    absent: Mutex<HashMap<Arc<str>, (Instant, Error)>>,
    /// Of the whole cluster.
    breaker: Mutex<Breaker>,
    /// Why the last request about the cluster failed, until one succeeds.
    failure: Mutex<Option<Error>>,
}

impl Metadata {
    pub(crate) fn new(settings: TopicSettings, breaker: Breaker) -> Self {
        Self {
            breaker: Mutex::new(breaker),
            version: AtomicU64::new(0),
            topics: RwLock::new(HashMap::with_hasher(settings.random.hasher())),
            learning: Mutex::default(),
            leaving: Leaving::default(),
            overdue: Overdue::default(),
            id: Mutex::default(),
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

    /// Changes the topics. What `change` returns is dropped without a lock.
    fn change<T>(&self, change: impl FnOnce(&mut Topics) -> T) {
        let unused = change(&mut self.topics.write());
        self.version.fetch_add(1, Ordering::Release);
        drop(unused);
    }

    /// Lends the topics, without taking a share in one.
    #[inline]
    pub(crate) fn lend(&self) -> RwLockReadGuard<'_, Topics> {
        self.topics.read()
    }

    pub(crate) fn partition(&self, topic: &str, partition: i32) -> Option<Arc<Partition>> {
        self.lend().get(topic)?.partitions.all.get(usize::try_from(partition).ok()?).cloned()
    }

    pub(crate) fn topics(&self) -> Vec<Arc<Topic>> {
        self.topics.read().values().cloned().collect()
    }

    /// All partitions, those too of topics that are gone but still have something in flight.
    pub(crate) fn partitions(&self) -> Vec<Arc<Partition>> {
        let leaving = self.leaving.busy(Instant::now());
        let topics = self.topics();
        topics.iter().flat_map(|topic| topic.partitions.all.clone()).chain(leaving).collect()
    }

    pub(crate) fn partitions_of(&self, broker: &Arc<Broker>) -> Vec<Arc<Partition>> {
        let mut partitions = self.partitions();
        partitions.retain(|partition| Arc::ptr_eq(&partition.broker(), broker));
        partitions
    }

    /// Asks for leaders again in the background; many calls make one request.
    pub(crate) fn refresh_soon(&self, core: &Arc<Core>) {
        self.refresher.want(core);
    }

    /// Asks again if the last answer is older than `timeouts.metadata_age`.
    pub(crate) fn refresh_if_old(&self, core: &Arc<Core>, now: Instant) {
        if self.refresher.is_old(now) {
            self.refresher.want(core);
        }
    }

    /// Time since the last answer.
    pub(crate) fn metadata_age(&self) -> Option<std::time::Duration> {
        self.refresher.age(Instant::now())
    }

    /// Takes over what the cluster says of itself.
    pub(crate) fn take_over(&self, core: &Arc<Core>, metadata: &ClusterMetadata) {
        self.identify(core, metadata.cluster_id.as_ref());
        let near = racks::near(&core.config, &metadata.brokers);
        metadata.topics.iter().for_each(|topic| self.learn(core, topic, &near));
    }

    /// Where another cluster answers than before, the producer id may belong to another producer there, and nothing
    /// that is known of topics is about its topics. The id may also come from that very cluster, which answered a request
    /// for one before: then it is kept, since a new one would not fence what is on its way under it.
    fn identify(&self, core: &Arc<Core>, id: Option<&Arc<str>>) {
        let former = self.id.lock().replace(id.cloned());
        if former.is_none_or(|former| former.as_ref() == id) {
            return;
        }
        let is_granted = |granted: ProducerId| core.engine.is_granted_by(granted, id);
        core.producer_id.retire_unless(is_granted);
        self.leaving.cluster_changed(is_granted);
        self.topics().iter().for_each(|topic| topic.history().forget());
        let text = "another cluster answers at the addresses of the brokers; the message may be stored in the former one";
        let error = Error::new(ErrorKind::SequenceLost, text).with_fate(Fate::PossiblyPersisted);
        for partition in self.partitions() {
            core.settle(&partition, &error, |queue, settlement| {
                if !queue.producer_id().is_some_and(is_granted) {
                    queue.cluster_changed(&error, settlement);
                }
            });
            partition.broker().schedule(core, partition.clone());
        }
    }

    /// Takes over what the cluster says of a topic.
    fn learn(&self, core: &Arc<Core>, metadata: &TopicMetadata, near: &HashSet<NodeId>) {
        match &metadata.leaders {
            Ok(leaders) => {
                let new = self.topic(&metadata.name).is_none();
                let recreated = self.learn_leaders(core, metadata, leaders, near);
                if new {
                    core.stats.meet_topic(&metadata.name);
                }
                self.absent.lock().remove(&metadata.name);
                if let Some(topic) = recreated {
                    core.log.topic_recreated(&metadata.name);
                    for partition in &topic.partitions.all {
                        core.settle(partition, &partition.describe(lost_track()), Queue::topic_recreated);
                        partition.belongs_to(metadata.id);
                        partition.broker().schedule(core, partition.clone());
                    }
                }
            }
            Err(code) => self.abandon_if_gone(core, metadata, *code),
        }
    }

    /// The topic, where it is another one than before.
    fn learn_leaders(
        &self,
        core: &Arc<Core>,
        metadata: &TopicMetadata,
        leaders: &[Leadership],
        near: &HashSet<NodeId>,
    ) -> Option<Arc<Topic>> {
        let _turn = self.learning.lock();
        let known = self.topic(&metadata.name);
        let mut incarnation = Incarnation::Same;
        let topic = match &known {
            Some(known) => {
                incarnation = known.history().described(metadata.id);
                if incarnation == Incarnation::Same {
                    known.identify();
                }
                known.led_by(core, leaders, near)
            }
            // What comes back waits for what was sent before it was abandoned, so as not to overtake it.
            None if self.leaving.is_busy(&metadata.name) => None,
            None => {
                let new = Topic::new(metadata.name.clone(), &self.settings);
                new.history().described(metadata.id);
                Some(new.led_by(core, leaders, near).unwrap_or(new))
            }
        };
        if let Some(topic) = topic {
            self.change(|topics| topics.insert(metadata.name.clone(), Arc::new(topic)));
        }
        known.filter(|_| incarnation == Incarnation::Another)
    }

    /// Whether anything waits in a partition that has no leader, or whose leader has just failed: another one may be
    /// elected at any time, and nothing is sent that would show it while the circuit breaker is open.
    fn lacks_leaders(&self) -> bool {
        let now = Instant::now();
        let lacks = |broker: &Broker| {
            let shut = matches!(broker.breaker_state(now), BreakerState::Open | BreakerState::HalfOpen);
            broker.node.is_none() || shut
        };
        self.partitions().iter().any(|partition| lacks(&partition.broker()) && !partition.is_idle())
    }
}
