//! A Kafka cluster in this process.

mod api;
mod builder;
mod connection;
mod edit;
mod fault;
mod identity;
mod log;
mod node;
mod sasl;
mod signal;
mod state;
mod tls;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

pub use kafka_protocol::messages::ApiKey as Api;
use parking_lot::Mutex;

pub use self::builder::FakeClusterBuilder;
pub use self::edit::{Edit, Extreme};
pub use self::fault::{BatchSeen, Fault, RequestSeen, Rule};
pub use self::log::StoredBatch;
use self::node::Listening;
pub use self::sasl::{Authentications, Sasl};
use self::state::{Mode, Shared};
use crate::{StoredRecord, decode};

/// A Kafka cluster in this process: any number of brokers over one state, strict where Kafka is strict, with faults
/// by script.
///
/// It checks what a real broker checks of a batch (leader, CRC, counts, sizes, codec, idempotent sequences) and
/// keeps batches whole. It knows no consumer groups, transactions or replication. Dropping it closes every socket.
///
/// ```
/// # async fn test() -> std::io::Result<()> {
/// use kafka_testbed::{Api, FakeCluster, Fault, Rule};
///
/// let cluster = FakeCluster::builder().brokers(3).topic("events", 3).start().await?;
/// // The next produce request is stored, and its answer is lost.
/// cluster.inject(Rule::on(Api::Produce), Fault::Disconnect.after_apply());
/// # let my_producer = |_| ();
/// my_producer(cluster.bootstrap());
/// assert_eq!(cluster.records("events", 0).len(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FakeCluster {
    shared: Arc<Shared>,
    nodes: Mutex<Vec<Option<Listening>>>,
}

impl FakeCluster {
    /// How to make one: brokers, topics, limits.
    #[must_use]
    pub fn builder() -> FakeClusterBuilder {
        FakeClusterBuilder::default()
    }

    /// One broker with one topic.
    ///
    /// # Errors
    ///
    /// If no port is available.
    pub async fn with_topic(topic: &str, partitions: i32) -> std::io::Result<Self> {
        Self::builder().topic(topic, partitions).start().await
    }

    /// `host:port` of every broker.
    #[must_use]
    pub fn bootstrap(&self) -> Vec<String> {
        self.shared.lock().nodes.iter().map(|node| node.address.to_string()).collect()
    }

    /// Address of one broker.
    #[must_use]
    pub fn address(&self, node: i32) -> SocketAddr {
        self.shared.lock().nodes[node as usize].address
    }

    // ----- topics

    /// Creates a topic; `false` if it is there.
    pub fn create_topic(&self, name: &str, partitions: i32) -> bool {
        self.change(|state| state.create_topic(name, partitions))
    }

    /// Sets a topic's configuration: `cleanup.policy`, `message.timestamp.type` and `max.message.bytes` count.
    pub fn configure_topic(&self, name: &str, key: &str, value: &str) {
        self.change(|state| {
            if let Some(topic) = state.topics.get_mut(name) {
                topic.config.insert(key.to_owned(), value.to_owned());
            }
        });
    }

    /// Deletes a topic; `false` if there is none.
    pub fn delete_topic(&self, name: &str) -> bool {
        self.change(|state| state.topics.remove(name).is_some())
    }

    /// Raises a topic's number of partitions.
    pub fn grow_topic(&self, name: &str, partitions: i32) {
        self.change(|state| state.grow_topic(name, partitions));
    }

