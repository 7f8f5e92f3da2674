//! What a user gets wrong, and what a network does wrong: each a clear error, in its time.

use std::net::SocketAddr;
use std::time::Duration;

use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{
    BatchConfig, Context, Error, ErrorCode, ErrorKind, Fate, Message, Producer, ProducerConfig, TimeoutConfig,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::{LATE, SECOND, ctx};

async fn connect(brokers: &[&str], limit: Duration) -> (Result<Producer, Error>, Duration) {
    let started = Instant::now();
    let result = Producer::connect(&ctx(limit), ProducerConfig::new(brokers)).await;
    (result, started.elapsed())
}

/// Fails to connect with this code and kind, within `limit`, with every one of `words` in its text.
async fn refuses(brokers: &[&str], limit: Duration, kind: ErrorKind, words: &[&str]) {
    let (result, took) = connect(brokers, limit).await;
    let error = result.unwrap_err();
    eprintln!("{error}");
    let code = if kind == ErrorKind::InvalidConfig {
        ErrorCode::InvalidConfig
    } else {
        ErrorCode::BrokersUnavailable
    };
    assert_eq!((error.code(), error.kind()), (code, kind), "{error}");
    assert_eq!(error.fate(), Fate::NotPersisted);
    assert!(took <= limit + LATE, "{took:?}");
    for word in words {
        assert!(error.to_string().contains(word), "{word:?} is missing: {error}");
    }
}

/// A listener that does this to each connection.
async fn peer(what: Peer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            match what {
                Peer::Silent => kept.push(socket),
                Peer::Closing => drop(socket),
                Peer::Says(bytes) => {
                    tokio::spawn(async move {
                        let mut asked = [0; 64];
                        let _ = socket.read(&mut asked).await;
                        let _ = socket.write_all(bytes).await;
                        // Like a server that waits for more.
                        let _ = socket.read(&mut asked).await;
                        std::future::pending::<()>().await;
                    });
                }
            }
        }
    });
    address
}

#[derive(Clone, Copy)]
enum Peer {
    Silent,
    Closing,
    Says(&'static [u8]),
}

async fn refused() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test(start_paused = true)]
async fn no_broker_at_all() {
    refuses(&[], SECOND, ErrorKind::InvalidConfig, &["brokers (bootstrap.servers) is empty"]).await;
}

#[tokio::test(start_paused = true)]
async fn entries_that_are_no_addresses() {
    let entries = ["", "kafka", "kafka:0", "kafka:70000", "::1:9092", "kafka://a:1", "a:1", "a:1"];
    let words = ["no port", "bad port", "[ipv6]:port", "scheme"];
    refuses(&entries, SECOND, ErrorKind::InvalidConfig, &words).await;
}

