//! Who answers at an address: another cluster, another topic of the same name, another broker, or nobody at the moment.

use super::FakeCluster;
use super::state::{Mode, State};

impl FakeCluster {
    /// The cluster id that its brokers report; `None` where they report none.
    #[must_use]
    pub fn cluster_id(&self) -> Option<String> {
        self.shared.lock().cluster_id.clone()
    }

    /// Has the brokers report this cluster id from now on, or none, as brokers before Kafka 0.10.1 do.
    pub fn set_cluster_id(&self, id: Option<&str>) {
        self.change(|state| state.cluster_id = id.map(str::to_owned));
    }

    /// Has a broker report this rack from now on, or none.
    pub fn set_rack(&self, node: i32, rack: Option<&str>) {
        self.change(|state| state.nodes[node as usize].rack = rack.map(str::to_owned));
    }

    /// Lets two clusters change places, as when one is taken down and another is started at its addresses: everything that
    /// was stored, granted and configured moves, addresses and faults stay. All connections are cut. Both clusters need the
    /// same number of brokers.
    ///
    /// ```
    /// # async fn test() -> std::io::Result<()> {
    /// use kafka_testbed::FakeCluster;
    ///
    /// let blue = FakeCluster::with_topic("orders", 1).await?;
    /// let green = FakeCluster::with_topic("orders", 1).await?;
    /// // A producer of `blue` finds another cluster at its address.
    /// blue.exchange(&green);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the clusters differ in their number of brokers.
    pub fn exchange(&self, other: &Self) {
        let nodes = self.bootstrap().len() as i32;
        assert_eq!(nodes, other.bootstrap().len() as i32, "the clusters have different numbers of brokers");
        for node in 0..nodes {
            self.cut_connections(node);
            other.cut_connections(node);
        }
        let mut moving = State::default();
        self.change(|state| state.swap_contents(&mut moving));
        other.change(|state| state.swap_contents(&mut moving));
        self.change(|state| state.swap_contents(&mut moving));
    }

    /// Lets two brokers change their addresses; their connections are cut.
    pub fn exchange_addresses(&self, one: i32, other: i32) {
        let mut nodes = self.nodes.lock();
        nodes.swap(one as usize, other as usize);
        for node in [one, other] {
            if let Some(listening) = &nodes[node as usize] {
                listening.serve(node);
                listening.cut();
            }
        }
        self.change(|state| {
            let address = state.nodes[one as usize].address;
            state.nodes[one as usize].address = state.nodes[other as usize].address;
            state.nodes[other as usize].address = address;
        });
    }

    /// Deletes a topic and creates it again in the same instant, empty and with another id; `false` if there is none.
    pub fn recreate_topic(&self, name: &str, partitions: i32) -> bool {
        self.change(|state| state.topics.remove(name).is_some() && state.create_topic(name, partitions))
    }

    /// Forgets every idempotent producer of every partition, as brokers do whose producers were idle for longer than
    /// `producer.id.expiration.ms`.
    pub fn expire_producers(&self) {
        self.change(|state| {
            let logs = state.topics.values_mut().flat_map(|topic| &mut topic.partitions);
            logs.for_each(|log| log.forget_producers());
        });
    }

    /// Freezes a broker, as SIGSTOP does: its sockets stay, new connections are accepted by the system, and nothing is
    /// read or answered until it [thaws](Self::thaw).
    pub fn freeze(&self, node: i32) {
        self.set_mode(node, Mode::Deaf);
    }

    /// Lets a frozen broker go on with what has arrived meanwhile.
    pub fn thaw(&self, node: i32) {
        self.set_mode(node, Mode::Up);
    }

    /// Has the metadata of all brokers no longer list this one, as after its session with the controller has ended. What it
    /// leads it keeps until its [leadership moves](Self::move_leader).
    pub fn fence(&self, node: i32) {
        self.change(|state| state.nodes[node as usize].fenced = true);
    }

    /// Has metadata list a broker again.
    pub fn unfence(&self, node: i32) {
        self.change(|state| state.nodes[node as usize].fenced = false);
    }
}

/// Another one for each cluster of a process, and as long as the others, so that answers are of the same length.
pub(super) fn new_cluster_id(state: &State) -> String {
    match &state.net {
        Some(net) => format!("simulated-{}", net.next_id()),
        None => format!("fake-{}-{:06}", std::process::id(), state.next_id()),
    }
}

impl State {
    /// Exchanges all that belongs to a cluster rather than to its addresses or its test.
    fn swap_contents(&mut self, other: &mut Self) {
        let swap = std::mem::swap::<Self>;
        swap(self, other);
        // Back to where they were.
        std::mem::swap(&mut self.nodes, &mut other.nodes);
        std::mem::swap(&mut self.next_connection, &mut other.next_connection);
        std::mem::swap(&mut self.rules, &mut other.rules);
        std::mem::swap(&mut self.hook, &mut other.hook);
        std::mem::swap(&mut self.tls, &mut other.tls);
        std::mem::swap(&mut self.seen, &mut other.seen);
        std::mem::swap(&mut self.counts, &mut other.counts);
    }
}
