#![doc = include_str!("../README.md")]

mod availability;
mod certificates;
mod cluster_proxy;
mod decode;
#[cfg(feature = "docker")]
mod docker;
mod fake;
mod foreign;
mod from_env;
mod home;
mod identity_server;
mod jvm;
mod proxy;
mod round_trips;
mod sasl;
mod sim;
mod stored;

pub use availability::Availability;
pub use certificates::{Certificates, Identity};
pub use cluster_proxy::ClusterProxy;
#[cfg(feature = "docker")]
pub use docker::{DockerCluster, DockerClusterBuilder, DockerError};
pub use fake::{
    Api, Authentications, BatchSeen, Edit, Extreme, FakeCluster, FakeClusterBuilder, Fault, RequestSeen,
    Rule, Sasl, StoredBatch,
};
pub use foreign::{ForeignError, KfakeCluster, KfakeClusterBuilder, LibrdkafkaMock};
pub use from_env::{EnvCluster, cluster_from_env};
pub use identity_server::{IdentityServer, TokenRequest};
pub use jvm::{
    JvmCluster, JvmClusterBuilder, JvmError, Listener, OldKafka, Reader, ZooKeeperCluster,
    ZooKeeperClusterBuilder, read_by_kcat,
};
pub use proxy::{ConnectionTraffic, FaultProxy, Traffic};
pub use sasl::{Mechanism, PASSWORD, USER, unsecured_token, unsecured_token_at};
pub use sim::{SimCluster, SimNet, SimStream, Weather};
pub use stored::StoredRecord;
