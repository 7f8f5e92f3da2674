//! What a schedule runs on: sockets, or a simulated network.

use std::ops::Deref;

use async_trait::async_trait;
use kafka_testbed::{FakeCluster, FakeClusterBuilder, SimCluster, SimNet, Weather};
use rskafka_producer::{ByteStream, ConnectError, Connector, ProducerConfig};

use crate::runner::Watch;
use crate::settings::MS;

/// See the [module](self).
#[derive(Clone)]
pub(crate) enum Ground {
    /// Real time passes in the kernel, so that a seed alone does not always reproduce a run.
    Sockets,
    /// A run is a function of its seed.
    Simulated(SimNet),
}

/// A cluster on either.
pub(crate) type Cluster = Box<dyn Deref<Target = FakeCluster> + Send + Sync>;

struct Simulated(SimNet);

#[async_trait]
impl Connector for Simulated {
    async fn connect(&self, host: &str, port: u16) -> Result<Box<dyn ByteStream>, ConnectError> {
        Ok(Box::new(self.0.connect(host, port).await?))
    }
}

impl Ground {
    pub(crate) fn is_simulated(&self) -> bool {
        matches!(self, Self::Simulated(_))
    }

    pub(crate) async fn start(&self, builder: FakeClusterBuilder) -> Cluster {
        match self {
            Self::Sockets => Box::new(Box::new(builder.start().await.unwrap())),
            Self::Simulated(net) => Box::new(SimCluster::start(net, builder)),
        }
    }

    /// A producer on it.
    pub(crate) fn connected(&self, config: ProducerConfig) -> ProducerConfig {
        match self {
            Self::Sockets => config,
            Self::Simulated(net) => {
                let clock = net.clone();
                let config = config.connector(Simulated(net.clone())).seed(net.random());
                config.wall_clock(move || clock.wall_clock())
            }
        }
    }

    /// The network gets worse, or fine.
    pub(crate) fn turns(&self, random: &mut fastrand::Rng, watch: &Watch) {
        if let (Self::Simulated(net), true) = (self, watch.limits.weather) {
            let latency = [0, 2, 20, 200, 1_500][random.usize(..5)];
            let share = |random: &mut fastrand::Rng| [0.0, 0.0, 0.1, 0.5][random.usize(..4)];
            let weather = Weather::default().latency(MS * random.u32(..=latency)).cuts(share(random));
            net.set_weather(weather.pieces(share(random)).lost(share(random) / 4.0));
        }
    }

    pub(crate) fn clears_up(&self) {
        if let Self::Simulated(net) = self {
            net.set_weather(Weather::default());
        }
    }

    /// Adds to the trace.
    pub(crate) fn note(&self, text: &str) {
        if let Self::Simulated(net) = self {
            net.note(text);
        }
    }
}
