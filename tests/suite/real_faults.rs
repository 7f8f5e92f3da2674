//! What only a real cluster can show: quotas, dead and frozen processes, leaders that move.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kafka_testbed::JvmCluster;
use rskafka_producer::{BatchConfig, Context, EngineKind, Message, Producer, ProducerConfig, TimeoutConfig};
use tokio::time::Instant;

use crate::cluster::{Slowness, Tries, turn};
use crate::ledger::{Ledger, Verdict};
use crate::support::minute;

const PARTITIONS: i32 = 3;

async fn quota(engine: EngineKind, records: usize, limit_for: Duration) -> (usize, Duration) {
    let _turn = turn(1).await;
    let cluster = JvmCluster::builder().start().await.unwrap();
    cluster.create_topic("t", 1, &[]).await.unwrap();
    // Kafka averages over ten seconds: the first megabyte is free, the second takes ten seconds.
    cluster.set_producer_quota(Some(100_000.0)).await.unwrap();
    let config = ProducerConfig::new(cluster.bootstrap()).topic("t").engine(engine);
    let producer = Producer::connect(&minute(), config).await.unwrap();
    let started = Instant::now();
    let ctx = Context::timeout(limit_for);
    for _ in 0..records {
        // The baseline engine may run into the deadline; what it stored is what counts.
        if producer.send(&ctx, Message::new("x".repeat(10_000))).await.is_err() {
            break;
        }
    }
    let took = started.elapsed();
    drop(producer);
    let stored = cluster.high_watermarks("t").await.unwrap()[0];
    (stored as usize, took)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_quota_everything_is_stored_once_and_the_pace_is_kept() {
    if !JvmCluster::available_or_skip("under_a_quota_everything_is_stored_once_and_the_pace_is_kept") {
        return;
    }
    let (stored, took) = quota(EngineKind::Native, 200, Duration::from_secs(120)).await;
    eprintln!("200 records of 10 kB under 100 kB/s: {stored} stored in {took:?}");
    assert_eq!(stored, 200);
    assert!(took > Duration::from_secs(4), "the broker's throttle time was not obeyed: {took:?}");
}

/// rskafka takes a batch that was stored and throttled for one to be sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_quota_the_partition_client_engine_stores_more_than_it_was_given() {
    if !JvmCluster::available_or_skip(
        "under_a_quota_the_partition_client_engine_stores_more_than_it_was_given",
    ) {
        return;
    }
    let (stored, took) = quota(EngineKind::PartitionClient, 200, Duration::from_secs(30)).await;
    eprintln!(
        "the PartitionClient engine, at most 200 records under the same quota: {stored} stored in {took:?}"
    );
    assert!(stored > 200, "rskafka no longer duplicates what is throttled: {stored}; say so in the README");
}

