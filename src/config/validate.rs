//! What is refused, and in which words.

use std::time::Duration;

use super::{Acks, Address, DnsLookup, Idempotence, ProducerConfig, SocketConfig};
use crate::config::Capabilities;
use crate::error::{Error, ErrorKind, Result, quoted};
use crate::topic_name;

/// What the protocol's signed 32-bit sizes can hold, with room for a request's header.
const MAX_BATCH_BYTES: usize = (1 << 30) - 1_024;

/// A request's header, and a small message.
const MIN_REQUEST_BYTES: usize = crate::record::REQUEST_OVERHEAD + 1_024;

pub(super) fn validate(config: &ProducerConfig) -> Result<()> {
    let mut problems = Vec::new();
    brokers(config, &mut problems);
    topic(config, &mut problems);
    batch(config, &mut problems);
    timeouts(config, &mut problems);
    limits(config, &mut problems);
    engine(config, &mut problems);
    security(config, &mut problems);
    config.circuit_breaker.validate(&mut problems);
    config.rate_limit.validate(&mut problems);
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidConfig, problems.join("; ")))
}

fn brokers(config: &ProducerConfig, problems: &mut Vec<String>) {
    if config.brokers.is_empty() {
        problems.push("brokers (bootstrap.servers) is empty; name at least one host:port".into());
    }
    for entry in &config.brokers {
        if let Err(problem) = Address::parse(entry) {
            problems.push(format!("brokers (bootstrap.servers): {} {problem}", quoted(entry)));
        }
    }
}

fn topic(config: &ProducerConfig, problems: &mut Vec<String>) {
    if let Some(Err(problem)) = config.topic.as_deref().map(topic_name::check) {
        problems.push(format!("topic: {problem}"));
    }
    if config.client_id.len() > 249 {
        problems.push("client_id (client.id) is longer than 249 bytes".into());
    }
    for (name, kafka, value) in [
        ("client_software_name", "client.software.name", &config.client_software_name),
        ("client_software_version", "client.software.version", &config.client_software_version),
    ] {
        if !is_software(value) {
            problems.push(format!(
                "{name} ({kafka}) is {}; brokers accept up to 249 letters, digits, '.' and '-', a letter or digit first \
                 and last",
                quoted(value)
            ));
        }
    }
    if config.partitioner_rack_aware && config.client_rack.as_deref().is_none_or(str::is_empty) {
        problems
            .push("partitioner_rack_aware (partitioner.rack.aware) needs client_rack (client.rack)".into());
    }
}

/// What brokers accept as the name and version of a client's software (KIP-511).
fn is_software(text: &str) -> bool {
    let ends = |end: Option<char>| end.is_some_and(|c| c.is_ascii_alphanumeric());
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    text.len() <= 249
        && ends(text.chars().next())
        && ends(text.chars().next_back())
        && text.chars().all(allowed)
}

fn batch(config: &ProducerConfig, problems: &mut Vec<String>) {
    let batch = &config.batch;
    if batch.max_bytes > MAX_BATCH_BYTES {
        problems.push(format!(
            "batch.max_bytes (batch.size) is {}; expected at most {MAX_BATCH_BYTES}",
            batch.max_bytes
        ));
    }
    if batch.max_request_bytes < MIN_REQUEST_BYTES {
        problems.push(format!(
            "batch.max_request_bytes (max.request.size) is {}, which leaves little room for messages beside the header of \
             a request; expected at least {MIN_REQUEST_BYTES}",
            batch.max_request_bytes
        ));
    }
    if let Err(problem) = batch.compression.validate() {
        problems.push(problem);
    }
    for (name, kafka, level, most) in [
        ("batch.gzip_level", "compression.gzip.level", batch.gzip_level, 9),
        ("batch.zstd_level", "compression.zstd.level", batch.zstd_level, 22),
    ] {
        if !(1..=most).contains(&level) {
            problems.push(format!("{name} ({kafka}) is {level}; expected 1 to {most}"));
        }
    }
    if config.buffer.max_bytes < batch.full_at() {
        problems.push(format!(
            "buffer.max_bytes (buffer.memory) is {}, less than one batch of batch.max_bytes ({})",
            config.buffer.max_bytes,
            batch.full_at()
        ));
    }
    if u32::try_from(config.buffer.max_bytes).is_err() {
        problems.push("buffer.max_bytes (buffer.memory) is over 4 GiB".into());
    }
}

