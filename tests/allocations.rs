//! A message costs the caller no allocation: batches reuse their memory, and a receipt is a place in one.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::VecDeque;

use bytes::Bytes;
use kafka_testbed::FakeCluster;
use rskafka_producer::{Context, Message, Producer, ProducerConfig, Receipt};

const WARM: usize = 50_000;
const RECORDS: usize = 100_000;
const BULK: usize = 1_000;

fn messages(count: usize) -> impl Iterator<Item = Message> {
    let value = Bytes::from(vec![b'x'; 100]);
    (0..count).map(move |_| Message::new(value.clone()))
}

async fn singly(producer: &Producer, count: usize) {
    let mut receipts: VecDeque<Receipt> = VecDeque::with_capacity(BULK);
    for message in messages(count) {
        if receipts.len() == BULK {
            receipts.pop_front().unwrap().await.unwrap();
        }
        receipts.push_back(producer.enqueue(&Context::background(), message).await.unwrap());
    }
    for receipt in receipts {
        receipt.await.unwrap();
    }
}

async fn in_bulk(producer: &Producer, count: usize) {
    for _ in 0..count / BULK {
        for result in producer.enqueue_all(&Context::background(), messages(BULK)).await.await {
            result.unwrap();
        }
    }
}

#[test]
fn a_flood_allocates_for_batches_and_lists_and_not_for_messages() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let cluster = runtime.block_on(FakeCluster::with_topic("t", 1)).unwrap();
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t");
    let producer = runtime.block_on(Producer::connect(&Context::background(), config)).unwrap();
    // The tasks of the producer are on other threads, and are not counted.
    let measured = |bulk: bool| {
        let run = |count| match bulk {
            true => runtime.block_on(in_bulk(&producer, count)),
            false => runtime.block_on(singly(&producer, count)),
        };
        run(WARM);
        let batches = producer.stats().batch_records.count;
        let allocated = allocation_counter::measure(|| run(RECORDS)).count_total as f64;
        (allocated, (producer.stats().batch_records.count - batches) as f64)
    };
    let (allocated, batches) = measured(false);
    eprintln!("single: {allocated} allocations for {RECORDS} records in {batches} batches");
    assert!(allocated <= 20.0 * batches + 100.0, "{allocated} for {batches} batches");
    let (allocated, batches) = measured(true);
    let lists = (RECORDS / BULK) as f64;
    eprintln!("bulk: {allocated} allocations for {lists} calls in {batches} batches");
    assert!(allocated <= 20.0 * batches + 20.0 * lists + 100.0, "{allocated} for {batches} batches");
}
