//! Batches are as large as their limit allows once they are compressed, and never larger.

use kafka_testbed::{Api, BatchSeen, FakeCluster, Fault, Rule};
use rskafka_producer::{
    BatchConfig, BulkheadConfig, Compression, Context, Message, Producer, ProducerConfig,
};

use crate::support::{SECOND, becomes_true, minute};

const LIMIT: usize = 16_000;
const VALUE: usize = 250;

fn codecs() -> impl Iterator<Item = Compression> {
    let built_in = |codec: &Compression| {
        let config = ProducerConfig::new(["b:1"]).batch(BatchConfig::default().compression(*codec));
        config.validate().is_ok()
    };
    Compression::ALL.into_iter().filter(|codec| *codec != Compression::None).filter(built_in)
}

/// A value that begins with its number, and shrinks or does not.
fn value(number: usize, noise: Option<&mut fastrand::Rng>) -> Vec<u8> {
    let mut value = format!("{number} ").into_bytes();
    match noise {
        Some(random) => value.resize_with(VALUE, || random.u8(..)),
        None => value.resize(VALUE, b'x'),
    }
    value
}

fn numbers(cluster: &FakeCluster, partition: i32) -> Vec<usize> {
    let number = |value: &[u8]| {
        let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).copied().collect();
        String::from_utf8(digits).unwrap().parse().unwrap()
    };
    cluster.records("t", partition).iter().map(|record| number(record.value.as_ref().unwrap())).collect()
}

/// What was sent, request by request.
fn requests(cluster: &FakeCluster) -> Vec<Vec<BatchSeen>> {
    let seen = cluster.seen().into_iter();
    seen.filter(|request| request.api == Api::Produce).map(|request| request.batches).collect()
}

async fn producer(cluster: &FakeCluster, batch: BatchConfig, in_flight: usize) -> Producer {
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t").batch(batch);
    let bulkhead = BulkheadConfig::default().max_in_flight(in_flight);
    Producer::connect(&minute(), config.bulkhead(bulkhead)).await.unwrap()
}

fn batch(codec: Compression) -> BatchConfig {
    BatchConfig::default().compression(codec).max_bytes(LIMIT)
}

