//! A producer as the end of a stream.

use futures_util::{SinkExt, StreamExt, stream};
use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{BatchConfig, BufferConfig, ErrorKind, Fate, Message, Producer, ProducerConfig};
use tokio::time::{Instant, timeout};

use crate::support::{MS, SECOND, assert_numbers_in_order, minute};

fn message(n: u32) -> Message {
    Message::new(n.to_string())
}

async fn producer(cluster: &FakeCluster, batch: BatchConfig, buffer: usize) -> Producer {
    let config = ProducerConfig::new(cluster.bootstrap())
        .topic("t")
        .batch(batch)
        .buffer(BufferConfig::default().max_bytes(buffer));
    Producer::connect(&minute(), config).await.unwrap()
}

/// In order, however small the buffer is, and on a thread that the sender shares.
#[tokio::test(start_paused = true)]
async fn a_stream_is_forwarded_in_order() {
    for buffer in [2_000, 32 << 20] {
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let producer = producer(&cluster, BatchConfig::default().max_bytes(2_000), buffer).await;
        let messages = stream::iter(0..3_000).map(message).map(Ok);
        messages.forward(producer.sink()).await.unwrap();
        // All of it is stored, and the producer is still open.
        assert_numbers_in_order(&cluster.records("t", 0), 3_000);
        producer.send(&minute(), message(3_000)).await.unwrap();
        producer.close(&minute()).await.unwrap();
        let closed = producer.sink().send(message(0)).await.unwrap_err();
        assert_eq!(closed.kind(), ErrorKind::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_not_ready_while_the_buffer_is_full_and_loses_nothing_when_a_call_is_dropped() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = producer(&cluster, BatchConfig::default().max_bytes(1_000), 1_000).await;
    cluster.inject(Rule::on(Api::Produce), Fault::Delay(5 * SECOND));
    let mut sink = producer.sink();
    let mut taken = 0;
    while timeout(SECOND / 10, sink.feed(message(taken))).await.is_ok() {
        taken += 1;
    }
    assert!((10..100).contains(&taken), "{taken}");
    // That one was not taken: `feed` was dropped while it waited to be ready.
    sink.flush().await.unwrap();
    let stored = cluster.records("t", 0);
    assert_numbers_in_order(&stored, stored.len());
    assert!(stored.len() as u32 == taken);
    producer.close(&minute()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_fails_comes_back_and_the_sink_goes_on() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = producer(&cluster, BatchConfig::default(), 32 << 20).await;
    let mut sink = producer.sink();
    sink.feed(message(0)).await.unwrap();
    let large = Message::new(vec![0; 2 << 20]);
    let error = sink.feed(large.clone()).await.unwrap_err();
    assert_eq!((error.kind(), error.fate()), (ErrorKind::MessageTooLarge, Fate::NotPersisted));
    assert_eq!(error.into_message(), Some(large));
    // One that the broker refuses is reported by the next call.
    sink.flush().await.unwrap();
    cluster.inject(Rule::on(Api::Produce).times(1), Fault::Error(87));
    sink.feed(message(1)).await.unwrap();
    let error = sink.flush().await.unwrap_err();
    assert_eq!(error.into_message(), Some(message(1)));
    sink.send(message(2)).await.unwrap();
    sink.close().await.unwrap();
    assert_numbers_in_order(&cluster.records("t", 0), 2);
    producer.close(&minute()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn to_flush_it_sends_what_lingers() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = producer(&cluster, BatchConfig::default().linger(20 * SECOND), 32 << 20).await;
    cluster.inject(Rule::on(Api::Produce).times(1), Fault::Delay(100 * MS));
    let mut sink = producer.sink();
    let started = Instant::now();
    for n in 0..100 {
        sink.feed(message(n)).await.unwrap();
    }
    sink.flush().await.unwrap();
    assert!(started.elapsed() < SECOND, "{:?}", started.elapsed());
    assert_numbers_in_order(&cluster.records("t", 0), 100);
    producer.close(&minute()).await.unwrap();
}
