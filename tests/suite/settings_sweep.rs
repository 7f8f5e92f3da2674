//! Every setting at the extremes of its type: it is refused in a sentence that names it, or the producer connects, sends
//! through faults, flushes and closes with it, each call within its time.
//!
//! The table of settings is data, so that a new row is swept by itself. What text cannot say is set by the setters.

use std::time::Duration;

use futures_util::future::join_all;
use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{
    BatchConfig, BufferConfig, BulkheadConfig, CircuitBreakerConfig, ErrorKind, Message, OpenCircuit,
    Producer, ProducerConfig, RateLimitConfig, RetryConfig, Setting, TimeoutConfig,
};
use tokio::time::Instant;

use crate::support::{LATE, SECOND, ctx};

/// Extremes of every type that a setting has: numbers of 16, 32 and 64 bits, sizes, times, parts, texts.
const TEXTS: &[&str] = &[
    "",
    " ",
    "0",
    "1",
    "2",
    "-1",
    "5",
    "6",
    "1000",
    "65535",
    "65536",
    "2147483646",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "0.0",
    "-0.0",
    "0.5",
    "1.0",
    "1.0000001",
    "5e-324",
    "1e308",
    "1e309",
    "NaN",
    "inf",
    "-inf",
    "0s",
    "1ns",
    "1us",
    "1ms",
    "24days",
    "25days",
    "1000years",
    "500000000000years",
    "584942417355years",
    "1KiB",
    "1GiB",
    "17179869183GiB",
    "18446744073GB",
    "unlimited",
    "true",
    "false",
    "TRUE",
    "null",
    "none",
    "all",
    "a,b",
    "a:1,b:65535",
    ",",
    "é\u{202e}\u{0}\n",
];

#[tokio::test(start_paused = true)]
async fn every_row_of_the_table_at_every_extreme() {
    let (mut cases, mut refused, mut used) = (0, 0, 0);
    let long = "x".repeat(100_000);
    for setting in Setting::ALL {
        let choices = setting.unit().split('`').skip(1).step_by(2);
        let values: Vec<&str> = TEXTS.iter().copied().chain([&*long]).chain(choices).collect();
        let names: Vec<_> =
            [setting.name()].into_iter().chain(setting.kafka_names().iter().copied()).collect();
        for (which, name) in names.iter().enumerate() {
            for value in &values {
                cases += 1;
                let set = if *name == "bootstrap.servers" || *name == "brokers" {
                    vec![(*name, *value)]
                } else {
                    vec![("bootstrap.servers", "127.0.0.1:1"), (*name, *value)]
                };
                let read = ProducerConfig::from_properties(set).and_then(|config| {
                    config.validate()?;
                    Ok(config)
                });
                match read {
                    Err(error) => {
                        refused += 1;
                        let text = error.to_string();
                        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{name}={value:.40}: {text}");
                        // How to encrypt and log in is said by several settings: one that is missing is named.
                        let together =
                            ["tls.", "sasl.", "security."].iter().any(|of| setting.name().starts_with(of));
                        let named = names.iter().any(|name| text.contains(name))
                            || (together && ["tls", "sasl."].iter().any(|of| text.contains(of)));
                        assert!(named, "{name}={value:.40}: {text:.300}");
                        assert!(!text.chars().any(char::is_control), "{name}={value:?}: {text:?}");
                        assert!(text.len() < 2_000, "{name}: {} bytes", text.len());
                    }
                    // The names of one setting differ in their spelling alone.
                    Ok(config) if which == 0 && is_of_the_producer_itself(setting.name()) => {
                        used += 1;
                        works(&format!("{name}={value:.40}"), config).await;
                    }
                    Ok(_) => {}
                }
            }
        }
    }
    println!("{} rows, {cases} cases: {refused} refused, {used} used", Setting::ALL.len());
    assert!(refused > 1_000 && used > 200, "{refused} {used}");
}

/// The others say where and how to log in; with these the cluster of the test is used.
fn is_of_the_producer_itself(name: &str) -> bool {
    name != "brokers"
        && name != "topic"
        && !["tls.", "sasl.", "security.", "proxy."].iter().any(|of| name.starts_with(of))
}

