//! Questions about the producer and the cluster.

use async_trait::async_trait;

use super::producer::Producer;
use crate::context::Context;
use crate::error::Result;
use crate::health::{Health, HealthCheck, HealthDetail};
use crate::message::Message;
use crate::producer::{Explanation, Liveness, PartitionInfo};
use crate::telemetry::Stats;

impl Producer {
    /// Whether [`close`](Self::close) was called.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn example(producer: &rskafka_producer::blocking::Producer) {
    /// if !producer.is_closed() {
    ///     drop(producer.try_enqueue(rskafka_producer::Message::new("v")));
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.asynchronous().is_closed()
    }

    /// Checks that messages can be delivered.
    ///
    /// As [`Producer::health`](crate::Producer::health).
    ///
    /// # Errors
    ///
    /// `KAFKA_BROKERS_UNAVAILABLE` with the cause: no broker answers, every circuit breaker is open, or the producer is
    /// closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::Context;
    ///
    /// # fn example(producer: rskafka_producer::blocking::Producer) {
    /// if let Err(error) = producer.health(&Context::timeout(Duration::from_secs(1))) {
    ///     eprintln!("Kafka is unavailable: {error}");
    /// }
    /// # }
    /// ```
    pub fn health(&self, ctx: &Context) -> Result<()> {
        self.waiter().wait(ctx, self.asynchronous().health(ctx))
    }

    /// Returns a liveness check for a [`HealthRegistry`](crate::HealthRegistry): whether the producer's tasks make progress.
    /// For readiness, register the producer itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::{HealthKind, HealthRegistry, Registration};
    ///
    /// # fn example(producer: rskafka_producer::blocking::Producer) -> rskafka_producer::Result<()> {
    /// let registry = HealthRegistry::new();
    /// registry.register(producer.clone())?;
    /// registry.register_with(Registration::default().kind(HealthKind::Liveness), producer.liveness())?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn liveness(&self) -> Liveness {
        self.asynchronous().liveness()
    }

    /// Returns the partitions of a topic by index, with the leader of each.
    ///
    /// As [`Producer::partitions`](crate::Producer::partitions).
    ///
    /// # Errors
    ///
    /// `UnknownTopic` if the topic does not exist, `InvalidTopic` if it cannot, `Authorization` if it may not be
    /// described; `DeadlineExceeded` or `Cancelled` with the last failure as its cause when `ctx` ends first; `Closed`
    /// after [`close`](Self::close).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::Context;
    ///
    /// # fn example(producer: rskafka_producer::blocking::Producer) -> rskafka_producer::Result<()> {
    /// let partitions = producer.partitions(&Context::timeout(Duration::from_secs(5)), "orders")?;
    /// println!("{} partitions", partitions.len());
    /// # Ok(())
    /// # }
    /// ```
    pub fn partitions(&self, ctx: &Context, topic: &str) -> Result<Vec<PartitionInfo>> {
        self.waiter().wait(ctx, self.asynchronous().partitions(ctx, topic))
    }

    /// Returns the id of the cluster (Kafka: `cluster.id`); `None` where it does not report one.
    ///
    /// As [`Producer::cluster_id`](crate::Producer::cluster_id).
    ///
    /// # Errors
    ///
    /// `DeadlineExceeded` or `Cancelled` with the last failure as its cause when `ctx` ends first; what refuses a login;
    /// `Closed` after [`close`](Self::close).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::Context;
    ///
    /// # fn example(producer: rskafka_producer::blocking::Producer) -> rskafka_producer::Result<()> {
    /// let id = producer.cluster_id(&Context::timeout(Duration::from_secs(5)))?;
    /// println!("sending to cluster {}", id.as_deref().unwrap_or("(unknown)"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn cluster_id(&self, ctx: &Context) -> Result<Option<String>> {
        self.waiter().wait(ctx, self.asynchronous().cluster_id(ctx))
    }

    /// Returns the most bytes that a message takes on the wire, alone in a batch and before compression.
    ///
    /// As [`Producer::estimated_size`](crate::Producer::estimated_size).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn example(producer: rskafka_producer::blocking::Producer) {
    /// let message = rskafka_producer::Message::new(vec![0; 2_000_000]);
    /// assert!(producer.estimated_size(&message) > 1_000_000);
    /// # }
    /// ```
    #[must_use]
    pub fn estimated_size(&self, message: &Message) -> usize {
        self.asynchronous().estimated_size(message)
    }

    /// Returns a snapshot of the counters.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn example(producer: &rskafka_producer::blocking::Producer) {
    /// println!("{} stored", producer.stats().records_acked);
    /// # }
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.asynchronous().stats()
    }

    /// Explains what waits at the moment, and why.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn example(producer: &rskafka_producer::blocking::Producer) {
    /// println!("{:#}", producer.explain());
    /// # }
    /// ```
    #[must_use]
    pub fn explain(&self) -> Explanation {
        self.asynchronous().explain()
    }
}

#[async_trait]
impl HealthCheck for Producer {
    fn name(&self) -> &str {
        self.asynchronous().name()
    }

    async fn check(&self, ctx: &Context) -> Health {
        self.asynchronous().check(ctx).await
    }

    fn details(&self) -> Vec<HealthDetail> {
        self.asynchronous().details()
    }
}
