//! What an administrator does, in milliseconds instead of a JVM's start.

use std::time::Duration;

use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    AlterClientQuotasRequest, AlterPartitionReassignmentsRequest, BrokerId, CreateAclsRequest,
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, ElectLeadersRequest, MetadataRequest,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::wire::Wire;
use super::{JvmCluster, JvmError, Result};

const LIMIT_MS: i32 = 20_000;

fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Ids of the brokers that this one knows.
pub(crate) async fn brokers(address: &str) -> Result<Vec<i32>> {
    let request = MetadataRequest::default().with_topics(Some(Vec::new()));
    let answer = Wire::connect(address).await?.request(&request, 4).await?;
    Ok(answer.brokers.iter().map(|broker| broker.node_id.0).collect())
}

/// A connection to the first of these that answers.
async fn wire(addresses: &[String]) -> Result<Wire> {
    let mut last = None;
    for address in addresses {
        match Wire::connect(address).await {
            Ok(wire) => return Ok(wire),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| std::io::ErrorKind::NotConnected.into()).into())
}

/// The same on one broker that may be as old as Kafka 0.11.
pub(crate) async fn create_topic_on_old(
    addresses: &[String],
    topic: &str,
    partitions: i32,
    cleanup_policy: &str,
) -> Result<()> {
    let config = CreatableTopicConfig::default()
        .with_name(text("cleanup.policy"))
        .with_value(Some(text(cleanup_policy)));
    let asked = CreatableTopic::default()
        .with_name(name(topic))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(vec![config]);
    let request = CreateTopicsRequest::default().with_topics(vec![asked]).with_timeout_ms(LIMIT_MS);
    let answer = wire(addresses).await?.request(&request, 2).await?;
    refuse(answer.topics.first().map_or(-1, |topic| topic.error_code), || format!("create topic {topic}"))?;
    until_led(addresses, topic, partitions).await
}

/// Creates a topic, and waits until each partition has a leader.
pub(crate) async fn create_topic(
    addresses: &[String],
    topic: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> Result<()> {
    let configs = configs.iter().map(|(key, value)| {
        CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value)))
    });
    let topic_request = CreatableTopic::default()
        .with_name(name(topic))
        .with_num_partitions(partitions)
        .with_replication_factor(-1)
        .with_configs(configs.collect());
    let request = CreateTopicsRequest::default().with_topics(vec![topic_request]).with_timeout_ms(LIMIT_MS);
    let answer = wire(addresses).await?.request(&request, 5).await?;
    let code = answer.topics.first().map_or(-1, |topic| topic.error_code);
    refuse(code, || format!("create topic {topic}"))?;
    until_led(addresses, topic, partitions).await
}

async fn until_led(addresses: &[String], topic: &str, partitions: i32) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        let leaders = leaders(addresses, topic).await.unwrap_or_default();
        if leaders.len() == partitions as usize && leaders.iter().all(Option::is_some) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(JvmError::Refused { what: format!("topic {topic} has no leaders"), code: 5 })
}

/// Leaders of a topic's partitions; `None` where there is none. A broker that is frozen holds up no other.
pub(crate) async fn leaders(addresses: &[String], topic: &str) -> Result<Vec<Option<i32>>> {
    let mut questions = JoinSet::new();
    for address in addresses {
        let address = address.clone();
        let asked = MetadataRequestTopic::default().with_name(Some(name(topic)));
        let request =
            MetadataRequest::default().with_topics(Some(vec![asked])).with_allow_auto_topic_creation(false);
        questions.spawn(async move { Wire::connect(&address).await?.request(&request, 4).await });
    }
    let mut answer = Err(std::io::ErrorKind::NotConnected.into());
    while let (Err(_), Some(next)) = (&answer, questions.join_next().await) {
        answer = next.map_err(std::io::Error::other).and_then(|answer| answer);
    }
    let answer = answer?;
    let found = answer.topics.first();
    refuse(found.map_or(-1, |t| t.error_code), || format!("describe topic {topic}"))?;
    let mut leaders: Vec<_> = found
        .iter()
        .flat_map(|t| &t.partitions)
        .map(|p| (p.partition_index, Some(p.leader_id.0).filter(|id| *id >= 0)))
        .collect();
    leaders.sort_unstable();
    Ok(leaders.into_iter().map(|(_, leader)| leader).collect())
}

impl JvmCluster {
    async fn wire(&self) -> Result<Wire> {
        wire(&self.bootstrap()).await
    }

    /// Creates a topic with the cluster's replication factor, and waits until each partition has a leader.
    ///
    /// # Errors
    ///
    /// If the cluster refuses it.
    pub async fn create_topic(&self, topic: &str, partitions: i32, configs: &[(&str, &str)]) -> Result<()> {
        create_topic(&self.bootstrap(), topic, partitions, configs).await
    }

    /// Deletes a topic.
    ///
    /// # Errors
    ///
    /// If the cluster refuses it.
    pub async fn delete_topic(&self, topic: &str) -> Result<()> {
        let request =
            DeleteTopicsRequest::default().with_topic_names(vec![name(topic)]).with_timeout_ms(LIMIT_MS);
        let answer = self.wire().await?.request(&request, 4).await?;
        refuse(answer.responses.first().map_or(-1, |r| r.error_code), || format!("delete topic {topic}"))
    }