const TIMES: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_millis(1),
    Duration::from_secs(1),
    Duration::from_millis(i32::MAX as u64),
    Duration::from_millis(i32::MAX as u64 + 1),
    Duration::from_secs(i64::MAX as u64),
    Duration::MAX,
];
const PARTS: [f64; 11] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::MIN,
    -1.0,
    0.0,
    f64::MIN_POSITIVE,
    0.5,
    1.0,
    1e9,
    f64::MAX,
];
const SIZES: [usize; 8] =
    [0, 1, 100, 1_100, (1 << 30) - 1_024, u32::MAX as usize, u32::MAX as usize + 1, usize::MAX];
const COUNTS: [u32; 4] = [0, 1, i32::MAX as u32, u32::MAX];

type Change = Box<dyn Fn(ProducerConfig) -> ProducerConfig>;

/// Every setter of a number or a time, at every extreme.
fn changes() -> Vec<(String, Change)> {
    let mut all: Vec<(String, Change)> = Vec::new();
    macro_rules! each {
        ($values:expr, $($section:ident.$field:ident),* $(,)?) => {$(
            for value in $values {
                let change = move |mut config: ProducerConfig| {
                    config.$section.$field = value.into();
                    config
                };
                let name = concat!(stringify!($section), ".", stringify!($field));
                all.push((format!("{name}={value:?}"), Box::new(change)));
            }
        )*};
    }
    each!(
        TIMES,
        batch.linger,
        buffer.max_wait,
        timeouts.connect,
        timeouts.request,
        timeouts.delivery,
        timeouts.idle,
        timeouts.metadata_age,
        retry.backoff,
        retry.max_backoff,
        circuit_breaker.open_for,
        circuit_breaker.max_open_for,
    );
    each!(
        PARTS,
        circuit_breaker.failure_rate,
        rate_limit.records_per_second,
        rate_limit.bytes_per_second,
        bulkhead.topic_share,
    );
    each!(
        SIZES,
        batch.max_bytes,
        batch.max_request_bytes,
        buffer.max_bytes,
        bulkhead.max_in_flight,
        bulkhead.max_connecting
    );
    each!(
        COUNTS,
        retry.max_attempts,
        circuit_breaker.consecutive_failures,
        circuit_breaker.min_requests,
        circuit_breaker.probes
    );
    all
}

#[tokio::test(start_paused = true)]
async fn every_setter_at_every_extreme() {
    let (mut refused, mut used) = (0, 0);
    for (what, change) in changes() {
        let config = change(ProducerConfig::new(["127.0.0.1:1"]));
        match config.validate() {
            Err(error) => {
                refused += 1;
                let field = what.split('=').next().unwrap();
                let (section, name) = field.split_once('.').unwrap();
                let text = error.to_string();
                assert!(text.contains(section) && text.contains(name), "{what}: {text}");
            }
            Ok(()) => {
                used += 1;
                works(&what, config).await;
            }
        }
    }
    println!("{refused} refused, {used} used");
    assert!(refused > 30 && used > 60, "{refused} {used}");
}