    /// Names of all topics.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        self.shared.lock().topics.keys().cloned().collect()
    }

    /// Whether there is such a topic.
    #[must_use]
    pub fn has_topic(&self, name: &str) -> bool {
        self.shared.lock().topics.contains_key(name)
    }

    /// Makes another broker the leader.
    pub fn move_leader(&self, topic: &str, partition: i32, node: i32) {
        self.set_leader(topic, partition, Some(node));
    }

    /// Makes nobody the leader.
    pub fn remove_leader(&self, topic: &str, partition: i32) {
        self.set_leader(topic, partition, None);
    }

    fn set_leader(&self, topic: &str, partition: i32, node: Option<i32>) {
        self.change(|state| {
            if let Some(log) = state.log(topic, partition) {
                log.leader = node;
                log.epoch += 1;
            }
        });
    }

    /// The leader of a partition.
    #[must_use]
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        self.shared.lock().log(topic, partition)?.leader
    }

    /// Forgets every idempotent producer of a partition, as a broker does whose log was truncated.
    pub fn forget_producers(&self, topic: &str, partition: i32) {
        self.change(|state| {
            if let Some(log) = state.log(topic, partition) {
                log.forget_producers();
            }
        });
    }

    /// Loses the end of a partition's log, as a new leader does that was not yet sent it: all batches behind the last one
    /// of which a producer heard that it is stored. What is known of producers follows from what is left. Returns the number
    /// of records that are gone.
    pub fn lose_unacknowledged(&self, topic: &str, partition: i32) -> i64 {
        self.change(|state| state.log(topic, partition).map_or(0, |log| log.lose_unacknowledged()))
    }

    /// Loses the end of a partition's log from this offset on, whatever producers have heard: as a new leader does where
    /// they did not wait for all replicas. Batches stay whole. Returns the number of records that are gone.
    pub fn truncate(&self, topic: &str, partition: i32, offset: i64) -> i64 {
        self.change(|state| state.log(topic, partition).map_or(0, |log| log.truncate(offset)))
    }

    // ----- what was stored

    /// The offset after the last record; `None` if there is no such partition.
    #[must_use]
    pub fn high_watermark(&self, topic: &str, partition: i32) -> Option<i64> {
        self.shared.lock().log(topic, partition).map(|log| log.next)
    }

    /// The batches of a partition.
    #[must_use]
    pub fn batches(&self, topic: &str, partition: i32) -> Vec<StoredBatch> {
        self.shared.lock().log(topic, partition).map(|log| log.batches.clone()).unwrap_or_default()
    }

    /// The records of a partition, in order.
    ///
    /// # Panics
    ///
    /// If a batch does not decode, which a test wants to know.
    #[must_use]
    pub fn records(&self, topic: &str, partition: i32) -> Vec<StoredRecord> {
        let batches = self.batches(topic, partition);
        let decoded = batches.iter().flat_map(|batch| {
            let records =
                decode::records(topic, partition, batch.base_offset, batch.append_time, &batch.bytes);
            records.unwrap_or_else(|error| {
                panic!("the batch at offset {} does not decode: {error}", batch.base_offset)
            })
        });
        decoded.collect()
    }

    /// The records of all partitions of a topic.
    ///
    /// # Panics
    ///
    /// As [`records`](Self::records).
    #[must_use]
    pub fn all_records(&self, topic: &str) -> Vec<StoredRecord> {
        let partitions = self.shared.lock().topics.get(topic).map_or(0, |t| t.partitions.len());
        (0..partitions as i32).flat_map(|partition| self.records(topic, partition)).collect()
    }

    // ----- what was asked

    /// How many requests of this kind came.
    #[must_use]
    pub fn requests(&self, api: Api) -> u64 {
        self.shared.lock().count(api)
    }

    /// Every request that came, in order.
    #[must_use]
    pub fn seen(&self) -> Vec<RequestSeen> {
        self.shared.lock().seen.clone()
    }

    /// Connections that a broker accepted since it was made.
    #[must_use]
    pub fn connections_accepted(&self, node: i32) -> u64 {
        self.shared.lock().nodes[node as usize].accepted
    }

    /// Connections that are open at a broker.
    #[must_use]
    pub fn connections_open(&self, node: i32) -> u64 {
        self.shared.lock().nodes[node as usize].open
    }

    /// How often clients authenticated.
    #[must_use]
    pub fn authentications(&self) -> Authentications {
        self.shared.lock().authentications
    }

    /// Changes what the brokers demand from now on: a password, a lifetime, the mechanisms. Who is in stays in. Without
    /// effect on a cluster that was made without [`sasl`](FakeClusterBuilder::sasl).
    pub fn set_sasl(&self, sasl: Sasl) {
        self.change(|state| state.sasl = state.sasl.take().map(|_| sasl));
    }

    /// Waits until `condition` holds. It is looked at after every change, so that no test has to sleep.
    pub async fn wait_until(&self, condition: impl Fn(&Self) -> bool) {
        loop {
            let seen = self.shared.changes().count();
            if condition(self) {
                return;
            }
            self.shared.changes().beyond(seen).await;
        }
    }

    // ----- versions

    /// Has a broker offer an API in these versions from now on, as after an upgrade or a downgrade. `ApiVersions` lists
    /// them as they are, and the broker closes the connection at a request outside of them; what this cluster does not
    /// understand is only listed.
    pub fn offer(&self, node: i32, api: Api, versions: RangeInclusive<i16>) {
        let range = (*versions.start(), *versions.end());
        self.change(|state| state.nodes[node as usize].offers.insert(api as i16, range));
    }

    /// Has a broker not offer an API any more.
    pub fn withdraw(&self, node: i32, api: Api) {
        self.change(|state| state.nodes[node as usize].offers.remove(&(api as i16)));
    }

    // ----- faults

    /// Has the next requests that `rule` meets go wrong. Rules are looked at in the order in which they came.
    pub fn inject(&self, rule: Rule, fault: Fault) {
        self.change(|state| state.rules.push_back((rule, fault)));
    }

    /// Asks `hook` about every request that no rule meets.
    pub fn on_request(&self, hook: impl Fn(&RequestSeen) -> Option<Fault> + Send + Sync + 'static) {
        self.change(|state| state.hook = Some(Arc::new(hook)));
    }

    /// How many answers were changed by [`Fault::Edit`]: an edit of a field that an answer does not have changes nothing.
    #[must_use]
    pub fn edited(&self) -> u64 {
        self.shared.lock().edited
    }

    /// Forgets every rule and hook.
    pub fn heal(&self) {
        self.change(|state| {
            state.rules.clear();
            state.hook = None;
        });
    }

    /// Has a broker accept connections and read, and never answer; open connections too.
    pub fn black_hole(&self, node: i32) {
        self.set_mode(node, Mode::BlackHole);
    }

    /// Has a broker accept connections and not even read.
    pub fn stop_reading(&self, node: i32) {
        self.set_mode(node, Mode::Deaf);
    }

    /// Has a broker accept connections and close them at once; open ones too.
    pub fn reset_connections(&self, node: i32) {
        self.set_mode(node, Mode::Reset);
        self.cut_connections(node);
    }

    /// Has a broker behave again.
    pub fn behave(&self, node: i32) {
        self.set_mode(node, Mode::Up);
    }

    fn set_mode(&self, node: i32, mode: Mode) {
        self.change(|state| state.nodes[node as usize].mode = mode);
    }

    /// Closes every open connection of a broker.
    pub fn cut_connections(&self, node: i32) {
        if let Some(listening) = &self.nodes.lock()[node as usize] {
            listening.cut();
        }
    }

    /// Ends a broker: its connections close, and new ones are refused.
    pub async fn stop(&self, node: i32) {
        let listening = self.nodes.lock()[node as usize].take();
        if let Some(listening) = listening {
            listening.end().await;
        }
        self.shared.changed();
    }

    /// Starts a broker again, on the port that it had.
    ///
    /// # Errors
    ///
    /// If the port is taken meanwhile.
    pub fn start(&self, node: i32) -> std::io::Result<()> {
        let address = self.address(node);
        self.start_at(node, address)
    }

    /// Starts a broker again, on another port; its metadata has the new one.
    ///
    /// # Errors
    ///
    /// If no port is available.
    pub fn start_elsewhere(&self, node: i32) -> std::io::Result<()> {
        self.start_at(node, SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    fn start_at(&self, node: i32, address: SocketAddr) -> std::io::Result<()> {
        let listening = Listening::start(&self.shared, node, address)?;
        self.change(|state| state.nodes[node as usize].address = listening.address());
        self.nodes.lock()[node as usize] = Some(listening);
        Ok(())
    }

    fn change<T>(&self, change: impl FnOnce(&mut state::State) -> T) -> T {
        let result = change(&mut self.shared.lock());
        self.shared.changed();
        result
    }
}
