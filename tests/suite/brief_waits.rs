//! Callers that wait more briefly than an answer takes.

use std::time::Duration;

use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{BufferConfig, Context, Message, Producer, ProducerConfig, TimeoutConfig};
use tokio::time::{Instant, timeout};

use crate::support::{SECOND, ctx};

const BRIEF: Duration = Duration::from_millis(50);

/// How a caller stops waiting.
#[derive(Clone, Copy, Debug)]
enum Way {
    MaxWait,
    Deadline,
    Dropped,
}

async fn is_sent_at_last(way: Way, connected: bool, api: Api, fault: Fault, times: usize) {
    let cluster = FakeCluster::builder().topic("t", 1).topic("other", 1).start().await.unwrap();
    let max_wait = if matches!(way, Way::MaxWait) { BRIEF } else { 60 * SECOND };
    let config = ProducerConfig::new(cluster.bootstrap())
        .topic("t")
        .buffer(BufferConfig::default().max_wait(max_wait))
        .timeouts(TimeoutConfig::default().request(SECOND).connect(SECOND));
    let producer = Producer::new(config).unwrap();
    while connected && producer.send(&ctx(SECOND), Message::new("v").to("other")).await.is_err() {}
    cluster.inject(Rule::on(api).times(times), fault.clone());
    let started = Instant::now();
    loop {
        let limit = if matches!(way, Way::Deadline) { ctx(BRIEF) } else { Context::background() };
        let dropped_after = if matches!(way, Way::Dropped) { BRIEF } else { 600 * SECOND };
        if let Ok(Ok(receipt)) = timeout(dropped_after, producer.enqueue(&limit, Message::new("v"))).await {
            break drop(receipt);
        }
        assert!(started.elapsed() < 5 * SECOND, "{way:?}, {api:?}: {fault:?}");
    }
    producer.close(&ctx(10 * SECOND)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn metadata_that_takes_longer_than_each_caller_waits_is_fetched_all_the_same() {
    for way in [Way::MaxWait, Way::Deadline, Way::Dropped] {
        for api in [Api::ApiVersions, Api::Metadata] {
            is_sent_at_last(way, false, api, Fault::Delay(4 * BRIEF), usize::MAX).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_answers_nobody_in_time_is_replaced_however_briefly_callers_wait() {
    for way in [Way::MaxWait, Way::Deadline, Way::Dropped] {
        is_sent_at_last(way, false, Api::ApiVersions, Fault::Silence, 1).await;
        is_sent_at_last(way, true, Api::Metadata, Fault::Silence, 1).await;
    }
}
