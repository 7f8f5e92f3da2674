//! Promises, on brokers that are not ours and not the newest Kafka: librdkafka's mock cluster, franz-go's kfake, and old
//! releases of Apache Kafka. What was stored is read back by kcat.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kafka;
mod kfake;
mod librdkafka;
mod promises;
