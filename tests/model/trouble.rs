//! What goes wrong with a cluster, at random.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kafka_testbed::{Api, FakeCluster, FakeClusterBuilder, Fault, RequestSeen, StoredBatch, StoredRecord};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::ground::{Cluster, Ground};
use crate::runner::Watch;
use crate::settings::{MS, SECOND, Settings};

pub(crate) const TOPICS: [&str; 2] = ["t0", "t1"];

const HAPPENINGS: [&str; 17] = [
    "move",
    "move",
    "cut",
    "cut",
    "no leader",
    "grow",
    "black hole",
    "deaf",
    "reset",
    "stop",
    "forget",
    "recreate",
    "quiet",
    "lose the end",
    "weather",
    "swap",
    "resize",
];

/// A partition's log from the creation of its topic to its deletion.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life {
    pub(crate) records: Vec<StoredRecord>,
    pub(crate) batches: Vec<StoredBatch>,
    /// Its broker forgot what it knew of its producers, and may store copies, or what follows nothing.
    pub(crate) forgot: bool,
}

/// The cluster, and what is no longer in it.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) ground: Ground,
    /// The client id that it serves.
    pub(crate) client: String,
    settings: Settings,
    over: Mutex<HashMap<(usize, i32), Vec<Life>>>,
    forgot: Mutex<HashMap<(usize, i32), bool>>,
    /// Partitions that lost messages which only their leader had acknowledged.
    pub(crate) lossy: Mutex<HashSet<(usize, i32)>>,
    pub(crate) recreated: Mutex<u64>,
    stopped: Mutex<Option<i32>>,
    swapped: AtomicBool,
    watch: Arc<Watch>,
    /// Things that may still happen.
    left: AtomicUsize,
    began: Instant,
}

impl World {
    pub(crate) async fn new(settings: &Settings, seed: u64, ground: Ground, watch: Arc<Watch>) -> Arc<Self> {
        // Producers that were left over from other schedules are strangers here.
        let client = format!("model-{seed}");
        ground.turns(&mut fastrand::Rng::with_seed(seed ^ 0xdcba), &watch);
        let cluster = ground.start(builder(settings, &client)).await;
        if let Some(bytes) = settings.max_message_bytes {
            cluster.configure_topic(TOPICS[0], "max.message.bytes", &bytes.to_string());
        }
        let hook = Mutex::new((fastrand::Rng::with_seed(seed ^ 0xabcd), watch.limits.faults));
        let (rate, lying) = (settings.fault_rate, settings.lying);
        cluster.on_request(move |request: &RequestSeen| {
            let (random, left) = &mut *hook.lock();
            let produce = request.api == Api::Produce;
            if *left == 0 || random.f64() >= if produce { rate } else { rate / 3.0 } {
                return None;
            }
            *left -= 1;
            Some(if produce { produce_fault(random) } else { other_fault(random, lying) })
        });
        Arc::new(Self {
            cluster,
            ground,
            client,
            settings: settings.clone(),
            over: Mutex::default(),
            forgot: Mutex::default(),
            lossy: Mutex::default(),
            recreated: Mutex::new(0),
            stopped: Mutex::default(),
            swapped: AtomicBool::default(),
            left: AtomicUsize::new(watch.limits.happenings),
            watch,
            began: Instant::now(),
        })
    }

    /// Every life of a partition, the present one last.
    pub(crate) fn lives(&self, topic: usize, partition: i32) -> Vec<Life> {
        let mut lives = self.over.lock().get(&(topic, partition)).cloned().unwrap_or_default();
        lives.push(self.present(topic, partition));
        lives
    }

    fn present(&self, topic: usize, partition: i32) -> Life {
        let forgot = self.forgot.lock().get(&(topic, partition)).copied().unwrap_or_default();
        let (records, batches) =
            (self.cluster.records(TOPICS[topic], partition), self.cluster.batches(TOPICS[topic], partition));
        Life { records, batches, forgot }
    }

    pub(crate) fn partitions(&self) -> i32 {
        // Grown by two at most.
        self.settings.partitions + 2
    }

