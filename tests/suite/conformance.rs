//! One suite for every cluster and engine.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use rskafka_producer::{
    BatchConfig, Compression, Context, Delivery, EngineKind, ErrorCode, ErrorKind, Fate, Message, Producer,
    ProducerConfig, Receipt, Result,
};

use crate::cluster::Cluster;
use crate::support::{SECOND, assert_numbers_in_order, minute};

/// A case runs against a cluster with an engine, on topics with its own prefix.
pub(crate) type Case = for<'a> fn(Run<'a>) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) cluster: &'a dyn Cluster,
    pub(crate) engine: EngineKind,
    pub(crate) prefix: &'a str,
    pub(crate) way: Way,
}

/// How messages are handed over: each in a separate call, through the calls for many, or to a producer for one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Single,
    Bulk,
    Topic,
}

/// A producer whose messages go that way.
struct Tested {
    producer: Producer,
    way: Way,
}

impl std::ops::Deref for Tested {
    type Target = Producer;

    fn deref(&self) -> &Producer {
        &self.producer
    }
}

impl Tested {
    async fn send(&self, ctx: &Context, message: Message) -> Result<Delivery> {
        match self.way {
            Way::Single => self.producer.send(ctx, message).await,
            Way::Bulk => self.producer.send_all(ctx, [message]).await.pop().unwrap(),
            Way::Topic => match &message.topic {
                Some(topic) => self.producer.topic(topic.clone()).send(ctx, message).await,
                None => self.producer.send(ctx, message).await,
            },
        }
    }

    async fn send_message(&self, ctx: &Context, key: &str, value: &str) -> Result<Delivery> {
        match self.way {
            Way::Single | Way::Topic => self.producer.send_message(ctx, key, value).await,
            Way::Bulk => self.send(ctx, Message::copy_of(value).key_copy(key)).await,
        }
    }

    async fn enqueue(&self, ctx: &Context, message: Message) -> Result<Receipt> {
        match self.way {
            Way::Single => self.producer.enqueue(ctx, message).await,
            Way::Bulk => self.producer.enqueue_all(ctx, [message]).await.into_iter().next().unwrap(),
            Way::Topic => match &message.topic {
                Some(topic) => self.producer.topic(topic.clone()).enqueue(ctx, message).await,
                None => self.producer.enqueue(ctx, message).await,
            },
        }
    }
}

impl Run<'_> {
    fn topic(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn config(&self) -> ProducerConfig {
        self.cluster.reached_by(ProducerConfig::new(self.cluster.bootstrap()).engine(self.engine))
    }

    async fn new_topic(&self, name: &str, partitions: i32) -> String {
        let topic = self.topic(name);
        self.cluster.create_topic(&topic, partitions, &[]).await;
        topic
    }

    async fn producer(&self, config: ProducerConfig) -> Tested {
        Tested { producer: Producer::connect(&minute(), config).await.unwrap(), way: self.way }
    }

    fn now_ms(&self) -> i64 {
        self.cluster.now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
    }

    fn is_native(&self) -> bool {
        self.engine == EngineKind::Native
    }
}

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        /// Every case, by name.
        pub(crate) const CASES: &[(&str, Case)] = &[$((stringify!($name), |run| Box::pin($name(run)))),*];
        /// Expands to one test for each case.
        macro_rules! each_case {
            ($run:ident) => {$(
                #[tokio::test]
                async fn $name() {
                    $run(stringify!($name)).await;
                }
            )*};
        }
        pub(crate) use each_case;
    };
}

cases! {
    an_acknowledged_message_is_stored_where_its_delivery_says,
    keys_choose_the_partition_that_java_would_choose,
    contents_survive_unchanged,
    each_partition_keeps_the_order_of_acceptance,
    messages_of_one_call_keep_their_order_and_have_an_outcome_each,
    messages_go_to_their_own_topics,
    every_codec_is_read_back,
    batches_that_shrink_hold_more_and_are_read_back_in_order,
    flush_settles_everything_accepted_before_it,
    close_delivers_what_was_accepted_and_refuses_the_rest,
    a_message_too_large_for_the_broker_fails_alone,
    an_unknown_topic_is_an_error_and_is_not_created,
    an_explicit_partition_is_obeyed_and_checked,
    a_broker_that_sets_the_time_is_believed,
    a_compacted_topic_refuses_only_messages_without_a_key,
    a_producer_that_delivers_is_healthy,
    a_topic_and_its_cluster_are_described,
}

