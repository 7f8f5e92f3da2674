//! A program that runs anywhere: on a given cluster, or on one that it starts.

use crate::FakeCluster;

/// The brokers that `KAFKA_BROKERS` names, or a [`FakeCluster`] in this process.
#[derive(Debug)]
pub struct EnvCluster {
    brokers: Vec<String>,
    /// Kept: dropping it ends it.
    fake: Option<FakeCluster>,
}

impl EnvCluster {
    /// `host:port` of every broker.
    #[must_use]
    pub fn bootstrap(&self) -> Vec<String> {
        self.brokers.clone()
    }

    /// The cluster in this process, if it is one.
    #[must_use]
    pub fn fake(&self) -> Option<&FakeCluster> {
        self.fake.as_ref()
    }
}

/// The cluster that `KAFKA_BROKERS=host:port,…` names, which has to have these topics; without that, a new one of
/// three brokers in this process, which has.
///
/// # Errors
///
/// If no port is available.
pub async fn cluster_from_env(topics: &[(&str, i32)]) -> std::io::Result<EnvCluster> {
    if let Ok(list) = std::env::var("KAFKA_BROKERS") {
        return Ok(EnvCluster { brokers: list.split(',').map(str::to_owned).collect(), fake: None });
    }
    let builder = FakeCluster::builder().brokers(3);
    let builder =
        topics.iter().fold(builder, |builder, (name, partitions)| builder.topic(*name, *partitions));
    let cluster = builder.start().await?;
    Ok(EnvCluster { brokers: cluster.bootstrap(), fake: Some(cluster) })
}
