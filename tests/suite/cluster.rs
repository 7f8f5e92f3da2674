//! What the conformance suite needs of a cluster, whatever its kind.

use async_trait::async_trait;
use kafka_testbed::{FakeCluster, JvmCluster, Reader, StoredRecord};

/// Real clusters take turns: on a small machine two would only slow one another down.
pub(crate) static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[async_trait]
pub(crate) trait Cluster: Send + Sync {
    fn bootstrap(&self) -> Vec<String>;
    async fn create_topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]);
    async fn has_topic(&self, name: &str) -> bool;
    /// Reads a topic by every reader that there is; they have to agree.
    async fn read(&self, topic: &str) -> Vec<StoredRecord>;
}

#[async_trait]
impl Cluster for FakeCluster {
    fn bootstrap(&self) -> Vec<String> {
        Self::bootstrap(self)
    }

    async fn create_topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        assert!(Self::create_topic(self, name, partitions), "{name} is there already");
        for (key, value) in configs {
            self.configure_topic(name, key, value);
        }
    }

    async fn has_topic(&self, name: &str) -> bool {
        Self::has_topic(self, name)
    }

    async fn read(&self, topic: &str) -> Vec<StoredRecord> {
        self.all_records(topic)
    }
}

#[async_trait]
impl Cluster for JvmCluster {
    fn bootstrap(&self) -> Vec<String> {
        Self::bootstrap(self)
    }

    async fn create_topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        Self::create_topic(self, name, partitions, configs).await.unwrap();
    }

    async fn has_topic(&self, name: &str) -> bool {
        self.leaders(name).await.is_ok()
    }

    async fn read(&self, topic: &str) -> Vec<StoredRecord> {
        let by_java = Self::read(self, Reader::Java, topic).await.unwrap();
        if Reader::Kcat.is_available() {
            let mut by_kcat = Self::read(self, Reader::Kcat, topic).await.unwrap();
            // kcat's output does not keep headers apart.
            for (kcat, java) in by_kcat.iter_mut().zip(&by_java) {
                kcat.headers.clone_from(&java.headers);
            }
            assert_eq!(by_kcat, by_java, "librdkafka reads what Java reads");
        }
        by_java
    }
}