fn timeouts(config: &ProducerConfig, problems: &mut Vec<String>) {
    let timeouts = &config.timeouts;
    let retry = &config.retry;
    for (name, kafka, value) in [
        ("timeouts.connect", "socket.connection.setup.timeout.ms", timeouts.connect),
        ("timeouts.request", "request.timeout.ms", timeouts.request),
        ("timeouts.delivery", "delivery.timeout.ms", timeouts.delivery),
        ("timeouts.idle", "connections.max.idle.ms", timeouts.idle),
        ("timeouts.metadata_age", "metadata.max.age.ms", timeouts.metadata_age),
        ("timeouts.metadata_idle", "metadata.max.idle.ms", timeouts.metadata_idle),
        ("retry.backoff", "retry.backoff.ms", retry.backoff),
        ("retry.max_backoff", "retry.backoff.max.ms", retry.max_backoff),
    ] {
        if value.is_zero() {
            problems.push(format!("{name} ({kafka}) is zero"));
        }
        if value > Duration::from_millis(i32::MAX as u64) {
            problems.push(format!("{name} ({kafka}) is longer than 24 days, which Kafka cannot express"));
        }
    }
    if timeouts.delivery < timeouts.request.saturating_add(config.batch.linger) {
        problems.push(format!(
            "timeouts.delivery (delivery.timeout.ms, {:?}) is shorter than timeouts.request ({:?}) + batch.linger \
             ({:?})",
            timeouts.delivery, timeouts.request, config.batch.linger
        ));
    }
    if retry.backoff > retry.max_backoff {
        problems.push("retry.backoff (retry.backoff.ms) is longer than retry.max_backoff".into());
    }
    if retry.max_attempts == Some(0) {
        problems.push("retry.max_attempts (retries + 1) is 0; the first attempt counts".into());
    }
}

fn limits(config: &ProducerConfig, problems: &mut Vec<String>) {
    let bulkhead = &config.bulkhead;
    if bulkhead.max_in_flight == 0 {
        problems.push(
            "bulkhead.max_in_flight (max.in.flight.requests.per.connection) is 0; nothing could be sent"
                .into(),
        );
    }
    if config.is_idempotent() && bulkhead.max_in_flight > 5 {
        problems.push(format!(
            "bulkhead.max_in_flight (max.in.flight.requests.per.connection) is {}; idempotence keeps order for at \
             most 5",
            bulkhead.max_in_flight
        ));
    }
    for (name, kafka, bytes) in [
        ("socket.send_buffer", "send.buffer.bytes", config.socket.send_buffer),
        ("socket.receive_buffer", "receive.buffer.bytes", config.socket.receive_buffer),
    ] {
        if let Some(bytes) = bytes.filter(|bytes| *bytes == 0 || i32::try_from(*bytes).is_err()) {
            problems
                .push(format!("{name} ({kafka}) is {bytes}; expected 1 to 2147483647, or the system's (-1)"));
        }
    }
    if !(bulkhead.topic_share > 0.0 && bulkhead.topic_share <= 1.0) {
        problems.push(format!(
            "bulkhead.topic_share is {}; expected more than 0 and at most 1",
            bulkhead.topic_share
        ));
    } else if (config.buffer.max_bytes as f64 * bulkhead.topic_share) < config.batch.full_at() as f64 {
        problems
            .push("bulkhead.topic_share leaves a topic less room than one batch of batch.max_bytes".into());
    }
    if bulkhead.max_connecting == 0 {
        problems.push("bulkhead.max_connecting is 0; nothing could connect".into());
    }
}

fn engine(config: &ProducerConfig, problems: &mut Vec<String>) {
    if config.connector.is_some() && config.proxy.is_some() {
        problems
            .push("connector and proxy are both set: a connector opens the streams itself; keep one".into());
    }
    if config.idempotence == Idempotence::On && config.acks == Acks::Leader {
        problems.push("idempotence (enable.idempotence) needs acks(Acks::All)".into());
    }
    if config.dns_lookup != DnsLookup::default() && (config.connector.is_some() || config.proxy.is_some()) {
        problems.push(
            "dns_lookup (client.dns.lookup) has no effect with a connector or proxy, which looks names up itself: keep one"
                .into(),
        );
    }
    let able = Capabilities::of(config.engine);
    let codec = format!("batch.compression (compression.type) {}", config.batch.compression);
    for (what, refused) in [
        ("idempotence (enable.idempotence)", config.idempotence == Idempotence::On && !able.idempotence),
        ("acks(Acks::Leader)", config.acks == Acks::Leader && !able.acks_leader),
        (
            "allow_auto_create_topics (allow.auto.create.topics)",
            config.allow_auto_create_topics && !able.auto_create,
        ),
        ("telemetry.propagator", config.telemetry.propagator.is_some() && !able.ordered_headers),
        (&codec, !able.compresses(config.batch.compression)),
        ("tls", config.tls.is_some() && !able.tls),
        ("connector", config.connector.is_some() && !able.connector),
        ("dns_lookup (client.dns.lookup)", config.dns_lookup != DnsLookup::default() && !able.connector),
        ("proxy", config.proxy.is_some() && !able.connector),
        ("socket", config.socket != SocketConfig::default() && !able.connector),
        ("partitioner_rack_aware (partitioner.rack.aware)", config.partitioner_rack_aware && !able.racks),
    ] {
        if refused {
            problems.push(format!(
                "{what} is not possible with the {:?} engine; use EngineKind::Native",
                config.engine
            ));
        }
    }
}

