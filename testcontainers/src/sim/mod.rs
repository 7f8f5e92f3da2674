//! A simulated world.

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

/// A [`FakeCluster`] on a network in memory.
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