/// Settings that meet: everything at its longest, its smallest, its most eager.
#[tokio::test(start_paused = true)]
async fn extremes_together() {
    let longest = Duration::from_millis(i32::MAX as u64);
    let base = || ProducerConfig::new(["127.0.0.1:1"]);
    let timeouts = |time| TimeoutConfig::default().connect(time).request(time).idle(time).metadata_age(time);
    let eager = Duration::from_nanos(1);
    for (what, config) in [
        (
            "the longest times",
            base()
                .timeouts(timeouts(longest / 2).delivery(longest))
                .retry(RetryConfig::default().backoff(longest).max_backoff(longest))
                .buffer(BufferConfig::default().max_wait(Duration::MAX))
                .batch(BatchConfig::default().linger(longest / 2))
                .circuit_breaker(
                    CircuitBreakerConfig::default()
                        .consecutive_failures(1)
                        .open_for(Duration::MAX)
                        .max_open_for(Duration::MAX),
                ),
        ),
        (
            "no patience at all",
            base()
                .timeouts(TimeoutConfig::default().idle(eager).metadata_age(eager))
                .retry(RetryConfig::default().backoff(eager).max_backoff(eager))
                .batch(BatchConfig::default().linger(Duration::ZERO).max_bytes(0))
                .circuit_breaker(
                    CircuitBreakerConfig::default()
                        .consecutive_failures(1)
                        .open_for(eager)
                        .max_open_for(eager)
                        .probes(100),
                ),
        ),
        (
            "a buffer of one batch",
            base()
                .batch(BatchConfig::default().max_bytes(2_000).max_request_bytes(4_000))
                .buffer(BufferConfig::default().max_bytes(2_000).max_wait(SECOND))
                .bulkhead(BulkheadConfig::default().max_in_flight(1).max_connecting(1)),
        ),
        (
            "a trickle, and no waiting",
            base()
                .rate_limit(
                    RateLimitConfig::default()
                        .records_per_second(Some(1.0))
                        .bytes_per_second(Some(1.0))
                        .adaptive(true),
                )
                .circuit_breaker(
                    CircuitBreakerConfig::default().consecutive_failures(1).when_open(OpenCircuit::FailFast),
                ),
        ),
    ] {
        config.validate().unwrap_or_else(|error| panic!("{what}: {error}"));
        works(what, config).await;
    }
}

/// Connects, sends while all is well, sends through faults, flushes and closes.
async fn works(what: &str, mut config: ProducerConfig) {
    let cluster = FakeCluster::with_topic("t", 2).await.unwrap();
    config.brokers = cluster.bootstrap();
    config.topic = Some("t".into());
    let instant = (config.timeouts.connect.min(config.timeouts.request)).min(config.buffer.max_wait) < SECOND;
    let body = async {
        let producer = Producer::new(config.clone()).unwrap_or_else(|error| panic!("{what}: {error}"));
        // Where the setting gives no time for an answer there is an error instead, in time.
        let results = sends(what, &producer, 3 * SECOND).await;
        let slow = config.rate_limit != RateLimitConfig::default();
        assert!(results.iter().any(Result::is_ok) || instant || slow, "{what}: {results:?}");
        cluster.inject(Rule::on(Api::Produce).times(3), Fault::Disconnect);
        cluster.inject(Rule::on(Api::Produce), Fault::Error(7));
        cluster.inject(Rule::on(Api::Produce), Fault::Throttle(SECOND));
        sends(what, &producer, 10 * SECOND).await;
        cluster.heal();
        let seen = cluster.seen().len();
        assert!(seen < 2_000, "{what}: {seen} requests in 13 s");
        let started = Instant::now();
        drop(producer.flush(&ctx(SECOND)).await);
        drop(producer.health(&ctx(SECOND)).await);
        drop(producer.close(&ctx(SECOND)).await);
        assert!(started.elapsed() <= 3 * (SECOND + LATE), "{what}: {:?}", started.elapsed());
        let stats = producer.stats();
        assert_eq!((stats.buffer_bytes, stats.task_restarts), (0, 0), "{what}: {stats:?}");
    };
    // On a paused clock what spins stops the time: no deadline ends it.
    let spins = cluster
        .wait_until(|cluster| cluster.requests(Api::Produce) + cluster.requests(Api::Metadata) > 20_000);
    tokio::select! {
        () = body => {}
        () = spins => panic!("{what}: requests without end"),
    }
}

/// Sends a few messages at once; each ends in time.
async fn sends(what: &str, producer: &Producer, limit: Duration) -> Vec<Result<(), String>> {
    let (ctx, started) = (ctx(limit), Instant::now());
    let sends = (0..6).map(|n| producer.send(&ctx, Message::new(vec![b'v'; 100]).partition(n % 2)));
    let results = join_all(sends).await;
    assert!(started.elapsed() <= limit + LATE, "{what}: {:?}", started.elapsed());
    results.into_iter().map(|result| result.map(drop).map_err(|error| error.to_string())).collect()
}