async fn an_acknowledged_message_is_stored_where_its_delivery_says(run: Run<'_>) {
    let topic = run.new_topic("one", 3).await;
    let producer = run.producer(run.config().topic(&topic)).await;
    // A real broker may not have heard of a new topic yet, and the first message takes more than one attempt.
    producer.send_message(&minute(), "key", "first").await.unwrap();
    let delivery = producer.send_message(&minute(), "key", "value").await.unwrap();
    assert_eq!((delivery.topic(), delivery.attempts()), (topic.as_str(), 1));
    let stored = run.cluster.read(&topic).await;
    assert_eq!(stored.len(), 2);
    assert_eq!(stored[1].partition, delivery.partition());
    assert_eq!(Some(stored[1].offset), delivery.offset());
    assert_eq!(stored[1].timestamp, delivery.timestamp());
    assert_eq!(stored[1].value.as_deref(), Some(&b"value"[..]));
    producer.close(&minute()).await.unwrap();
}

async fn keys_choose_the_partition_that_java_would_choose(run: Run<'_>) {
    let topic = run.new_topic("keys", 3).await;
    let producer = run.producer(run.config().topic(&topic)).await;
    // From the Java client's own hash, over three partitions.
    for (key, partition) in [("", 0), ("1", 0), ("2", 2), ("a", 1), ("foo", 2), ("kafka", 1), ("order-42", 0)]
    {
        let delivery = producer.send_message(&minute(), key, "v").await.unwrap();
        assert_eq!(delivery.partition(), partition, "{key:?}");
    }
    producer.close(&minute()).await.unwrap();
}

async fn contents_survive_unchanged(run: Run<'_>) {
    let topic = run.new_topic("contents", 1).await;
    let producer = run.producer(run.config().topic(&topic)).await;
    let all_bytes: Bytes = (0..=255u8).collect::<Vec<_>>().into();
    let mut messages = vec![
        Message::new("plain"),
        Message::new("").key(""),
        Message::tombstone("gone"),
        Message::default(),
        Message::new(all_bytes.clone()).key(all_bytes),
        Message::new("dated").timestamp(run.cluster.now() - 5 * SECOND),
        Message::new("headers").header("a", "1").header("b", ""),
    ];
    if run.is_native() {
        messages.push(
            Message::new("more headers").header("z", "1").header("a", "2").header("z", "3").null_header("ä"),
        );
    }
    for message in &messages {
        producer.send(&minute(), message.clone()).await.unwrap();
    }
    let stored = run.cluster.read(&topic).await;
    assert_eq!(stored.len(), messages.len());
    for (stored, sent) in stored.iter().zip(&messages) {
        assert_eq!(stored.key, sent.key);
        assert_eq!(stored.value, sent.value);
        let headers: Vec<_> = sent.headers.iter().map(|h| (h.name.clone(), h.value.clone())).collect();
        assert_eq!(stored.headers, headers);
        match sent.timestamp {
            Some(set) => assert_eq!(stored.timestamp, set),
            None => assert!((run.now_ms() - stored.timestamp).abs() < 60_000),
        }
    }
    producer.close(&minute()).await.unwrap();
}

async fn each_partition_keeps_the_order_of_acceptance(run: Run<'_>) {
    let topic = run.new_topic("order", 3).await;
    let producer = run.producer(run.config().topic(&topic)).await;
    let mut receipts = Vec::new();
    for n in 0..3_000u32 {
        let message = Message::new(n.to_string()).partition((n % 3) as i32);
        receipts.push(producer.enqueue(&minute(), message).await.unwrap());
    }
    for (n, receipt) in receipts.into_iter().enumerate() {
        let delivery = receipt.await.unwrap();
        assert_eq!((delivery.partition(), delivery.offset()), ((n % 3) as i32, Some(n as i64 / 3)));
    }
    assert_numbers_in_order(&run.cluster.read(&topic).await, 3_000);
    producer.close(&minute()).await.unwrap();
}

