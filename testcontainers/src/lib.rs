#![doc = include_str!("../README.md")]

mod certificates;
mod decode;
#[cfg(feature = "docker")]
mod docker;
mod fake;
mod from_env;
mod jvm;
mod proxy;
mod round_trips;
mod sasl;
mod stored;

pub use certificates::{Certificates, Identity};
#[cfg(feature = "docker")]
pub use docker::{DockerCluster, DockerClusterBuilder, DockerError};
pub use fake::{
    Api, Authentications, BatchSeen, Edit, Extreme, FakeCluster, FakeClusterBuilder, Fault, RequestSeen,
    Rule, Sasl, StoredBatch,
};
pub use from_env::{EnvCluster, cluster_from_env};
pub use jvm::{Availability, JvmCluster, JvmClusterBuilder, JvmError, Listener, Reader};
pub use proxy::{ConnectionTraffic, FaultProxy, Traffic};
pub use sasl::{Mechanism, PASSWORD, USER, unsecured_token, unsecured_token_at};
pub use stored::StoredRecord;
