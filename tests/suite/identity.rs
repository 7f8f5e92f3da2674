//! Which cluster, which topic and which broker answers: nothing is acknowledged that is not in the log that is there.

use std::collections::HashSet;
use std::time::Duration;

use kafka_testbed::{Api, FakeCluster, Fault, JvmCluster, Rule, SimCluster, SimNet};
use rskafka_producer::{
    Context, Error, Fate, Message, Producer, ProducerConfig, Receipt, RetryConfig, TimeoutConfig,
};
use tokio::time::{Instant, sleep};

use crate::cluster::turn;
use crate::logging::Lines;
use crate::support::{MS, SECOND, assert_numbers_in_order, minute, simulated};

fn config(cluster: &FakeCluster) -> ProducerConfig {
    ProducerConfig::new(cluster.bootstrap()).topic("t")
}

async fn producer(config: ProducerConfig) -> Producer {
    Producer::connect(&minute(), config).await.unwrap()
}

async fn send(producer: &Producer, n: usize) -> Result<Option<i64>, Error> {
    producer.send(&minute(), Message::new(n.to_string()).partition(0)).await.map(|delivery| delivery.offset())
}

pub(crate) fn events(lines: &Lines, name: &str) -> Vec<serde_json::Value> {
    lines.all().into_iter().filter(|event| event["event"] == name).collect()
}

/// What is stored, as numbers.
fn numbers(cluster: &FakeCluster) -> Vec<usize> {
    let records = cluster.records("t", 0);
    records
        .iter()
        .map(|r| std::str::from_utf8(r.value.as_deref().unwrap()).unwrap().parse().unwrap())
        .collect()
}

/// A cluster in which other producers have written, each ten messages.
async fn used_by_others(brokers: usize, producers: usize) -> FakeCluster {
    let cluster = FakeCluster::builder().brokers(brokers).topic("t", 1).start().await.unwrap();
    for other in 0..producers {
        let producer = producer(config(&cluster)).await;
        for n in 0..10 {
            send(&producer, 1_000_000 + other * 10 + n).await.unwrap();
        }
        producer.close(&minute()).await.unwrap();
    }
    cluster
}

