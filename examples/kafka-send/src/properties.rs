//! A configuration from Kafka's own names of settings.

use std::time::Duration;

use rskafka_producer::{Acks, Compression, Partitioning, ProducerConfig};

pub(crate) fn config(properties: &[(String, String)]) -> Result<ProducerConfig, String> {
    let mut config = ProducerConfig::default();
    for (name, value) in properties {
        set(&mut config, name, value).map_err(|problem| format!("{name}={value}: {problem}"))?;
    }
    Ok(config)
}

fn set(config: &mut ProducerConfig, name: &str, value: &str) -> Result<(), String> {
    match name {
        "bootstrap.servers" => {
            config.brokers = value.split(',').map(|entry| entry.trim().to_owned()).collect()
        }
        "client.id" => config.client_id = value.to_owned(),
        "acks" => {
            config.acks = match value {
                "all" | "-1" => Acks::All,
                "1" => Acks::Leader,
                _ => return Err("expected all or 1".into()),
            }
        }
        "enable.idempotence" => config.idempotence = number::<bool>(value)?.into(),
        "compression.type" => {
            let known = Compression::ALL.into_iter().find(|codec| codec.as_str() == value);
            config.batch.compression = known.ok_or("expected none, gzip, snappy, lz4 or zstd")?;
        }
        "partitioner" => {
            config.partitioning = match value {
                "murmur2_random" => Partitioning::Murmur2,
                "consistent_random" => Partitioning::Crc32,
                "fnv1a_random" => Partitioning::Fnv1a,
                _ => return Err("expected murmur2_random, consistent_random or fnv1a_random".into()),
            }
        }
        "linger.ms" => config.batch.linger = millis(value)?,
        "batch.size" => config.batch.max_bytes = number(value)?,
        "max.request.size" => config.batch.max_request_bytes = number(value)?,
        "buffer.memory" => config.buffer.max_bytes = number(value)?,
        "max.block.ms" => config.buffer.max_wait = millis(value)?,
        "max.in.flight.requests.per.connection" => config.bulkhead.max_in_flight = number(value)?,
        "delivery.timeout.ms" => config.timeouts.delivery = millis(value)?,
        "request.timeout.ms" => config.timeouts.request = millis(value)?,
        "socket.connection.setup.timeout.ms" => config.timeouts.connect = millis(value)?,
        "connections.max.idle.ms" => config.timeouts.idle = millis(value)?,
        "metadata.max.age.ms" => config.timeouts.metadata_age = millis(value)?,
        "retry.backoff.ms" => config.retry.backoff = millis(value)?,
        "retry.backoff.max.ms" => config.retry.max_backoff = millis(value)?,
        "allow.auto.create.topics" => config.allow_auto_create_topics = number(value)?,
        _ => return Err("no such property".into()),
    }
    Ok(())
}

fn number<T: std::str::FromStr<Err: std::fmt::Display>>(value: &str) -> Result<T, String> {
    value.parse().map_err(|problem: T::Err| problem.to_string())
}

fn millis(value: &str) -> Result<Duration, String> {
    number(value).map(Duration::from_millis)
}