    /// Raises a topic's number of partitions.
    ///
    /// # Errors
    ///
    /// If the cluster refuses it.
    pub async fn grow_topic(&self, topic: &str, partitions: i32) -> Result<()> {
        let growth = CreatePartitionsTopic::default().with_name(name(topic)).with_count(partitions);
        let request = CreatePartitionsRequest::default().with_topics(vec![growth]).with_timeout_ms(LIMIT_MS);
        let answer = self.wire().await?.request(&request, 1).await?;
        refuse(answer.results.first().map_or(-1, |r| r.error_code), || format!("grow topic {topic}"))
    }

    /// Leaders of a topic's partitions; `None` where there is none.
    ///
    /// # Errors
    ///
    /// If no node answers, or the topic is unknown.
    pub async fn leaders(&self, topic: &str) -> Result<Vec<Option<i32>>> {
        leaders(&self.bootstrap(), topic).await
    }

    /// Waits until a partition has a leader other than `not`; how long that took.
    ///
    /// # Errors
    ///
    /// If that takes longer than a minute.
    pub async fn wait_for_leader(
        &self,
        topic: &str,
        partition: i32,
        not: Option<i32>,
    ) -> Result<(i32, Duration)> {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(60) {
            let leaders = self.leaders(topic).await.unwrap_or_default();
            match leaders.get(partition as usize) {
                Some(Some(leader)) if Some(*leader) != not => return Ok((*leader, started.elapsed())),
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        Err(JvmError::Refused { what: format!("wait for a leader of {topic}/{partition}"), code: 5 })
    }

    /// Makes another node the leader of a partition, by making it the preferred one and electing that.
    ///
    /// # Errors
    ///
    /// If the cluster refuses it.
    pub async fn move_leader(&self, topic: &str, partition: i32, node: i32) -> Result<()> {
        let mut replicas: Vec<_> = self.node_ids().map(BrokerId).collect();
        replicas.sort_by_key(|id| id.0 != node);
        let moved =
            ReassignablePartition::default().with_partition_index(partition).with_replicas(Some(replicas));
        let moved = ReassignableTopic::default().with_name(name(topic)).with_partitions(vec![moved]);
        let request =
            AlterPartitionReassignmentsRequest::default().with_timeout_ms(LIMIT_MS).with_topics(vec![moved]);
        let answer = self.wire().await?.request(&request, 0).await?;
        let code = answer
            .responses
            .first()
            .and_then(|t| t.partitions.first())
            .map_or(answer.error_code, |p| p.error_code);
        refuse(code, || format!("reassign {topic}/{partition}"))?;
        let elected = TopicPartitions::default().with_topic(name(topic)).with_partitions(vec![partition]);
        let request = ElectLeadersRequest::default()
            .with_election_type(0)
            .with_topic_partitions(Some(vec![elected]))
            .with_timeout_ms(LIMIT_MS);
        let answer = self.wire().await?.request(&request, 2).await?;
        let result = answer.replica_election_results.first().and_then(|t| t.partition_result.first());
        match result.map_or(answer.error_code, |p| p.error_code) {
            // ELECTION_NOT_NEEDED
            84 => Ok(()),
            code => refuse(code, || format!("elect {node} for {topic}/{partition}")),
        }
    }

    /// Limits every client to so many bytes per second, or lifts the limit.
    ///
    /// # Errors
    ///
    /// If the cluster refuses it.
    pub async fn set_producer_quota(&self, bytes_per_second: Option<f64>) -> Result<()> {
        let entity = EntityData::default().with_entity_type(text("client-id")).with_entity_name(None);
        let op = OpData::default()
            .with_key(text("producer_byte_rate"))
            .with_value(bytes_per_second.unwrap_or_default())
            .with_remove(bytes_per_second.is_none());
        let entry = EntryData::default().with_entity(vec![entity]).with_ops(vec![op]);
        let request = AlterClientQuotasRequest::default().with_entries(vec![entry]);
        let answer = self.wire().await?.request(&request, 0).await?;
        refuse(answer.entries.first().map_or(-1, |e| e.error_code), || "set a quota".to_owned())
    }

    /// Forbids a user to write to a topic. Everyone else keeps the right. Needs [`authorized`](super::JvmClusterBuilder::authorized).
    ///
    /// # Errors
    ///
    /// If the cluster refuses it, as it does without an authorizer.
    pub async fn deny_write(&self, topic: &str, user: &str) -> Result<()> {
        // Numbers of Kafka's AclBinding: topic, literal; everyone may do everything, this user may not write.
        let rule = |principal: &str, operation, permission| {
            AclCreation::default()
                .with_resource_type(2)
                .with_resource_name(text(topic))
                .with_resource_pattern_type(3)
                .with_principal(text(&format!("User:{principal}")))
                .with_host(text("*"))
                .with_operation(operation)
                .with_permission_type(permission)
        };
        let rules = vec![rule("*", 2, 3), rule(user, 4, 2)];
        let request = CreateAclsRequest::default().with_creations(rules);
        let answer = self.wire().await?.request(&request, 1).await?;
        for result in answer.results {
            refuse(result.error_code, || format!("forbid {user} to write to {topic}"))?;
        }
        Ok(())
    }
}

fn refuse(code: i16, what: impl FnOnce() -> String) -> Result<()> {
    match code {
        0 => Ok(()),
        code => Err(JvmError::Refused { what: what(), code }),
    }
}