    /// One thing that happens, and what comes of it.
    pub(crate) async fn happen(self: &Arc<Self>, r: &mut fastrand::Rng) {
        let node = r.i32(0..self.settings.brokers);
        let (topic, partition) = (r.usize(..2), r.i32(0..self.settings.partitions));
        let name = TOPICS[topic];
        let cluster = &self.cluster;
        let what = r.usize(..HAPPENINGS.len());
        let take = |left: usize| left.checked_sub(1);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
            return;
        }
        self.say(&format!("{} {name}/{partition} node {node}", HAPPENINGS[what]));
        match what {
            0 | 1 => cluster.move_leader(name, partition, node),
            2 | 3 => cluster.cut_connections(node),
            4 => {
                cluster.remove_leader(name, partition);
                self.later(r, move |world| world.cluster.move_leader(name, partition, node));
            }
            5 => cluster.grow_topic(name, r.i32(0..self.partitions() + 1).max(self.settings.partitions)),
            6 => {
                cluster.black_hole(node);
                self.later(r, move |world| world.cluster.behave(node));
            }
            7 => {
                cluster.stop_reading(node);
                self.later(r, move |world| world.cluster.behave(node));
            }
            8 => {
                cluster.reset_connections(node);
                self.later(r, move |world| world.cluster.behave(node));
            }
            // The first one stays where the producer looks for it.
            9 if node == 0 => cluster.cut_connections(node),
            9 => {
                *self.stopped.lock() = Some(node);
                cluster.stop(node).await;
                tokio::time::sleep(MS * r.u32(..2_000)).await;
                if r.bool() {
                    // It had not yet written what it held.
                    for (topic, name) in TOPICS.iter().enumerate() {
                        let led = |partition: &i32| cluster.leader(name, *partition) == Some(node);
                        (0..self.partitions())
                            .filter(led)
                            .for_each(|partition| self.lose_end(topic, partition, r));
                    }
                }
                self.start(node, r.bool());
            }
            10 => {
                self.forgot.lock().insert((topic, partition), true);
                cluster.forget_producers(name, partition);
            }
            11 => self.recreate(topic, r).await,
            12 => tokio::time::sleep(MS * r.u32(..6_000)).await,
            13 => {
                self.lose_end(topic, partition, r);
                cluster.move_leader(name, partition, node);
            }
            14 => self.ground.turns(r, &self.watch),
            15 => self.swap().await,
            _ => {
                let bytes = if r.bool() { "700" } else { "1048588" };
                cluster.configure_topic(name, "max.message.bytes", bytes);
            }
        }
    }

    /// Deletes a topic, and creates it again at once or a little later.
    async fn recreate(&self, topic: usize, r: &mut fastrand::Rng) {
        self.bury(topic);
        self.cluster.delete_topic(TOPICS[topic]);
        if r.bool() {
            tokio::time::sleep(MS * r.u32(..1_500)).await;
        }
        *self.recreated.lock() += 1;
        self.say("created again");
        self.cluster.create_topic(TOPICS[topic], self.settings.partitions);
    }

    /// A partition loses the end of its log: what no producer has heard of, or more where `acks` permits that.
    fn lose_end(&self, topic: usize, partition: i32, r: &mut fastrand::Rng) {
        let name = TOPICS[topic];
        let mut lost = self.cluster.lose_unacknowledged(name, partition);
        if self.settings.leader_acks {
            let end = self.cluster.high_watermark(name, partition).unwrap_or_default();
            lost += self.cluster.truncate(name, partition, end - r.i64(..5));
            self.lossy.lock().insert((topic, partition));
        }
        self.say(&format!("{name}/{partition} lost {lost} records"));
    }

    /// Another cluster answers at the same addresses from now on. Once in a schedule.
    async fn swap(&self) {
        if self.swapped.swap(true, Ordering::Relaxed) || self.stopped.lock().is_some() {
            return;
        }
        let green = self.ground.start(builder(&self.settings, &self.client)).await;
        for topic in 0..TOPICS.len() {
            self.bury(topic);
        }
        self.cluster.exchange(&green);
        // It is gone with all that it holds.
        drop(green);
    }

    /// The present life of a topic is over.
    fn bury(&self, topic: usize) {
        for partition in 0..self.partitions() {
            let life = self.present(topic, partition);
            self.over.lock().entry((topic, partition)).or_default().push(life);
            self.forgot.lock().remove(&(topic, partition));
        }
    }

    fn say(&self, what: &str) {
        self.ground.note(what);
        self.watch.happened(self.began.elapsed(), what);
    }

    fn later(self: &Arc<Self>, r: &mut fastrand::Rng, act: impl FnOnce(&Self) + Send + 'static) {
        let (world, after) = (self.clone(), MS * r.u32(..4_000));
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            world.say("better again");
            act(&world);
        });
    }

    /// Starts the broker that was stopped.
    fn start(&self, node: i32, elsewhere: bool) {
        // Somebody else may have its port meanwhile.
        if elsewhere || self.cluster.start(node).is_err() {
            self.cluster.start_elsewhere(node).unwrap();
        }
        *self.stopped.lock() = None;
    }

    /// From now on nothing goes wrong.
    pub(crate) async fn heal(&self) {
        // What was interrupted has stopped by then.
        tokio::time::sleep(MS).await;
        self.say("healed");
        self.cluster.heal();
        self.ground.clears_up();
        for node in 0..self.settings.brokers {
            self.cluster.behave(node);
        }
        let stopped = *self.stopped.lock();
        if let Some(node) = stopped {
            self.start(node, false);
        }
        for topic in TOPICS {
            self.cluster.create_topic(topic, self.settings.partitions);
            self.cluster.configure_topic(topic, "max.message.bytes", "1048588");
            for partition in 0..self.partitions() {
                if self.cluster.high_watermark(topic, partition).is_some()
                    && self.cluster.leader(topic, partition).is_none()
                {
                    self.cluster.move_leader(topic, partition, 0);
                }
            }
        }
    }
}

