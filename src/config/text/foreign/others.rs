//! Settings for other programs that share a file with the producer.

use super::Verdict;
use super::Verdict::Ignored;

const REGISTRY: &Verdict = &Ignored("it concerns a schema registry and its serializers; messages are bytes");
const SPRING: &Verdict = &Ignored("it concerns other parts of a Spring application");

/// Names that only others have, whatever comes after the prefix.
const PREFIXES: [(&str, &Verdict); 10] = [
    ("schema.registry.", REGISTRY),
    ("basic.auth.", REGISTRY),
    ("bearer.auth.", REGISTRY),
    ("avro.", REGISTRY),
    ("json.schema.", REGISTRY),
    ("confluent.monitoring.", &Ignored("interceptors are not loaded")),
    ("spring.", SPRING),
    ("server.", SPRING),
    ("logging.", SPRING),
    ("management.", SPRING),
];

pub(super) fn by_prefix(name: &str) -> Option<&'static Verdict> {
    PREFIXES.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, verdict)| *verdict)
}

/// Every row has the same verdict.
macro_rules! rows {
    ($verdict:expr; $($name:literal)*) => {
        &[$(($name, $verdict)),*]
    };
}

/// Of Java 4.4 and librdkafka 2.16, and of Confluent's serializers.
pub(super) const TABLE: &[(&str, Verdict)] = rows! {
    Ignored("it concerns consumers, administration or serializers");
    "auto.commit.enable"
    "auto.commit.interval.ms"
    "auto.offset.reset"
    "bootstrap.controllers"
    "check.crcs"
    "consume.callback.max.messages"
    "consume_cb"
    "coordinator.query.interval.ms"
    "default.api.timeout.ms"
    "enable.auto.commit"
    "enable.auto.offset.store"
    "enable.partition.eof"
    "exclude.internal.topics"
    "fetch.error.backoff.ms"
    "fetch.max.bytes"
    "fetch.max.wait.ms"
    "fetch.message.max.bytes"
    "fetch.min.bytes"
    "fetch.queue.backoff.ms"
    "fetch.wait.max.ms"
    "group.id"
    "group.instance.id"
    "group.protocol"
    "group.protocol.type"
    "group.remote.assignor"
    "heartbeat.interval.ms"
    "internal.throw.on.fetch.stable.offset.unsupported"
    "isolation.level"
    "max.partition.fetch.bytes"
    "max.poll.interval.ms"
    "max.poll.records"
    "offset.store.method"
    "offset.store.path"
    "offset.store.sync.interval.ms"
    "offset_commit_cb"
    "partition.assignment.strategy"
    "queued.max.messages.kbytes"
    "queued.min.messages"
    "rebalance_cb"
    "session.timeout.ms"
    "share.acknowledgement.mode"
    "share.acquire.mode"
    "auto.register.schemas"
    "key.subject.name.strategy"
    "latest.compatibility.strict"
    "specific.avro.reader"
    "use.latest.version"
    "value.subject.name.strategy"
};