/// Runs `disturb` while numbers are sent to every partition; the ledger against the log, when all is settled.
async fn under<F>(
    name: &str,
    config: impl FnOnce(ProducerConfig) -> ProducerConfig,
    disturb: F,
) -> Option<Verdict>
where
    F: AsyncFnOnce(&mut JvmCluster, &Ledger),
{
    if !JvmCluster::available_or_skip(name) {
        return None;
    }
    let _turn = turn(3).await;
    // A follower that finds the new leader not ready looks again after so long, a second by default, and one whose fetch
    // waits there already asks for the partition only when that has returned, after half a second. Until then nobody can
    // have an acknowledgement of all replicas.
    let cluster = JvmCluster::builder().nodes(3).proxied();
    let cluster = cluster.config("replica.fetch.backoff.ms", "50").config("replica.fetch.wait.max.ms", "50");
    let mut cluster = cluster.start().await.unwrap();
    cluster.create_topic("t", PARTITIONS, &[]).await.unwrap();
    let config = config(ProducerConfig::new(cluster.proxied_bootstrap()));
    let producer = Producer::connect(&minute(), config).await.unwrap();
    let (ledger, stop) = (Ledger::new("t"), AtomicBool::new(false));
    let feed = async {
        let feeds = (0..PARTITIONS).map(|partition| {
            let stop = &stop;
            ledger.feed(&producer, partition, Duration::from_millis(1), |_| stop.load(Ordering::Relaxed))
        });
        futures_util::future::join_all(feeds).await;
    };
    let trouble = async {
        progress(&ledger, 100).await;
        disturb(&mut cluster, &ledger).await;
        let (acked, ..) = ledger.progress();
        progress(&ledger, acked + 300).await;
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(feed, trouble);
    let stats = producer.stats();
    producer.close(&minute()).await.unwrap();
    let verdict = ledger.verify(&cluster.read_fast("t").await.unwrap());
    eprintln!("{name}: {verdict:?}; {} retries", stats.retries);
    assert!(verdict.is_clean(), "{verdict:?}");
    Some(verdict)
}

/// Waits until so many messages are acknowledged.
async fn progress(ledger: &Ledger, acked: usize) {
    let until = Instant::now() + Duration::from_secs(60);
    while ledger.progress().0 < acked {
        assert!(Instant::now() < until, "no progress in a minute: {:?}", ledger.progress());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Time until the next message of this very partition is acknowledged.
async fn next_ack(ledger: &Ledger, partition: i32) -> Duration {
    let (since, before) = (Instant::now(), ledger.acked(partition));
    while ledger.acked(partition) == before {
        assert!(since.elapsed() < Duration::from_secs(60), "no acknowledgement of partition {partition}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    since.elapsed()
}

/// F1: the leader is killed. Time from the new leader's election to the first acknowledgement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_killed_costs_nothing_but_its_election() {
    let verdict = under(
        "a_leader_that_is_killed_costs_nothing_but_its_election",
        |c| c,
        async |cluster, ledger| {
            let mut tries = Tries::new();
            loop {
                let dead = cluster.leaders("t").await.unwrap()[0].unwrap();
                cluster.kill(dead).unwrap();
                let (_, elected) = cluster.wait_for_leader("t", 0, Some(dead)).await.unwrap();
                let slowness = Slowness::measure();
                let took = next_ack(ledger, 0).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
                let limit = slowness.allows(Duration::from_millis(500));
                cluster.restart(dead).await.unwrap();
                let seen = format!("F1: new leader after {elected:?}, first acknowledgement {took:?} later");
                if tries.passed(took <= limit, &seen) {
                    break;
                }
            }
        },
    );
    if let Some(verdict) = verdict.await {
        assert_eq!(verdict.not_persisted + verdict.possibly_persisted, 0, "{verdict:?}");
    }
}

/// F2: every node is restarted, one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_nothing() {
    let verdict = under(
        "a_rolling_restart_fails_nothing",
        |c| c,
        async |cluster, ledger| {
            for node in cluster.node_ids() {
                cluster.terminate(node).await.unwrap();
                cluster.restart(node).await.unwrap();
                let (acked, ..) = ledger.progress();
                progress(ledger, acked + 100).await;
            }
        },
    );
    if let Some(verdict) = verdict.await {
        assert_eq!(verdict.not_persisted + verdict.possibly_persisted, 0, "{verdict:?}");
    }
}

/// F3: leaders are moved while all brokers stay up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_moves_is_followed() {
    let verdict = under(
        "a_leader_that_moves_is_followed",
        |c| c,
        async |cluster, ledger| {
            let (mut tries, slowness) = (Tries::new(), Slowness::measure());
            for round in 0..6 {
                let partition = round % PARTITIONS;
                let leader = cluster.leaders("t").await.unwrap()[partition as usize].unwrap();
                cluster.move_leader("t", partition, leader % 3 + 1).await.unwrap();
                let took = next_ack(ledger, partition).await;
                let limit = slowness.allows(Duration::from_millis(500));
                tries.passed(
                    took <= limit,
                    &format!("F3: first acknowledgement of the new leader after {took:?}"),
                );
                let (acked, ..) = ledger.progress();
                progress(ledger, acked + 100).await;
            }
        },
    );
    if let Some(verdict) = verdict.await {
        assert_eq!(verdict.not_persisted + verdict.possibly_persisted, 0, "{verdict:?}");
        assert!(verdict.longest_stall < Duration::from_secs(5), "{verdict:?}");
    }
}

/// F12, F13: connections are cut at random bytes of the answers, and at once, over and over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_cut_at_any_byte_neither_lose_nor_double() {
    let name = "connections_cut_at_any_byte_neither_lose_nor_double";
    let small = |config: ProducerConfig| config.batch(BatchConfig::default().max_bytes(1_024));
    let verdict = under(name, small, async |cluster, ledger| {
        let seed = 42;
        eprintln!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..40 {
            let proxy = cluster.proxy(random.i32(1..=3));
            match random.bool() {
                true => proxy.cut_now(),
                false => proxy.set_cut_after(Some(random.u64(1..300))),
            }
            tokio::time::sleep(Duration::from_millis(random.u64(10..150))).await;
            proxy.set_cut_after(None);
        }
        let (acked, ..) = ledger.progress();
        progress(ledger, acked + 100).await;
    });
    verdict.await;
}

/// F7: a node freezes with its connections open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_broker_is_left_for_its_successor() {
    let quick =
        |config: ProducerConfig| config.timeouts(TimeoutConfig::default().request(Duration::from_secs(3)));
    let verdict = under("a_frozen_broker_is_left_for_its_successor", quick, async |cluster, ledger| {
        let frozen = cluster.leaders("t").await.unwrap()[0].unwrap();
        cluster.freeze(frozen).unwrap();
        tokio::time::sleep(Duration::from_secs(6)).await;
        cluster.thaw(frozen).unwrap();
        let (acked, ..) = ledger.progress();
        progress(ledger, acked + 100).await;
    });
    if let Some(verdict) = verdict.await {
        assert_eq!(verdict.not_persisted + verdict.possibly_persisted, 0, "{verdict:?}");
    }
}