fn builder(settings: &Settings, client: &str) -> FakeClusterBuilder {
    let builder = FakeCluster::builder().brokers(settings.brokers as usize).only_client(client);
    TOPICS.iter().fold(builder, |builder, topic| builder.topic(*topic, settings.partitions))
}

fn produce_fault(r: &mut fastrand::Rng) -> Fault {
    const CODES: [i16; 25] =
        [6, 7, 10, 19, 20, 29, 56, 87, 2, 3, 5, 9, 13, 89, 45, 47, 59, 90, 74, 8, 14, -1, 1_000, 18, 17];
    match r.u8(..15) {
        0 => Fault::Disconnect,
        1 | 2 => Fault::Disconnect.after_apply(),
        3 => Fault::Silence,
        4 => Fault::Silence.after_apply(),
        5 | 6 => Fault::Error(CODES[r.usize(..CODES.len())]),
        7 => Fault::Error([6, 7, 20, 13, 56][r.usize(..5)]).after_apply(),
        8 => Fault::Delay(MS * r.u32(..4_000)),
        9 => Fault::Delay(MS * r.u32(..4_000)).after_apply(),
        10 => Fault::CutAfter(r.usize(..60)),
        11 => Fault::CutAfter(r.usize(..60)).after_apply(),
        12 => Fault::Error(7),
        // An answer that says it is shorter than any.
        13 => Fault::Garbage(vec![0, 0, 0, r.u8(..4), 1, 2, 3, 4]).after_apply(),
        _ => Fault::Throttle(MS * r.u32(..500)),
    }
}

fn other_fault(r: &mut fastrand::Rng, lying: bool) -> Fault {
    match r.u8(..8) {
        0 => Fault::Disconnect,
        1 => Fault::Silence,
        2 | 3 => Fault::Error([3, 5, 14, 15, 41, -1, 35, 31][r.usize(..8)]),
        4 => Fault::CutAfter(r.usize(..40)),
        5 if lying => Fault::Mangle(r.u64(..)),
        5 => Fault::Garbage(vec![0, 0, 0, r.u8(..4), 1, 2, 3, 4]),
        6 => Fault::Throttle(MS * r.u32(..500)),
        _ => Fault::Delay(MS * r.u32(..2_000)),
    }
}

/// Longer than anything that a schedule brings about by itself.
pub(crate) const AGES: Duration = SECOND.saturating_mul(200);