async fn messages_of_one_call_keep_their_order_and_have_an_outcome_each(run: Run<'_>) {
    let (one, two) = (run.new_topic("all-one", 3).await, run.new_topic("all-two", 1).await);
    let producer = run.producer(run.config().topic(&one)).await;
    let large = Bytes::from(vec![b'x'; 8 << 20]);
    let message = |n: u32| match n % 8 {
        7 => Message::new(n.to_string()).to(two.as_str()),
        6 if n % 120 == 118 => Message::new(large.clone()),
        5 if n % 120 == 117 => Message::new("v").partition(3),
        rest => Message::new(n.to_string()).partition((rest % 3) as i32),
    };
    let (mut next, mut last) = ([0; 3], 0);
    for (n, result) in (0..).zip(producer.send_all(&minute(), (0..2_000).map(message)).await) {
        match (n % 8, result) {
            (7, result) => {
                assert_eq!(result.unwrap().offset(), Some(last));
                last += 1;
            }
            (6, Err(error)) => assert_eq!((n % 120, error.kind()), (118, ErrorKind::MessageTooLarge)),
            (5, Err(error)) => assert_eq!((n % 120, error.kind()), (117, ErrorKind::UnknownPartition)),
            (rest, result) => {
                let partition = rest as usize % 3;
                let delivery = result.unwrap();
                assert_eq!((delivery.topic(), delivery.partition()), (one.as_str(), partition as i32));
                assert_eq!(delivery.offset(), Some(next[partition]));
                next[partition] += 1;
            }
        }
    }
    assert_eq!(last, 250);
    assert_eq!(run.cluster.read(&one).await.len() as i64, next.iter().sum::<i64>());
    let stored = run.cluster.read(&two).await;
    let values =
        stored.iter().map(|record| String::from_utf8(record.value.clone().unwrap().to_vec()).unwrap());
    assert!(values.eq((0..2_000).filter(|n| n % 8 == 7).map(|n: u32| n.to_string())));
    producer.close(&minute()).await.unwrap();
}

async fn messages_go_to_their_own_topics(run: Run<'_>) {
    let (one, two) = (run.new_topic("left", 1).await, run.new_topic("right", 2).await);
    let producer = run.producer(run.config().topic(&one)).await;
    for n in 0..20 {
        let message = Message::new(format!("{n}"));
        let message = if n % 2 == 0 { message } else { message.to(two.as_str()) };
        producer.send(&minute(), message).await.unwrap();
    }
    for topic in [&one, &two] {
        assert_eq!(run.cluster.read(topic).await.len(), 10, "{topic}");
    }
    producer.close(&minute()).await.unwrap();
}

