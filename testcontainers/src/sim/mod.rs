//! A simulated world: a fake cluster on a network in memory, one thread, a paused clock, and one seed for all of it.

mod net;
mod pipe;
mod stream;
mod trace;
mod weather;

use std::ops::Deref;

pub(crate) use self::net::SimListener;
pub use self::net::SimNet;
pub use self::stream::SimStream;
pub use self::weather::Weather;
use crate::{FakeCluster, FakeClusterBuilder};

/// A [`FakeCluster`] on a network in memory, with all that it can do: elections, brokers that stop and forget, topics
/// that are created again, another cluster in its place, faults by script.
///
/// Together with [`SimNet::run`] everything is a function of one seed, what a client does too: as long as its code uses the
/// clock of tokio alone, and no other thread, and draws what is random from a seed.
///
/// # Examples
///
/// A hundred small worlds, in which a service and its producer have to cope with a bad network.
///
/// ```
/// use std::time::Duration;
///
/// use async_trait::async_trait;
/// use kafka_testbed::{FakeCluster, SimCluster, SimNet, Weather};
/// use rskafka_producer::{
///     ByteStream, ConnectError, Connector, Context, Message, Producer, ProducerConfig,
/// };
///
/// /// Connects through the simulated network.
/// struct Simulated(SimNet);
///
/// #[async_trait]
/// impl Connector for Simulated {
///     async fn connect(&self, host: &str, port: u16) -> Result<Box<dyn ByteStream>, ConnectError> {
///         Ok(Box::new(self.0.connect(host, port).await?))
///     }
/// }
///
/// /// The service to be tested: it sends each order until it is stored.
/// async fn service(producer: Producer) {
///     for order in 0..10 {
///         let (ctx, order) = (Context::timeout(Duration::from_secs(60)), order.to_string());
///         while producer.send(&ctx, Message::new(order.clone())).await.is_err() {}
///     }
/// }
///
/// async fn world(net: SimNet) -> u64 {
///     let cluster = SimCluster::start(&net, FakeCluster::builder().brokers(3).topic("orders", 1));
///     net.set_weather(Weather::default().latency(Duration::from_millis(200)).cuts(0.5).pieces(0.5));
///     let clock = net.clone();
///     let config = ProducerConfig::new(cluster.bootstrap())
///         .topic("orders")
///         .connector(Simulated(net.clone()))
///         .seed(net.random())
///         .wall_clock(move || clock.wall_clock());
///     let service = tokio::spawn(service(Producer::new(config).unwrap()));
///     // An election while it works.
///     tokio::time::sleep(Duration::from_secs(1)).await;
///     cluster.move_leader("orders", 0, (net.seed() % 3) as i32);
///     service.await.unwrap();
///     let stored: Vec<_> = cluster.records("orders", 0).into_iter().filter_map(|record| record.value).collect();
///     let expected: Vec<_> = (0..10).map(|order| order.to_string()).collect();
///     assert_eq!(stored, expected, "seed {}", net.seed());
///     net.trace_hash()
/// }
///
/// for seed in 0..100 {
///     SimNet::run(seed, world);
/// }
/// // A run is a function of its seed.
/// assert_eq!(SimNet::run(7, world), SimNet::run(7, world));
/// ```
#[derive(Debug)]
pub struct SimCluster {
    cluster: FakeCluster,
    net: SimNet,
}

impl SimCluster {
    /// Starts a cluster on this network.
    ///
    /// # Panics
    ///
    /// If the network has no ports left, after some fifty thousand.
    #[must_use]
    pub fn start(net: &SimNet, builder: FakeClusterBuilder) -> Self {
        let cluster = builder.on(net.clone()).unwrap_or_else(|error| panic!("no port is left: {error}"));
        Self { cluster, net: net.clone() }
    }

    /// The network that it is on.
    #[must_use]
    pub fn net(&self) -> &SimNet {
        &self.net
    }
}

impl Deref for SimCluster {
    type Target = FakeCluster;

    fn deref(&self) -> &FakeCluster {
        &self.cluster
    }
}
