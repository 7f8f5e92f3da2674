use std::sync::Arc;

use super::*;
use crate::telemetry::{Counters, Log, Meters};

fn engine() -> NativeEngine {
    let config = ProducerConfig::new(["localhost:9092"]);
    let log = Log::new(None, &config.brokers);
    let counters = Arc::new(Counters::new(Meters::new("test", config.telemetry.topic_labels, log.clone())));
    NativeEngine::new(&config, WallClock::default(), Observer { log, counters })
}

#[test]
fn a_request_takes_little_memory_before_it_is_sent() {
    let engine = engine();
    let late: Late<'_> = &|_| Box::new(());
    let request = engine.produce(NodeId(1), &[], late);
    let bytes = size_of_val(&*request);
    assert!(bytes <= 2_048, "{bytes}: what is rare, as to connect, belongs into a separate allocation");
}