async fn every_codec_is_read_back(run: Run<'_>) {
    for codec in Compression::ALL {
        let config = run.config().batch(BatchConfig::default().compression(codec));
        if let Err(error) = config.validate() {
            // An engine or a build that lacks the codec says so, and does not ignore it.
            assert!(error.to_string().contains(codec.as_str()), "{error}");
            continue;
        }
        let topic = run.new_topic(codec.as_str(), 1).await;
        let producer = run.producer(config.topic(&topic)).await;
        let text = r#"{"id":1234,"name":"a value that repeats itself","tags":["a","a","a"]}"#;
        let noise: Vec<u8> = (0..4_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let mut receipts = Vec::new();
        for n in 0..500 {
            receipts.push(producer.enqueue(&minute(), Message::new(format!("{n}{text}"))).await.unwrap());
        }
        producer.flush(&minute()).await.unwrap();
        // Does not shrink, and goes as it is.
        receipts.push(producer.enqueue(&minute(), Message::new(noise.clone())).await.unwrap());
        for receipt in receipts {
            receipt.await.unwrap();
        }
        let stored = run.cluster.read(&topic).await;
        assert_eq!(stored.len(), 501, "{codec}");
        for (n, record) in stored[..500].iter().enumerate() {
            assert_eq!(record.value, Some(Bytes::from(format!("{n}{text}"))), "{codec}");
        }
        assert_eq!(stored[500].value, Some(Bytes::from(noise)), "{codec}");
        producer.close(&minute()).await.unwrap();
    }
}

async fn batches_that_shrink_hold_more_and_are_read_back_in_order(run: Run<'_>) {
    const COUNT: u32 = 900;
    for codec in Compression::ALL {
        let batch = BatchConfig::default().compression(codec).max_bytes(16_000);
        let config = run.config().batch(batch);
        if config.validate().is_err() {
            continue;
        }
        let topic = run.new_topic(&format!("shrink-{codec}"), 1).await;
        let producer = match Producer::connect(&minute(), config.topic(&topic)).await {
            Ok(producer) => Tested { producer, way: run.way },
            // A broker of that time knows nothing of it.
            Err(error) if error.to_string().contains("cannot read zstd") => continue,
            Err(error) => panic!("{error}"),
        };
        let mut random = fastrand::Rng::with_seed(7);
        // It shrinks well, then not at all, and then again.
        let mut value = |n: u32| -> Vec<u8> {
            let noise = (n / 300) % 2 == 1;
            let rest = std::iter::repeat_with(|| if noise { random.u8(..) } else { b'x' });
            n.to_string().into_bytes().into_iter().chain([b' ']).chain(rest).take(500).collect()
        };
        let values: Vec<Bytes> = (0..COUNT).map(|n| value(n).into()).collect();
        let mut receipts = Vec::new();
        for value in &values {
            receipts.push(producer.enqueue(&minute(), Message::new(value.clone())).await.unwrap());
        }
        for (n, receipt) in receipts.into_iter().enumerate() {
            assert_eq!(receipt.await.unwrap().offset(), Some(n as i64), "{codec}");
        }
        let stored: Vec<_> = run.cluster.read(&topic).await.into_iter().filter_map(|r| r.value).collect();
        assert!(stored == values, "{codec}: {} of {COUNT} records", stored.len());
        producer.close(&minute()).await.unwrap();
    }
}

async fn flush_settles_everything_accepted_before_it(run: Run<'_>) {
    let topic = run.new_topic("flush", 3).await;
    let batch = BatchConfig::default().linger(Duration::from_secs(20));
    let producer = run.producer(run.config().topic(&topic).batch(batch)).await;
    let mut receipts = Vec::new();
    for n in 0..100 {
        receipts.push(producer.enqueue(&minute(), Message::new(n.to_string())).await.unwrap());
    }
    producer.flush(&minute()).await.unwrap();
    for receipt in receipts {
        // Settled already: no further wait is needed.
        futures_util::FutureExt::now_or_never(receipt).expect("settled").unwrap();
    }
    assert_eq!(run.cluster.read(&topic).await.len(), 100);
    producer.close(&minute()).await.unwrap();
}

async fn close_delivers_what_was_accepted_and_refuses_the_rest(run: Run<'_>) {
    let topic = run.new_topic("close", 2).await;
    let producer = run.producer(run.config().topic(&topic)).await;
    for n in 0..200 {
        drop(producer.enqueue(&minute(), Message::new(n.to_string())).await.unwrap());
    }
    let other = producer.clone();
    let (first, second) = tokio::join!(producer.close(&minute()), other.close(&minute()));
    first.unwrap();
    second.unwrap();
    let refused = producer.send_message(&minute(), "k", "late").await.unwrap_err();
    assert_eq!((refused.kind(), refused.fate()), (ErrorKind::Closed, Fate::NotPersisted));
    assert_eq!(refused.into_message().unwrap().value.as_deref(), Some(&b"late"[..]));
    assert_eq!(run.cluster.read(&topic).await.len(), 200);
    producer.close(&minute()).await.unwrap();
}

async fn a_message_too_large_for_the_broker_fails_alone(run: Run<'_>) {
    let topic = run.topic("large");
    run.cluster.create_topic(&topic, 1, &[("max.message.bytes", "4000")]).await;
    let producer = run.producer(run.config().topic(&topic)).await;
    // Something in flight lets the rest gather in one batch, which is too large as a whole.
    let mut receipts = Vec::new();
    for n in 0..50 {
        let size = if n == 20 { 5_000 } else { 300 };
        let value = format!("{n:>size$}");
        receipts.push(producer.enqueue(&minute(), Message::new(value)).await.unwrap());
    }
    for (n, receipt) in receipts.into_iter().enumerate() {
        match receipt.await {
            Ok(_) => assert_ne!(n, 20),
            Err(error) => {
                assert_eq!(n, 20, "{error}");
                assert_eq!((error.kind(), error.fate()), (ErrorKind::MessageTooLarge, Fate::NotPersisted));
                assert_eq!(error.broker_error().unwrap().name(), "MESSAGE_TOO_LARGE");
                assert_eq!(error.into_message().unwrap().value.unwrap().len(), 5_000);
            }
        }
    }
    let stored = run.cluster.read(&topic).await;
    assert_eq!(stored.len(), 49);
    let numbers: Vec<u32> = stored
        .iter()
        .map(|r| std::str::from_utf8(r.value.as_deref().unwrap()).unwrap().trim().parse().unwrap())
        .collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    producer.close(&minute()).await.unwrap();
}

async fn an_unknown_topic_is_an_error_and_is_not_created(run: Run<'_>) {
    let topic = run.topic("tpyo");
    let producer = run.producer(run.config()).await;
    let error = producer.send(&minute(), Message::new("v").to(topic.as_str())).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), (ErrorCode::SendFailed, ErrorKind::UnknownTopic));
    assert_eq!(error.fate(), Fate::NotPersisted);
    assert!(error.to_string().contains(&topic), "{error}");
    assert!(!run.cluster.has_topic(&topic).await, "a typo creates nothing");
    producer.close(&minute()).await.unwrap();
}

