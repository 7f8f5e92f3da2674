//! What all brokers of the cluster share.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use kafka_protocol::messages::ApiKey;
use parking_lot::{Mutex, MutexGuard};

use super::api::Offers;
use super::fault::{Fault, RequestSeen, Rule};
use super::log::Log;
use super::sasl::{Authentications, Sasl};
use super::signal::Signal;
use super::tls::Tls;
use crate::SimNet;

pub(super) type Hook = Arc<dyn Fn(&RequestSeen) -> Option<Fault> + Send + Sync>;

pub(super) struct Shared {
    state: Mutex<State>,
    /// Raised by each change.
    changed: Signal,
}

#[derive(Default)]
pub(super) struct State {
    /// The network in memory that it is on; else it is on sockets.
    pub(super) net: Option<SimNet>,
    pub(super) cluster_id: Option<String>,
    /// The only client id that is served, if one is set.
    pub(super) only_client: Option<String>,
    /// Brokers are numbered from here in what they report.
    pub(super) first_node_id: i32,
    pub(super) topics: BTreeMap<String, Topic>,
    pub(super) nodes: Vec<Node>,
    pub(super) auto_create: bool,
    pub(super) default_partitions: i32,
    pub(super) max_message_bytes: usize,
    pub(super) next_producer_id: i64,
    pub(super) next_connection: u64,
    pub(super) rules: VecDeque<(Rule, Fault)>,
    pub(super) hook: Option<Hook>,
    pub(super) tls: Tls,
    pub(super) sasl: Option<Sasl>,
    pub(super) authentications: Authentications,
    pub(super) edited: u64,
    pub(super) seen: Vec<RequestSeen>,
    pub(super) counts: HashMap<i16, u64>,
}

pub(super) struct Node {
    pub(super) address: SocketAddr,
    pub(super) mode: Mode,
    /// The controller has not heard of it: metadata does not list it.
    pub(super) fenced: bool,
    pub(super) rack: Option<String>,
    pub(super) offers: Offers,
    pub(super) accepted: u64,
    pub(super) open: u64,
}

/// How a broker treats everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Up,
    /// Accepts and reads, and never answers.
    BlackHole,
    /// Accepts, and reads nothing.
    Deaf,
    /// Accepts, and closes at once.
    Reset,
}

#[derive(Default)]
pub(super) struct Topic {
    pub(super) id: u128,
    pub(super) partitions: Vec<Log>,
    pub(super) config: HashMap<String, String>,
}

impl Topic {
    pub(super) fn is(&self, key: &str, value: &str) -> bool {
        self.config.get(key).is_some_and(|set| set == value)
    }
}

impl Shared {
    pub(super) fn new(state: State) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(state), changed: Signal::default() })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(super) fn changed(&self) {
        self.changed.raise();
    }

    pub(super) fn changes(&self) -> &Signal {
        &self.changed
    }
}

impl State {
    pub(super) fn serves(&self, client: Option<&str>) -> bool {
        self.only_client.is_none() || self.only_client.as_deref() == client
    }

    pub(super) fn create_topic(&mut self, name: &str, partitions: i32) -> bool {
        if self.topics.contains_key(name) {
            return false;
        }
        let id = 0xfa4e_0000_0000_0000 + u128::from(self.next_id());
        self.topics.insert(name.to_owned(), Topic { id, ..Topic::default() });
        self.grow_topic(name, partitions);
        true
    }

    /// A number that no other call returns, whatever the cluster.
    pub(super) fn next_id(&self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        self.net.as_ref().map_or_else(|| NEXT.fetch_add(1, Ordering::Relaxed), SimNet::next_id)
    }

    /// The time of day.
    pub(super) fn now(&self) -> SystemTime {
        self.net.as_ref().map_or_else(SystemTime::now, SimNet::wall_clock)
    }

    pub(super) fn grow_topic(&mut self, name: &str, partitions: i32) {
        let nodes = self.nodes.len() as i32;
        let Some(topic) = self.topics.get_mut(name) else {
            return;
        };
        for index in topic.partitions.len() as i32..partitions {
            topic.partitions.push(Log::led_by(index % nodes));
        }
    }

    pub(super) fn log(&mut self, topic: &str, partition: i32) -> Option<&mut Log> {
        self.topics.get_mut(topic)?.partitions.get_mut(usize::try_from(partition).ok()?)
    }

    /// What was written to these partitions is about to be reported as stored.
    pub(super) fn acknowledge(&mut self, partitions: &[(String, i32)]) {
        for (topic, partition) in partitions {
            if let Some(log) = self.log(topic, *partition) {
                log.acknowledge();
            }
        }
    }

    /// The topic with this id.
    pub(super) fn named(&self, id: u128) -> Option<&str> {
        self.topics.iter().find(|(_, topic)| topic.id == id).map(|(name, _)| name.as_str())
    }

    /// The log, if this broker leads it; else Kafka's error code.
    pub(super) fn led(&mut self, topic: &str, partition: i32, node: i32) -> Result<&mut Log, i16> {
        match self.log(topic, partition) {
            None => Err(3),
            Some(log) if log.leader == Some(node) => Ok(log),
            Some(_) => Err(6),
        }
    }

    /// Notes a request, and what is to happen to it.
    pub(super) fn see(&mut self, seen: RequestSeen) -> Option<Fault> {
        *self.counts.entry(seen.api as i16).or_default() += 1;
        let scripted = self.rules.iter_mut().find(|(rule, _)| rule.meets(&seen)).map(|(rule, fault)| {
            if rule.times != usize::MAX {
                rule.times -= 1;
            }
            fault.clone()
        });
        self.rules.retain(|(rule, _)| rule.times > 0);
        let fault = scripted.or_else(|| self.hook.clone().and_then(|hook| hook(&seen)));
        self.seen.push(seen);
        fault
    }

    pub(super) fn count(&self, api: ApiKey) -> u64 {
        self.counts.get(&(api as i16)).copied().unwrap_or(0)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