#[tokio::test(start_paused = true)]
async fn in_another_cluster_nothing_is_acknowledged_that_is_not_in_its_log() {
    for brokers in [1, 3] {
        let cluster = FakeCluster::builder().brokers(brokers).topic("t", 1).start().await.unwrap();
        let other = used_by_others(brokers, 40).await;
        let lines = Lines::default();
        let producer = producer(config(&cluster).logger(lines.logger())).await;
        for n in 0..5 {
            send(&producer, n).await.unwrap();
        }
        let id = cluster.batches("t", 0)[0].producer_id;
        assert!(other.batches("t", 0).iter().any(|batch| batch.producer_id == id), "the id is in use there");
        let (from, to) = (cluster.cluster_id().unwrap(), other.cluster_id().unwrap());
        cluster.exchange(&other);
        let exchanged = Instant::now();
        // The end of the connections has been noticed: what is written to one that has ended is in doubt.
        sleep(MS).await;
        for n in 5..12 {
            let offset = send(&producer, n).await.unwrap().unwrap();
            assert_eq!(numbers(&cluster)[offset as usize], n);
        }
        let changed = events(&lines, "cluster.changed");
        assert_eq!(changed.len(), 1, "{changed:?}");
        assert_eq!((&changed[0]["from"], &changed[0]["to"]), (&from.into(), &to.into()));
        let sent = cluster.seen();
        let mut after = sent.iter().filter(|seen| seen.at > exchanged).flat_map(|seen| &seen.batches);
        assert!(after.all(|batch| batch.producer_id != id), "a batch with the old id was sent");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_in_flight_when_the_cluster_is_exchanged_is_stored_there_or_fails_honestly() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let other = used_by_others(1, 3).await;
    let producer = producer(config(&cluster)).await;
    send(&producer, 0).await.unwrap();
    cluster.inject(Rule::on(Api::Produce), Fault::Silence.after_apply());
    let in_flight = producer.enqueue(&minute(), Message::new("1").partition(0)).await.unwrap();
    cluster.wait_until(|cluster| cluster.high_watermark("t", 0) == Some(2)).await;
    let waiting = producer.enqueue(&minute(), Message::new("2").partition(0)).await.unwrap();
    cluster.exchange(&other);
    let error = in_flight.await.unwrap_err();
    assert_eq!(error.fate(), Fate::PossiblyPersisted, "it is in the log of the former cluster: {error}");
    let stored = waiting.await.unwrap().offset().unwrap();
    assert_eq!(numbers(&cluster)[stored as usize], 2);
}

/// Whatever is in flight, and however often clusters change: what is acknowledged is in a log, what was sent since the
/// last change is in the log that is there, and nothing that is reported as not persisted is in any.
#[tokio::test(start_paused = true)]
async fn a_hundred_random_exchanges_lose_nothing_that_was_acknowledged() {
    for seed in 0..100 {
        let mut random = fastrand::Rng::with_seed(seed);
        let brokers = random.usize(1..=3);
        let cluster = FakeCluster::builder().brokers(brokers).topic("t", 1).start().await.unwrap();
        let other = used_by_others(brokers, random.usize(0..4)).await;
        let producer = producer(config(&cluster)).await;
        let mut receipts: Vec<(usize, bool, Receipt)> = Vec::new();
        let exchanges = random.usize(1..=3);
        let mut sent = 0;
        for round in 0..=exchanges {
            for _ in 0..random.usize(1..12) {
                if random.u8(..8) == 0 {
                    let fault =
                        [Fault::Disconnect, Fault::Silence, Fault::Delay(50 * MS)][random.usize(..3)].clone();
                    let fault = if random.bool() { fault.after_apply() } else { fault };
                    cluster.inject(Rule::on(Api::Produce), fault);
                }
                let message = Message::new(sent.to_string()).partition(0);
                let receipt = producer.enqueue(&Context::background(), message).await.unwrap();
                receipts.push((sent, round == exchanges, receipt));
                sent += 1;
                if random.u8(..3) == 0 {
                    sleep(random.u32(0..20) * MS).await;
                }
            }
            if round < exchanges {
                cluster.exchange(&other);
                cluster.heal();
            }
        }
        let mut results = Vec::new();
        for (n, last, receipt) in receipts {
            results.push((n, last, receipt.await.map(drop)));
        }
        let (here, there) = (numbers(&cluster), numbers(&other));
        let everywhere: HashSet<_> = here.iter().chain(&there).copied().collect();
        for (n, last, result) in results {
            match result {
                Ok(()) if last => {
                    assert!(here.contains(&n), "seed {seed}: {n} is not in the log that is there")
                }
                Ok(()) => assert!(everywhere.contains(&n), "seed {seed}: {n} is in no log"),
                Err(error) if error.fate() == Fate::NotPersisted => {
                    assert!(!everywhere.contains(&n), "seed {seed}: {n} is stored: {error}");
                }
                Err(_) => {}
            }
        }
        for log in [here, there] {
            let ours: Vec<_> = log.into_iter().filter(|n| *n < 1_000_000).collect();
            assert!(ours.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}: {ours:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn close_ends_in_time_while_the_cluster_is_exchanged() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let other = used_by_others(1, 2).await;
    let producer = producer(config(&cluster)).await;
    send(&producer, 0).await.unwrap();
    cluster.inject(Rule::on(Api::Produce).times(2), Fault::Delay(100 * MS).after_apply());
    let mut receipts = Vec::new();
    for n in 1..20 {
        receipts.push(producer.enqueue(&minute(), Message::new(n.to_string()).partition(0)).await.unwrap());
    }
    sleep(MS).await;
    let closing = tokio::spawn({
        let producer = producer.clone();
        async move { producer.close(&Context::timeout(10 * SECOND)).await }
    });
    sleep(10 * MS).await;
    cluster.exchange(&other);
    let started = Instant::now();
    closing.await.unwrap().unwrap();
    assert!(started.elapsed() < 10 * SECOND);
    for (n, receipt) in receipts.into_iter().enumerate() {
        match receipt.await {
            Ok(delivery) if delivery.offset().is_some() => {
                assert!(numbers(&cluster).contains(&(n + 1)) || numbers(&other).contains(&(n + 1)));
            }
            Ok(delivery) => panic!("{delivery:?}"),
            Err(error) => assert_eq!(error.fate(), Fate::PossiblyPersisted, "{error}"),
        }
    }
}

#[test]
fn of_a_list_that_names_two_clusters_one_is_used() {
    for seed in 0..50 {
        // Simulated: a paused clock runs ahead of real sockets, and a cluster that is silent for seconds is left.
        SimNet::run(seed, one_of_two_clusters);
    }
}

async fn one_of_two_clusters(net: SimNet) {
    let cluster = || SimCluster::start(&net, FakeCluster::builder().topic("t", 1));
    let (one, two) = (cluster(), cluster());
    let mut random = fastrand::Rng::with_seed(net.random());
    let mut list = [one.bootstrap(), two.bootstrap()].concat();
    random.shuffle(&mut list);
    let lines = Lines::default();
    let timeouts = TimeoutConfig::default().metadata_age(SECOND / 10);
    let config = ProducerConfig::new(list).topic("t").timeouts(timeouts).logger(lines.logger());
    let producer = producer(simulated(&net, config)).await;
    for n in 0..50 {
        send(&producer, n).await.unwrap();
        if random.u8(..4) == 0 {
            one.cut_connections(0);
            two.cut_connections(0);
        }
        sleep(random.u32(0..200) * MS).await;
    }
    let used = [&one, &two].into_iter().find(|cluster| cluster.high_watermark("t", 0) != Some(0)).unwrap();
    assert_numbers_in_order(&used.records("t", 0), 50);
    assert_eq!(events(&lines, "cluster.changed").len(), 0, "seed {}", net.seed());
}

/// One attempt that failed made the producer leave its cluster for the other one of the list.
#[tokio::test(start_paused = true)]
async fn a_cluster_is_not_left_for_another_one_because_of_a_connection_that_fails() {
    for first in 0..2 {
        let clusters =
            [FakeCluster::with_topic("t", 1).await.unwrap(), FakeCluster::with_topic("t", 1).await.unwrap()];
        let list = [clusters[first].bootstrap(), clusters[1 - first].bootstrap()].concat();
        let lines = Lines::default();
        let producer = producer(ProducerConfig::new(list).topic("t").logger(lines.logger())).await;
        send(&producer, 0).await.unwrap();
        let used = clusters.iter().find(|cluster| cluster.high_watermark("t", 0) != Some(0)).unwrap();
        for n in 1..5 {
            used.inject(Rule::on(Api::ApiVersions).times(2), Fault::Disconnect);
            used.cut_connections(0);
            sleep(SECOND).await;
            send(&producer, n).await.unwrap();
        }
        assert_numbers_in_order(&used.records("t", 0), 5);
        assert_eq!(events(&lines, "cluster.changed").len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_without_an_id_is_used_and_another_one_is_noticed() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    cluster.set_cluster_id(None);
    let lines = Lines::default();
    let producer = producer(config(&cluster).logger(lines.logger())).await;
    for n in 0..5 {
        send(&producer, n).await.unwrap();
        cluster.cut_connections(0);
    }
    assert_eq!(events(&lines, "cluster.changed").len(), 0);
    let other = used_by_others(1, 5).await;
    cluster.exchange(&other);
    sleep(MS).await;
    for n in 5..9 {
        let offset = send(&producer, n).await.unwrap().unwrap();
        assert_eq!(numbers(&cluster)[offset as usize], n);
    }
    assert_eq!(events(&lines, "cluster.changed").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn brokers_that_exchange_their_addresses_get_what_they_lead() {
    let cluster = FakeCluster::builder().brokers(2).topic("t", 2).start().await.unwrap();
    let producer = producer(config(&cluster)).await;
    for partition in 0..2 {
        producer.send(&minute(), Message::new("0").partition(partition)).await.unwrap();
    }
    cluster.exchange_addresses(0, 1);
    for n in 1..20 {
        for partition in 0..2 {
            producer.send(&minute(), Message::new(n.to_string()).partition(partition)).await.unwrap();
        }
    }
    assert_numbers_in_order(&cluster.all_records("t"), 40);
    for seen in cluster.seen() {
        assert!(
            seen.batches.iter().all(|batch| batch.partition == seen.node),
            "sent to the wrong broker: {seen:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_created_again_is_reported_and_starts_under_a_higher_epoch() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let lines = Lines::default();
    let timeouts = TimeoutConfig::default().metadata_age(SECOND);
    let producer = producer(config(&cluster).timeouts(timeouts).logger(lines.logger())).await;
    for n in 0..3 {
        send(&producer, n).await.unwrap();
    }
    let before = cluster.batches("t", 0)[0].clone();
    assert!(cluster.recreate_topic("t", 1));
    sleep(2 * SECOND).await;
    send(&producer, 3).await.unwrap();
    sleep(SECOND).await;
    send(&producer, 4).await.unwrap();
    assert_eq!(numbers(&cluster), [3, 4]);
    let reported = events(&lines, "topic.recreated");
    assert_eq!(reported.len(), 1);
    assert_eq!(reported[0]["topic"], "t");
    for (batch, sequence) in cluster.batches("t", 0).iter().zip([0, 1]) {
        assert_eq!((batch.producer_id, batch.epoch), (before.producer_id, before.epoch + 1));
        assert_eq!(batch.sequence, sequence, "not even the first message is sent under the former epoch");
    }
    assert_eq!(events(&lines, "cluster.changed").len(), 0);
}

/// Nothing is pipelined to a topic that the broker may know nothing of, so that the order of its life is kept.
#[tokio::test(start_paused = true)]
async fn a_topic_that_is_created_again_under_load_keeps_its_order() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let producer = producer(config(&cluster).retry(RetryConfig::default().backoff(10 * MS))).await;
        let mut receipts = Vec::new();
        for n in 0..200 {
            receipts
                .push(producer.enqueue(&minute(), Message::new(n.to_string()).partition(0)).await.unwrap());
            if n == 100 {
                assert!(cluster.delete_topic("t"));
            }
            if n == 120 {
                assert!(cluster.create_topic("t", 1));
            }
            sleep(random.u32(0..3) * MS).await;
        }
        let mut acknowledged = Vec::new();
        for (n, receipt) in receipts.into_iter().enumerate() {
            if receipt.await.is_ok() {
                acknowledged.push(n);
            }
        }
        let stored = numbers(&cluster);
        assert!(stored.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}: {stored:?}");
        let lost: Vec<_> = acknowledged.iter().filter(|n| **n > 120 && !stored.contains(*n)).collect();
        assert!(lost.is_empty(), "seed {seed}: {lost:?}");
    }
}

/// The cluster id is read in every version, the topic id from version 10 on.
#[tokio::test(start_paused = true)]
async fn metadata_is_read_in_every_version_that_a_broker_may_offer() {
    for newest in 4..=13 {
        let cluster = FakeCluster::builder().brokers(2).topic("t", 3).offer(Api::Metadata, 4..=newest);
        let cluster = cluster.start().await.unwrap();
        let other = FakeCluster::builder().brokers(2).topic("t", 3).offer(Api::Metadata, 4..=newest);
        let other = other.start().await.unwrap();
        let lines = Lines::default();
        let timeouts = TimeoutConfig::default().metadata_age(SECOND);
        let producer = producer(config(&cluster).timeouts(timeouts).logger(lines.logger())).await;
        let everywhere = async |n: usize| {
            for partition in 0..3 {
                let message = Message::new(n.to_string()).partition(partition);
                producer.send(&minute(), message).await.unwrap();
            }
            sleep(2 * SECOND).await;
        };
        everywhere(0).await;
        everywhere(1).await;
        assert!(cluster.seen().iter().any(|seen| seen.api == Api::Metadata && seen.version == newest));
        assert!(cluster.recreate_topic("t", 3));
        everywhere(2).await;
        everywhere(3).await;
        let recreated = usize::from(newest >= 10);
        assert_eq!(events(&lines, "topic.recreated").len(), recreated, "version {newest}");
        cluster.exchange(&other);
        sleep(MS).await;
        everywhere(4).await;
        assert_eq!(events(&lines, "cluster.changed").len(), 1, "version {newest}");
        assert_eq!(cluster.all_records("t").len(), 3);
    }
}

/// Deletes a topic and creates it again while messages are pipelined to it; how many were acknowledged, how many failed.
async fn created_again_under_load(cluster: &JvmCluster, producer: &Producer, round: u32) -> (usize, usize) {
    let topic = format!("t{round}");
    cluster.create_topic(&topic, 1, &[]).await.unwrap();
    let feed = async {
        let mut sends = Vec::new();
        for n in 0..400 {
            let message = Message::new(n.to_string()).to(topic.as_str()).partition(0);
            sends.push(producer.enqueue(&minute(), message).await.unwrap());
            sleep(MS).await;
        }
        let (mut acked, mut failed) = (Vec::new(), 0);
        for (n, receipt) in sends.into_iter().enumerate() {
            match receipt.await {
                Ok(delivery) => acked.push((n, delivery.offset())),
                Err(_) => failed += 1,
            }
        }
        (acked, failed)
    };
    let recreate = async {
        sleep(100 * MS).await;
        cluster.delete_topic(&topic).await.unwrap();
        sleep((round % 6) * 12 * MS).await;
        // The deletion may not be complete yet.
        while cluster.create_topic(&topic, 1, &[]).await.is_err() {
            sleep(MS).await;
        }
    };
    let ((acked, failed), ()) = tokio::join!(feed, recreate);
    let stored = cluster.read_fast(&topic).await.unwrap();
    let numbers: Vec<usize> = stored
        .iter()
        .map(|record| std::str::from_utf8(record.value.as_deref().unwrap()).unwrap().parse().unwrap())
        .collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{topic}: {numbers:?}");
    // Offsets begin again with the topic's second life.
    let life = acked.windows(2).rposition(|pair| pair[0].1 >= pair[1].1).map_or(0, |before| before + 1);
    let lost: Vec<_> = acked[life..].iter().filter(|(n, _)| !numbers.contains(n)).collect();
    assert!(lost.is_empty(), "{topic}: acknowledged in its last life and in no log: {lost:?}");
    (acked.len(), failed)
}

/// Sixty topics are deleted and created again while messages are pipelined to them. Within the last life of each, what was
/// acknowledged is in its log, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_topics_that_are_created_again_under_load_keep_their_order() {
    let name = "real_topics_that_are_created_again_under_load_keep_their_order";
    if !JvmCluster::available_or_skip(name) {
        return;
    }
    let _turn = turn(1).await;
    let cluster = JvmCluster::builder().start().await.unwrap();
    let producer = producer(ProducerConfig::new(cluster.bootstrap())).await;
    let (mut acknowledged, mut failed) = (0, 0);
    // Six at a time, each with another pause between its two lives.
    for first in (0..60).step_by(6) {
        let rounds = (first..first + 6).map(|round| created_again_under_load(&cluster, &producer, round));
        for (stored, lost) in futures_util::future::join_all(rounds).await {
            acknowledged += stored;
            failed += lost;
        }
    }
    eprintln!("60 topics created again: {acknowledged} messages acknowledged, {failed} failed");
    producer.close(&minute()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_once_named_itself_wrongly_is_used_again() {
    // Every answer to Metadata is mangled for a while, node ids too; then all is well.
    for seed in 0..300 {
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let producer = Producer::new(config(&cluster)).unwrap();
        cluster.inject(Rule::on(Api::Metadata).times(1), Fault::Mangle(seed));
        // Whether these are stored depends on what was changed.
        _ = producer.send(&Context::timeout(Duration::from_secs(3)), Message::new("early")).await;
        cluster.heal();
        let sent = async {
            while producer
                .send(&Context::timeout(Duration::from_secs(20)), Message::new("late"))
                .await
                .is_err()
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let limit = Duration::from_secs(60);
        assert!(
            tokio::time::timeout(limit, sent).await.is_ok(),
            "seed {seed}: {:?}",
            producer.stats().brokers
        );
        producer.close(&Context::timeout(limit)).await.unwrap();
    }
}