/// F16: the disk of a leader takes nothing more. Its process ends, as Kafka's does with its last log directory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_costs_an_election_and_no_message() {
    let verdict = under(
        "a_full_disk_costs_an_election_and_no_message",
        |c| c,
        async |cluster, ledger| {
            let full = cluster.leaders("t").await.unwrap()[0].unwrap();
            cluster.fill_disk(full).unwrap();
            let (_, elected) = cluster.wait_for_leader("t", 0, Some(full)).await.unwrap();
            let took = next_ack(ledger, 0).await;
            eprintln!(
                "F16: a new leader {elected:?} after the disk was full; its first acknowledgement {took:?} later"
            );
            while cluster.is_running(full) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            cluster.restart(full).await.unwrap();
        },
    );
    if let Some(verdict) = verdict.await {
        assert_eq!(verdict.not_persisted + verdict.possibly_persisted, 0, "{verdict:?}");
    }
}

/// F11: of three brokers one swallows everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_healthy_brokers_keep_their_throughput_beside_a_black_hole() {
    let verdict = under(
        "two_healthy_brokers_keep_their_throughput_beside_a_black_hole",
        |c| c,
        async |cluster, ledger| {
            for partition in 0..PARTITIONS {
                cluster.move_leader("t", partition, partition + 1).await.unwrap();
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            let rate = async || {
                let (since, before) = (Instant::now(), ledger.acked(1) + ledger.acked(2));
                let slowness = Slowness::measure();
                tokio::time::sleep(Duration::from_secs(3)).await;
                let rate =
                    (ledger.acked(1) + ledger.acked(2) - before) as f64 / since.elapsed().as_secs_f64();
                // Of a machine that is not busy with anything else.
                rate * slowness.factor()
            };
            let mut tries = Tries::new();
            loop {
                let healthy = rate().await;
                cluster.proxy(1).set_black_hole(true);
                let beside = rate().await;
                cluster.proxy(1).set_black_hole(false);
                cluster.proxy(1).cut_now();
                let seen = format!("F11: {healthy:.0} acknowledgements/s, {beside:.0} beside a black hole");
                if tries.passed(beside >= 0.95 * healthy, &seen) {
                    break;
                }
            }
        },
    );
    if let Some(verdict) = verdict.await {
        assert_eq!(verdict.not_persisted + verdict.possibly_persisted, 0, "{verdict:?}");
    }
}
