//! Throw-away Kafka clusters for tests, examples and anyone's own test suite.
//!
//! * [`FakeCluster`]: in this process, in memory, ready in a millisecond, with faults by script.
//! * [`JvmCluster`]: a real Apache Kafka on this machine, from Maven Central.
//!
//! Both listen on 127.0.0.1 only, on ports asked of the system, and are gone when they are dropped. Neither shares
//! code with the producer: what they say was stored, was stored.

mod certificates;
mod decode;
mod fake;
mod from_env;
mod jvm;
mod proxy;
mod round_trips;
mod sasl;
mod stored;

pub use certificates::{Certificates, Identity};
pub use fake::{
    Api, Authentications, BatchSeen, FakeCluster, FakeClusterBuilder, Fault, RequestSeen, Rule, Sasl,
    StoredBatch,
};
pub use from_env::{EnvCluster, cluster_from_env};
pub use jvm::{Availability, JvmCluster, JvmClusterBuilder, JvmError, Listener, Reader};
pub use proxy::{ConnectionTraffic, FaultProxy, Traffic};
pub use sasl::{Mechanism, PASSWORD, USER, unsecured_token, unsecured_token_at};
pub use stored::StoredRecord;