#[tokio::test]
async fn an_ipv6_literal_connects() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        eprintln!("SKIPPED an_ipv6_literal_connects: this machine has no IPv6");
        return;
    };
    let cluster = FakeCluster::builder().topic("t", 1).start().await.unwrap();
    let front = listener.local_addr().unwrap();
    let back = cluster.address(0);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut far = tokio::net::TcpStream::connect(back).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    let producer = Producer::connect(&ctx(10 * SECOND), ProducerConfig::new([front.to_string()]).topic("t"))
        .await
        .unwrap();
    producer.send_message(&ctx(10 * SECOND), "k", "v").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_broker() {
    let address = refused().await.to_string();
    refuses(&[&address], 3 * SECOND, ErrorKind::Unreachable, &[&address, "cannot reach", "refused"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_does_not_resolve() {
    // Reserved by RFC 6761: it never resolves.
    refuses(&["nowhere.invalid:9092"], 3 * SECOND, ErrorKind::Unreachable, &["nowhere.invalid:9092"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_broker() {
    let address = peer(Peer::Silent).await.to_string();
    let (result, took) = connect(&[&address], 30 * SECOND).await;
    let error = result.unwrap_err();
    assert_eq!(
        (error.code(), error.kind()),
        (ErrorCode::BrokersUnavailable, ErrorKind::Unreachable),
        "{error}"
    );
    eprintln!("{error}");
    assert_eq!(error.fate(), Fate::NotPersisted);
    assert!(error.to_string().contains("timeouts.connect"), "{error}");
    assert!(took <= 30 * SECOND + LATE);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_closes_every_connection() {
    let address = peer(Peer::Closing).await.to_string();
    refuses(
        &[&address],
        3 * SECOND,
        ErrorKind::Unreachable,
        &["closed it during the handshake", "TLS or SASL"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_port_that_speaks_tls() {
    let address = peer(Peer::Says(&[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x16])).await.to_string();
    refuses(&[&address], SECOND, ErrorKind::Protocol, &["speaks TLS", "is TLS missing"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_port_that_speaks_http() {
    let address = peer(Peer::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n")).await.to_string();
    refuses(&[&address], SECOND, ErrorKind::Protocol, &["HTTP server, not a Kafka broker"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_port_that_speaks_something_else() {
    let address = peer(Peer::Says(b"SSH-2.0-OpenSSH_9.2\r\n")).await.to_string();
    refuses(&[&address], SECOND, ErrorKind::Protocol, &["does not speak Kafka"]).await;
}

#[tokio::test(start_paused = true)]
async fn one_good_broker_among_bad_ones_is_found_in_a_second() {
    for _ in 0..20 {
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let good = cluster.bootstrap()[0].clone();
        let (silent, refused) = (peer(Peer::Silent).await.to_string(), refused().await.to_string());
        let http = peer(Peer::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n")).await.to_string();
        let (result, took) = connect(&[&silent, &refused, &http, &good], 10 * SECOND).await;
        result.unwrap();
        assert!(took <= SECOND, "{took:?}");
    }
}

async fn fake() -> (FakeCluster, Producer) {
    let cluster = FakeCluster::builder().brokers(2).topic("t", 2).start().await.unwrap();
    let producer =
        Producer::connect(&ctx(10 * SECOND), ProducerConfig::new(cluster.bootstrap())).await.unwrap();
    (cluster, producer)
}

/// The send fails with this kind, not persisted, hands the message back, and took at most `limit`.
async fn fails(
    producer: &Producer,
    ctx: &Context,
    message: Message,
    kind: ErrorKind,
    limit: Duration,
) -> Error {
    let started = Instant::now();
    let error = producer.send(ctx, message.clone()).await.unwrap_err();
    eprintln!("{error}");
    assert!(started.elapsed() <= limit + LATE, "{:?}", started.elapsed());
    assert_eq!(
        (error.code(), error.kind(), error.fate()),
        (ErrorCode::SendFailed, kind, Fate::NotPersisted),
        "{error}"
    );
    assert_eq!(error.clone().into_message(), Some(message));
    error
}

#[tokio::test(start_paused = true)]
async fn a_message_without_any_topic() {
    let (_cluster, producer) = fake().await;
    let background = Context::background();
    fails(&producer, &background, Message::new("v"), ErrorKind::NoTopic, Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_name_that_kafka_does_not_allow() {
    let (cluster, producer) = fake().await;
    let asked = cluster.requests(Api::Metadata);
    for name in ["", ".", "a b", "a/b", "ä", &"x".repeat(250)] {
        let message = Message::new("v").to(name);
        fails(&producer, &Context::background(), message, ErrorKind::InvalidTopic, Duration::ZERO).await;
    }
    assert_eq!(cluster.requests(Api::Metadata), asked, "names are checked before any I/O");
}

#[tokio::test(start_paused = true)]
async fn a_default_topic_that_does_not_exist_fails_at_connect() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let started = Instant::now();
    let error = Producer::connect(&ctx(10 * SECOND), ProducerConfig::new(cluster.bootstrap()).topic("tpyo"))
        .await
        .unwrap_err();
    eprintln!("{error}");
    assert_eq!(error.fate(), Fate::NotPersisted);
    assert_eq!((error.code(), error.kind()), (ErrorCode::InvalidConfig, ErrorKind::UnknownTopic), "{error}");
    assert!(started.elapsed() <= SECOND, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_topic_fails_in_a_second_and_many_sends_ask_once() {
    let (cluster, producer) = fake().await;
    let asked = cluster.requests(Api::Metadata);
    let sends: Vec<_> = (0..50)
        .map(|_| {
            let producer = producer.clone();
            tokio::spawn(async move {
                fails(
                    &producer,
                    &Context::background(),
                    Message::new("v").to("tpyo"),
                    ErrorKind::UnknownTopic,
                    SECOND,
                )
                .await
            })
        })
        .collect();
    for send in sends {
        assert!(send.await.unwrap().to_string().contains("create it"));
    }
    assert!(cluster.requests(Api::Metadata) - asked <= 4);
    assert!(!cluster.has_topic("tpyo"));
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_created_only_where_that_is_enabled() {
    let cluster = FakeCluster::builder().auto_create(4).start().await.unwrap();
    let config = ProducerConfig::new(cluster.bootstrap());
    let producer = Producer::new(config.clone()).unwrap();
    fails(&producer, &Context::background(), Message::new("v").to("new"), ErrorKind::UnknownTopic, SECOND)
        .await;
    assert!(!cluster.has_topic("new"));
    let creating = Producer::new(config.allow_auto_create_topics(true)).unwrap();
    creating.send(&ctx(10 * SECOND), Message::new("v").to("new")).await.unwrap();
    assert!(cluster.has_topic("new"));
}

#[tokio::test(start_paused = true)]
async fn a_message_too_large_for_the_producer() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let batch = BatchConfig::default().max_bytes(1_100).max_request_bytes(3_024);
    let producer = Producer::new(ProducerConfig::new(cluster.bootstrap()).topic("t").batch(batch)).unwrap();
    let message = Message::new("x".repeat(1_900)).key("k".repeat(100));
    let background = Context::background();
    // The topic's metadata is fetched first; the message is not sent.
    let error = fails(&producer, &background, message, ErrorKind::MessageTooLarge, SECOND).await;
    assert!(error.to_string().contains("batch.max_request_bytes allows 2000"), "{error}");
    assert_eq!(cluster.requests(Api::Produce), 0);
    // One that is larger than a batch usually gets goes alone.
    producer.send(&background, Message::new("x".repeat(1_900))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_too_large_for_the_broker() {
    let cluster = FakeCluster::builder().topic("t", 1).max_message_bytes(1_000).start().await.unwrap();
    let producer = Producer::new(ProducerConfig::new(cluster.bootstrap()).topic("t")).unwrap();
    let message = Message::new("x".repeat(1_000));
    let error = fails(&producer, &Context::background(), message, ErrorKind::MessageTooLarge, SECOND).await;
    assert!(error.to_string().contains("max.message.bytes"), "{error}");
    assert_eq!(error.broker_error().unwrap().code(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_timestamp_before_1970() {
    let (_cluster, producer) = fake().await;
    let before = std::time::UNIX_EPOCH - SECOND;
    let message = Message::new("v").to("t").timestamp(before);
    fails(&producer, &Context::background(), message, ErrorKind::InvalidMessage, SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_timestamp_that_the_broker_refuses() {
    let (_cluster, producer) = fake().await;
    let far = std::time::SystemTime::now() + 7_200 * SECOND;
    let message = Message::new("v").to("t").timestamp(far);
    let error = fails(&producer, &Context::background(), message, ErrorKind::InvalidMessage, SECOND).await;
    assert_eq!(error.broker_error().unwrap().name(), "INVALID_TIMESTAMP");
}

#[tokio::test(start_paused = true)]
async fn a_context_that_is_over() {
    let (cluster, producer) = fake().await;
    let sent = cluster.requests(Api::Produce);
    let over = ctx(Duration::ZERO);
    fails(&producer, &over, Message::new("v").to("t"), ErrorKind::DeadlineExceeded, Duration::ZERO).await;
    let token = CancellationToken::new();
    token.cancel();
    let cancelled = Context::background().with_cancellation(token);
    fails(&producer, &cancelled, Message::new("v").to("t"), ErrorKind::Cancelled, Duration::ZERO).await;
    assert_eq!(cluster.requests(Api::Produce), sent);
    assert_eq!(producer.flush(&over).await.map_err(|e| e.kind()), Err(ErrorKind::DeadlineExceeded));
    assert_eq!(producer.health(&over).await.map_err(|e| e.code()), Err(ErrorCode::BrokersUnavailable));
}

#[tokio::test(start_paused = true)]
async fn a_context_cancelled_while_the_message_is_in_flight_leaves_it_possibly_persisted() {
    let (cluster, producer) = fake().await;
    cluster.inject(Rule::on(Api::Produce), Fault::Silence.after_apply());
    let token = CancellationToken::new();
    let send = tokio::spawn({
        let (producer, ctx) = (producer.clone(), Context::background().with_cancellation(token.clone()));
        async move { producer.send(&ctx, Message::new("v").to("t").partition(0)).await }
    });
    cluster.wait_until(|cluster| cluster.high_watermark("t", 0) == Some(1)).await;
    let started = Instant::now();
    token.cancel();
    let error = send.await.unwrap().unwrap_err();
    eprintln!("{error}");
    assert!(started.elapsed() <= LATE, "{:?}", started.elapsed());
    assert_eq!(error.code(), ErrorCode::SendFailed);
    assert_eq!((error.kind(), error.fate()), (ErrorKind::Cancelled, Fate::PossiblyPersisted), "{error}");
    assert!(error.into_message().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_context_cancelled_while_the_message_waits_withdraws_it() {
    let (cluster, producer) = fake().await;
    // Without a leader a message waits.
    producer.send(&ctx(10 * SECOND), Message::new("first").to("t").partition(0)).await.unwrap();
    cluster.remove_leader("t", 0);
    let blocked = tokio::spawn({
        let producer = producer.clone();
        async move { producer.send(&Context::background(), Message::new("second").to("t").partition(0)).await }
    });
    cluster.wait_until(|cluster| cluster.requests(Api::Produce) >= 2).await;
    let token = CancellationToken::new();
    let waiting = Context::background().with_cancellation(token.clone());
    let send = tokio::spawn({
        let producer = producer.clone();
        async move {
            fails(
                &producer,
                &waiting,
                Message::new("third").to("t").partition(0),
                ErrorKind::Cancelled,
                SECOND,
            )
            .await
        }
    });
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    token.cancel();
    send.await.unwrap();
    cluster.move_leader("t", 0, 1);
    blocked.await.unwrap().unwrap();
    let values: Vec<_> = cluster.records("t", 0).into_iter().map(|r| r.value.unwrap()).collect();
    assert_eq!(values, ["first", "second"]);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_send_whatever_the_broker_does() {
    for fault in
        [Fault::Silence, Fault::Silence.after_apply(), Fault::Error(6), Fault::Error(7), Fault::Disconnect]
    {
        // A separate cluster: otherwise the circuit breaker would remember the last one.
        let (cluster, producer) = fake().await;
        cluster.inject(Rule::on(Api::Produce).always(), fault.clone());
        let started = Instant::now();
        let error =
            producer.send(&ctx(2 * SECOND), Message::new("v").to("t").partition(1)).await.unwrap_err();
        let took = started.elapsed();
        assert!(took <= 2 * SECOND + LATE, "{fault:?}: {took:?}");
        let certain = matches!(fault, Fault::Error(6));
        assert_eq!(error.fate() == Fate::NotPersisted, certain, "{fault:?}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_deleted_under_way() {
    let (cluster, producer) = fake().await;
    producer.send(&ctx(10 * SECOND), Message::new("v").to("t")).await.unwrap();
    cluster.delete_topic("t");
    let background = Context::background();
    // Other brokers may only not have heard of it: it counts as deleted after half a minute.
    fails(&producer, &background, Message::new("v").to("t"), ErrorKind::UnknownTopic, 35 * SECOND).await;
    // Once it is back, it is found.
    cluster.create_topic("t", 1);
    tokio::time::advance(SECOND).await;
    producer.send(&ctx(10 * SECOND), Message::new("v").to("t")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn settings_that_contradict_each_other_are_all_reported() {
    let config = ProducerConfig::new(["a"]).timeouts(TimeoutConfig::default().delivery(SECOND)).topic("a b");
    let error = Producer::new(config).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfig);
    for word in ["no port", "timeouts.delivery (delivery.timeout.ms", "topic:"] {
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_after_close_and_closing_again_and_at_once() {
    let (_cluster, producer) = fake().await;
    producer.send(&ctx(SECOND), Message::new("v").to("t")).await.unwrap();
    let started = Instant::now();
    let closes: Vec<_> = (0..2)
        .map(|_| {
            let producer = producer.clone();
            tokio::spawn(async move { producer.close(&ctx(SECOND)).await })
        })
        .collect();
    for close in closes {
        close.await.unwrap().unwrap();
    }
    producer.close(&ctx(SECOND)).await.unwrap();
    assert!(started.elapsed() <= LATE, "{:?}", started.elapsed());
    fails(&producer, &Context::background(), Message::new("v").to("t"), ErrorKind::Closed, Duration::ZERO)
        .await;
}
