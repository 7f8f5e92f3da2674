//! The simulated network, and logs that lose their end.

use std::io::ErrorKind;
use std::time::Duration;

use async_trait::async_trait;
use kafka_testbed::{Api, FakeCluster, Fault, Rule, SimCluster, SimNet, Weather};
use rskafka_producer::{
    ByteStream, ConnectError, Connector, Context, Message, Producer, ProducerConfig, RetryConfig,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

const SECOND: Duration = Duration::from_secs(1);

struct Simulated(SimNet);

#[async_trait]
impl Connector for Simulated {
    async fn connect(&self, host: &str, port: u16) -> Result<Box<dyn ByteStream>, ConnectError> {
        Ok(Box::new(self.0.connect(host, port).await?))
    }
}

/// Sends a request that a broker answers, and reads the answer, on a network of such weather.
async fn ask(net: &SimNet, weather: Weather) -> std::io::Result<Vec<u8>> {
    let cluster = SimCluster::start(net, FakeCluster::builder());
    net.set_weather(weather);
    let mut stream = net.connect("any.example", cluster.address(0).port()).await?;
    // ApiVersions in version 0, without a client id.
    stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff]).await?;
    let mut answer = vec![0; stream.read_u32().await? as usize];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[test]
fn bytes_arrive_whole_whatever_the_pieces_and_in_their_time() {
    let calm = SimNet::run(0, |net| async move { ask(&net, Weather::default()).await.unwrap() });
    assert_eq!(calm[..4], [0, 0, 0, 7], "the correlation id");
    let mut latest = Duration::ZERO;
    for seed in 0..50 {
        let (answer, took) = SimNet::run(seed, |net| async move {
            let started = Instant::now();
            let answer = ask(&net, Weather::default().latency(SECOND).pieces(1.0)).await;
            (answer.unwrap(), started.elapsed())
        });
        assert_eq!(answer, calm, "seed {seed}");
        assert!(took <= 3 * SECOND, "seed {seed}: to connect, there and back again in {took:?}");
        latest = latest.max(took);
    }
    assert!(latest > SECOND, "{latest:?}");
}

#[test]
fn connections_are_refused_lost_and_cut_in_each_way() {
    SimNet::run(0, |net| async move {
        assert_eq!(net.connect("any.example", 1).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let cluster = SimCluster::start(&net, FakeCluster::builder());
        net.set_weather(Weather::default().lost(1.0));
        let connecting = net.connect("any.example", cluster.address(0).port());
        assert!(timeout(3_600 * SECOND, connecting).await.is_err(), "it is never answered");
    });
    let mut seen = [0; 4];
    for seed in 0..300 {
        let asked = SimNet::run(seed, |net| async move {
            timeout(3_600 * SECOND, ask(&net, Weather::default().cuts(1.0))).await
        });
        let way = match asked {
            Err(_) => 0,
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionReset => 1,
            Ok(Err(_)) => 2,
            Ok(Ok(_)) => 3,
        };
        seen[way] += 1;
    }
    assert!(seen.iter().all(|count| *count > 5), "silent, reset, closed, not yet: {seen:?}");
}

#[test]
fn the_trace_names_what_happened_and_differs_by_seed() {
    let trace = |seed| {
        SimNet::run(seed, |net| async move {
            net.record();
            net.note("begins");
            ask(&net, Weather::default().latency(SECOND)).await.unwrap();
            (net.trace_hash(), net.trace())
        })
    };
    let (hash, lines) = trace(1);
    assert!(lines[0].ends_with("begins") && lines[1].contains("#1 opened to port"), "{lines:?}");
    assert_eq!(trace(1).0, hash);
    assert_ne!(trace(2).0, hash);
}

#[test]
fn a_log_loses_what_no_producer_heard_of_and_takes_what_follows() {
    SimNet::run(0, |net| async move {
        let cluster = SimCluster::start(&net, FakeCluster::builder().topic("t", 1));
        let config = ProducerConfig::new(cluster.bootstrap()).topic("t").connector(Simulated(net.clone()));
        let config = config.retry(RetryConfig::default().max_attempts(Some(1)));
        let (producer, ctx) = (Producer::new(config).unwrap(), Context::timeout(10 * SECOND));
        let send = |value: &'static str| producer.send(&ctx, Message::new(value));
        send("heard").await.unwrap();
        // REQUEST_TIMED_OUT: appended, and not replicated in time.
        cluster.inject(Rule::on(Api::Produce), Fault::Error(7).after_apply());
        send("unheard").await.unwrap_err();
        assert_eq!(cluster.high_watermark("t", 0), Some(2));
        assert_eq!(cluster.lose_unacknowledged("t", 0), 1);
        assert_eq!(cluster.lose_unacknowledged("t", 0), 0);
        send("later").await.unwrap();
        let values =
            || cluster.records("t", 0).into_iter().filter_map(|record| record.value).collect::<Vec<_>>();
        assert_eq!(values(), ["heard", "later"]);
        assert_eq!(cluster.truncate("t", 0, 1), 1);
        assert_eq!(values(), ["heard"]);
    });
}