/// Hands over so many messages, and waits until they are stored, each at its first attempt.
async fn deliver(producer: &Producer, values: impl Iterator<Item = Vec<u8>>) {
    let mut receipts = Vec::new();
    for value in values {
        receipts.push(producer.enqueue(&minute(), Message::new(value).partition(0)).await.unwrap());
    }
    for receipt in receipts {
        assert_eq!(receipt.await.unwrap().attempts(), 1, "dividing a batch is not an attempt");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_carries_three_times_as_many_records_that_shrink() {
    const COUNT: usize = 3_000;
    let mut largest = std::collections::HashMap::new();
    for codec in codecs().chain([Compression::None]) {
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let producer = producer(&cluster, batch(codec), 1).await;
        // The first batch that is full says how much the next may hold.
        for range in [0..200, 200..COUNT] {
            deliver(&producer, range.map(|number| value(number, None))).await;
        }
        assert!(numbers(&cluster, 0).into_iter().eq(0..COUNT), "{codec}");
        let batches = requests(&cluster).concat();
        assert!(batches.iter().all(|batch| batch.bytes <= LIMIT), "{codec}");
        largest.insert(codec.as_str(), batches.iter().map(|batch| batch.records).max().unwrap());
    }
    let plain = largest["none"];
    assert!((50..65).contains(&plain), "{plain}");
    for (codec, records) in largest.into_iter().filter(|(codec, _)| *codec != "none") {
        assert!((3 * plain..9 * plain).contains(&records), "{codec}: {records} records, {plain} without");
    }
}

#[tokio::test(start_paused = true)]
async fn data_that_no_longer_shrinks_is_divided_before_it_is_sent() {
    for codec in codecs() {
        for in_flight in [1, 5] {
            let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
            let producer = producer(&cluster, batch(codec), in_flight).await;
            let mut random = fastrand::Rng::with_seed(7);
            // Ten times the one and then the other, all of it in order.
            deliver(&producer, (0..200).map(|number| value(number, None))).await;
            let mixed = (200..8_200).map(|number| {
                let noisy = number / 400 % 2 == 0;
                value(number, noisy.then_some(&mut random))
            });
            deliver(&producer, mixed).await;
            assert!(numbers(&cluster, 0).into_iter().eq(0..8_200), "{codec}");
            let sent = requests(&cluster).concat();
            let largest = sent.iter().map(|batch| batch.bytes).max().unwrap();
            assert!((LIMIT / 2..=LIMIT).contains(&largest), "{codec}: {largest} bytes");
            assert_eq!(sent.len(), cluster.batches("t", 0).len(), "{codec}: each was sent once");
            let epochs = sent.iter().map(|batch| batch.epoch).max().unwrap();
            assert_eq!(epochs, 0, "{codec}: the numbers of a batch do for its pieces");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_takes_less_is_asked_too_much_a_few_times_and_no_more() {
    // Of the least even a batch as large as without compression is too large.
    for (codec, largest) in codecs().flat_map(|codec| [(codec, 2_000), (codec, 4_000)]) {
        let builder = FakeCluster::builder().topic("t", 1).max_message_bytes(largest);
        let cluster = builder.start().await.unwrap();
        let producer = producer(&cluster, batch(codec), 1).await;
        let mut random = fastrand::Rng::with_seed(7);
        // A third of each value is noise.
        let mut values = (0..4_000).map(|number| {
            let mut value = value(number, None);
            value[VALUE - 30..].fill_with(|| random.u8(..));
            value
        });
        let mut receipts = Vec::new();
        for value in &mut values {
            receipts.push(producer.enqueue(&minute(), Message::new(value)).await.unwrap());
        }
        for receipt in receipts {
            receipt.await.unwrap();
        }
        assert!(numbers(&cluster, 0).into_iter().eq(0..4_000), "{codec}");
        let sent = requests(&cluster).concat();
        let too_large = sent.iter().filter(|batch| batch.bytes > largest).count();
        let stored = sent.len() - too_large;
        let most = if largest < 3_000 { stored / 2 + 5 } else { 10 };
        assert!(too_large <= most, "{codec}: {too_large} of {} were too large", sent.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_could_hold_more_waits_no_longer_for_it() {
    let Some(codec) = codecs().next() else { return };
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = producer(&cluster, batch(codec).linger(60 * SECOND), 2).await;
    deliver(&producer, (0..200).map(|number| value(number, None))).await;
    let before = cluster.requests(Api::Produce);
    cluster.inject(Rule::on(Api::Produce), Fault::Unanswered);
    let mut kept = Vec::new();
    for number in 200..300 {
        kept.push(producer.enqueue(&Context::background(), Message::new(value(number, None))).await.unwrap());
        tokio::task::yield_now().await;
    }
    // The clock stands still meanwhile.
    let sent = || cluster.requests(Api::Produce) >= before + 2;
    becomes_true(sent, "a batch leaves that would be full without compression").await;
}

#[tokio::test(start_paused = true)]
async fn partitions_share_a_request_as_far_as_what_they_send_shrinks() {
    for codec in codecs() {
        let cluster = FakeCluster::with_topic("t", 8).await.unwrap();
        let producer = producer(&cluster, batch(codec).max_request_bytes(20_000), 1).await;
        let mut random = fastrand::Rng::with_seed(7);
        let mut receipts = Vec::new();
        for number in 0..16_000usize {
            let noisy = number / 4_000 % 2 == 1;
            let value = value(number, noisy.then_some(&mut random));
            let message = Message::new(value).partition((number % 8) as i32);
            receipts.push(producer.enqueue(&minute(), message).await.unwrap());
        }
        for receipt in receipts {
            assert_eq!(receipt.await.unwrap().attempts(), 1);
        }
        for partition in 0..8 {
            let expected = (0..16_000).filter(|number| number % 8 == partition as usize);
            assert!(numbers(&cluster, partition).into_iter().eq(expected), "{codec}");
        }
        let mut most = 0;
        for batches in requests(&cluster) {
            let bytes: usize = batches.iter().map(|batch| batch.bytes).sum();
            assert!(bytes <= 20_000 - 1_024, "{codec}: {bytes} bytes in {} batches", batches.len());
            most = most.max(batches.iter().map(|batch| batch.records).sum::<i32>());
        }
        assert!(most > 3 * 20_000 / VALUE as i32, "{codec}: {most} records in a request");
    }
}