fn security(config: &ProducerConfig, problems: &mut Vec<String>) {
    if let Some(tls) = config.tls.as_ref().filter(|_| Capabilities::of(config.engine).tls) {
        tls.validate(problems);
    }
    if let Some(sasl) = &config.sasl {
        sasl.validate(config.tls.is_some(), problems);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "partition-client")]
    use crate::config::EngineKind;
    use crate::config::{BatchConfig, BufferConfig, BulkheadConfig, RetryConfig, TimeoutConfig};
    use crate::error::ErrorCode;

    fn problem(config: &ProducerConfig) -> String {
        let error = config.validate().unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfig);
        error.to_string()
    }

    fn good() -> ProducerConfig {
        ProducerConfig::new(["kafka:9092"])
    }

    #[test]
    fn the_defaults_are_valid() {
        good().validate().unwrap();
        good().acks(Acks::Leader).validate().unwrap();
    }

    #[test]
    fn a_batch_is_full_where_its_request_is() {
        for (batch, request, full_at) in
            [(1_000_000, 1_046_528, 1_000_000), (1_000_000, 1_000_000, 998_976), (0, 1_000_000, 0)]
        {
            let batch = BatchConfig::default().max_bytes(batch).max_request_bytes(request);
            assert_eq!(batch.full_at(), full_at);
            good().batch(batch).validate().unwrap();
        }
    }

    #[cfg(feature = "partition-client")]
    #[test]
    fn what_the_baseline_engine_cannot_do_is_refused_by_its_name() {
        let baseline = || good().engine(EngineKind::PartitionClient);
        baseline().validate().unwrap();
        for config in [baseline().idempotence(true), baseline().acks(Acks::Leader)] {
            assert!(problem(&config).contains("PartitionClient"), "{}", problem(&config));
        }
    }

    #[test]
    fn all_invalid_settings_are_reported_together() {
        let mut config = ProducerConfig::new(["kafka", "a:1"])
            .topic("no spaces")
            .retry(RetryConfig::default().max_attempts(Some(0)));
        config.brokers.push(String::new());
        let reported = problem(&config);
        for expected in ["is empty", "no port", "topic: ", "retry.max_attempts"] {
            assert!(reported.contains(expected), "{expected:?} not in {reported}");
        }
    }

    #[test]
    fn each_impossible_setting_is_named() {
        let second = Duration::from_secs(1);
        for (config, expected) in [
            (ProducerConfig::new(""), "brokers"),
            (good().batch(BatchConfig::default().max_bytes(2 << 30)), "batch.max_bytes"),
            (good().batch(BatchConfig::default().max_request_bytes(1_024)), "max_request_bytes"),
            (good().buffer(BufferConfig::default().max_bytes(10)), "buffer.max_bytes"),
            (good().timeouts(TimeoutConfig::default().connect(Duration::ZERO)), "timeouts.connect"),
            (good().timeouts(TimeoutConfig::default().delivery(second)), "timeouts.delivery"),
            (good().timeouts(TimeoutConfig::default().idle(Duration::MAX)), "24 days"),
            (good().retry(RetryConfig::default().backoff(second * 9)), "retry.backoff"),
            (good().bulkhead(BulkheadConfig::default().max_in_flight(0)), "max_in_flight"),
            (good().bulkhead(BulkheadConfig::default().max_in_flight(6)), "at most 5"),
            (good().bulkhead(BulkheadConfig::default().topic_share(f64::NAN)), "topic_share"),
            (good().bulkhead(BulkheadConfig::default().topic_share(0.001)), "topic_share"),
            (good().bulkhead(BulkheadConfig::default().max_connecting(0)), "max_connecting"),
            (good().idempotence(true).acks(Acks::Leader), "acks(Acks::All)"),
        ] {
            assert!(problem(&config).contains(expected), "{expected}: {}", problem(&config));
        }
    }
}