async fn an_explicit_partition_is_obeyed_and_checked(run: Run<'_>) {
    let topic = run.new_topic("explicit", 3).await;
    let producer = run.producer(run.config().topic(&topic)).await;
    for partition in [2, 0, 1] {
        let delivery =
            producer.send(&minute(), Message::new("v").key("k").partition(partition)).await.unwrap();
        assert_eq!(delivery.partition(), partition);
    }
    for partition in [3, -1, i32::MAX] {
        let error = producer.send(&minute(), Message::new("v").partition(partition)).await.unwrap_err();
        assert_eq!((error.kind(), error.fate()), (ErrorKind::UnknownPartition, Fate::NotPersisted));
    }
    producer.close(&minute()).await.unwrap();
}

async fn a_broker_that_sets_the_time_is_believed(run: Run<'_>) {
    if !run.is_native() {
        // rskafka does not expose the broker's time.
        return;
    }
    let topic = run.topic("appended");
    run.cluster.create_topic(&topic, 1, &[("message.timestamp.type", "LogAppendTime")]).await;
    let producer = run.producer(run.config().topic(&topic)).await;
    let an_hour_ago = run.cluster.now() - 3_600 * SECOND;
    let delivery = producer.send(&minute(), Message::new("v").timestamp(an_hour_ago)).await.unwrap();
    assert!((delivery.timestamp() - run.now_ms()).abs() < 60_000);
    assert_eq!(run.cluster.read(&topic).await[0].timestamp, delivery.timestamp());
    producer.close(&minute()).await.unwrap();
}

async fn a_compacted_topic_refuses_only_messages_without_a_key(run: Run<'_>) {
    if !run.is_native() {
        // rskafka asks in a version whose answer does not name the bad records: the whole batch fails.
        return;
    }
    let topic = run.topic("compacted");
    run.cluster.create_topic(&topic, 1, &[("cleanup.policy", "compact")]).await;
    let producer = run.producer(run.config().topic(&topic)).await;
    let mut receipts = Vec::new();
    for n in 0..30 {
        let message = Message::new(n.to_string());
        let message = if n % 10 == 5 { message } else { message.key(n.to_string()) };
        receipts.push(producer.enqueue(&minute(), message).await.unwrap());
    }
    for (n, receipt) in receipts.into_iter().enumerate() {
        match receipt.await {
            Ok(_) => assert_ne!(n % 10, 5),
            Err(error) => {
                assert_eq!(n % 10, 5, "{error}");
                assert_eq!((error.kind(), error.fate()), (ErrorKind::InvalidMessage, Fate::NotPersisted));
                assert!(error.into_message().is_some());
            }
        }
    }
    assert_numbers_in_order(&run.cluster.read(&topic).await, 27);
    producer.close(&minute()).await.unwrap();
}

async fn a_producer_that_delivers_is_healthy(run: Run<'_>) {
    let topic = run.new_topic("health", 1).await;
    let producer = run.producer(run.config().topic(&topic)).await;
    producer.health(&minute()).await.unwrap();
    producer.send_message(&minute(), "k", "v").await.unwrap();
    producer.health(&minute()).await.unwrap();
    producer.close(&minute()).await.unwrap();
    let error = producer.health(&minute()).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), (ErrorCode::BrokersUnavailable, ErrorKind::Closed));
}

async fn a_topic_and_its_cluster_are_described(run: Run<'_>) {
    let topic = run.new_topic("described", 3).await;
    let producer = run.producer(run.config()).await;
    let partitions = producer.partitions(&minute(), &topic).await.unwrap();
    assert_eq!(partitions.iter().map(|found| found.partition).collect::<Vec<_>>(), [0, 1, 2]);
    let cluster = producer.cluster_id(&minute()).await.unwrap();
    assert_eq!(cluster.is_some(), run.is_native());
    for found in &partitions {
        assert_eq!(found.leader.is_some(), run.is_native(), "{found:?}");
        let bootstrap = run.cluster.bootstrap();
        assert!(found.leader.as_ref().is_none_or(|leader| bootstrap.contains(&leader.address)), "{found:?}");
    }
    let misspelt = run.topic("described-tpyo");
    let error = producer.partitions(&minute(), &misspelt).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTopic, "{error}");
    assert!(!run.cluster.has_topic(&misspelt).await, "a question creates nothing");

    let message = Message::new(vec![7; 1_000]).key("k").header("a", "b");
    assert!((1_000..1_200).contains(&producer.estimated_size(&message)));
    producer.close(&minute()).await.unwrap();
}
