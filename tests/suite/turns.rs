//! No task runs in circles: whatever brokers do, the turns and polls of each task per second are bounded.

use std::sync::mpsc;
use std::time::Duration;

use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use parking_lot::Mutex;
use rskafka_producer::{
    BatchConfig, CircuitBreakerConfig, Context, Message, OpenCircuit, Producer, ProducerConfig, TimeoutConfig,
};

use crate::support::{SECOND, ctx};

/// Turns of a task per second. A retry every 20 ms, with what it wakes, makes some hundred.
const MOST_TURNS: f64 = 400.0;
/// Requests per second of one kind.
const MOST_REQUESTS: f64 = 60.0;
const TIME: Duration = Duration::from_secs(20);
/// For one scenario, on a clock that nothing can pause: a circle on a paused clock never ends.
const PATIENCE: Duration = Duration::from_secs(60);

const APIS: [Api; 4] = [Api::ApiVersions, Api::Metadata, Api::InitProducerId, Api::Produce];

/// Everything that goes wrong, always.
fn faults() -> Vec<Fault> {
    let codes = [-1, 2, 3, 5, 6, 7, 10, 13, 18, 19, 20, 29, 35, 45, 46, 47, 56, 59, 74, 87, 89, 90, 1_000];
    let mut faults: Vec<_> = codes.into_iter().map(Fault::Error).collect();
    faults.extend([
        Fault::Silence,
        Fault::Silence.after_apply(),
        Fault::Disconnect,
        Fault::Disconnect.after_apply(),
        Fault::CutAfter(6),
        Fault::Garbage(vec![0; 3]),
        Fault::Throttle(Duration::from_millis(1)),
    ]);
    faults
}

fn breakers() -> [CircuitBreakerConfig; 3] {
    let quick = CircuitBreakerConfig::default().open_for(SECOND / 2).max_open_for(SECOND);
    [quick.clone(), quick.when_open(OpenCircuit::FailFast), CircuitBreakerConfig::default().enabled(false)]
}

/// Messages that keep coming while these requests go wrong.
async fn under(rules: &[(Api, Fault)], breaker: CircuitBreakerConfig, connected: bool) -> Result<(), String> {
    let cluster = FakeCluster::builder().brokers(2).topic("t", 2).start().await.unwrap();
    let config = ProducerConfig::new(cluster.bootstrap())
        .topic("t")
        .batch(BatchConfig::default().max_bytes(1_024))
        .circuit_breaker(breaker)
        .timeouts(TimeoutConfig::default().delivery(8 * SECOND).request(2 * SECOND).connect(2 * SECOND));
    let producer = Producer::new(config).unwrap();
    if connected {
        for partition in 0..2 {
            producer.send(&ctx(10 * SECOND), Message::new("v").partition(partition)).await.unwrap();
        }
    }
    for (api, fault) in rules {
        cluster.inject(Rule::on(*api).always(), fault.clone());
    }
    if !connected || rules.iter().any(|(api, _)| *api != Api::Produce) {
        // Whatever comes next needs new connections, metadata, and an id.
        (0..2).for_each(|node| cluster.cut_connections(node));
    }
    let requests = APIS.map(|api| cluster.requests(api));
    let turns = || -> Vec<_> { producer.tasks().into_iter().map(|t| (t.name, t.turns, t.polls)).collect() };
    let before = turns();
    let started = tokio::time::Instant::now();
    let mut number = 0;
    while started.elapsed() < TIME {
        for partition in 0..2 {
            number += 1;
            let message = Message::new(format!("{number:0>200}")).to("t").partition(partition);
            drop(producer.try_enqueue(message));
        }
        tokio::time::sleep(SECOND / 4).await;
    }
    let seconds = started.elapsed().as_secs_f64();
    for (name, turns, polls) in turns() {
        let earlier = before.iter().find(|(other, ..)| *other == name);
        let (turns_before, polls_before) = earlier.map_or((0, 0), |(_, turns, polls)| (*turns, *polls));
        let rate =
            turns.saturating_sub(turns_before).max(polls.saturating_sub(polls_before)) as f64 / seconds;
        if rate > MOST_TURNS {
            return Err(format!("{name} comes round {rate:.0} times a second"));
        }
    }
    for (api, before) in APIS.into_iter().zip(requests) {
        let rate = (cluster.requests(api) - before) as f64 / seconds;
        if rate > MOST_REQUESTS {
            return Err(format!("{rate:.0} requests of {api:?} a second"));
        }
    }
    _ = producer.close(&Context::timeout(SECOND)).await;
    Ok(())
}

#[test]
fn no_task_runs_in_circles_whatever_goes_wrong() {
    let mut scenarios = Vec::new();
    for (n, fault) in faults().into_iter().enumerate() {
        for (m, api) in APIS.into_iter().enumerate() {
            let breaker = breakers()[(n + m) % 3].clone();
            scenarios.push((vec![(api, fault.clone())], breaker, true));
            scenarios.push((vec![(api, fault.clone())], breakers()[(n + m + 1) % 3].clone(), false));
        }
        // Two at once: one that holds the other's way out up.
        for breaker in breakers() {
            scenarios.push((
                vec![(Api::Produce, fault.clone()), (Api::InitProducerId, Fault::Silence)],
                breaker,
                true,
            ));
        }
    }
    let count = scenarios.len();
    let current = std::sync::Arc::new(Mutex::new(String::new()));
    let (done, next) = mpsc::channel();
    let named = current.clone();
    std::thread::spawn(move || {
        for (rules, breaker, connected) in scenarios {
            let name = format!("{rules:?}, {breaker:?}, connected before: {connected}");
            named.lock().clone_from(&name);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .unwrap();
            let result = runtime.block_on(under(&rules, breaker, connected));
            if done.send(result.map_err(|what| format!("{name}: {what}"))).is_err() {
                return;
            }
        }
    });
    let mut failed = Vec::new();
    for _ in 0..count {
        match next.recv_timeout(PATIENCE) {
            Ok(result) => failed.extend(result.err()),
            Err(_) => panic!("this never ends: {}", current.lock()),
        }
    }
    assert!(failed.is_empty(), "{} of {count}:\n{}", failed.len(), failed.join("\n"));
    eprintln!("{count} scenarios");
}
