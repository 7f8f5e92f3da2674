//! Random schedules of one queue against a broker, a network and a clock that are a few lines each.
//!
//! `SEEDS=1000000 cargo test --release --lib queue::model` looks further than the few that always run.

mod broker;
mod check;
mod foreign;

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use self::broker::{Broker, Sent};
use self::check::outcome;
use self::foreign::{Foreign, LOCKED};
use super::{Policy, Queue, Readiness, Take};
use crate::accumulator::batch::{Arrival, Batch};
use crate::accumulator::waiters::{Settlement, Woken};
use crate::accumulator::{Budget, Buffer, Completion, Receipt};
use crate::error::{Error, ErrorKind, Fate};
use crate::message::Message;
use crate::record::{ProducerId, message_footprint};
use crate::supervisor::Supervisor;
use crate::telemetry::Log;

const MS: Duration = Duration::from_millis(1);
const DELIVERY: Duration = Duration::from_secs(30);

struct Entry {
    receipt: Receipt,
    over: Instant,
    /// What it was answered; an offset where it is stored, and in which of the broker's logs.
    outcome: Option<Result<(usize, i64), Fate>>,
}

struct World {
    random: fastrand::Rng,
    queue: Queue,
    policy: Policy,
    /// How much of a batch is left once it is compressed, in hundredths, if it is.
    shrinks_to: Option<usize>,
    buffer: Arc<Buffer>,
    budget: Budget,
    supervisor: Arc<Supervisor>,
    log: Log,
    waker: Waker,
    now: Instant,
    broker: Broker,
    entries: Vec<Entry>,
    encoding: Vec<Arc<Batch>>,
    wire: Vec<Arc<Batch>>,
    next_id: i64,
    settled: usize,
    /// What the broker acknowledged last, unless it gave another answer since.
    known: Option<(i64, i16, Instant)>,
    /// Attempts of unknown fate, by their sequence.
    doubtful: HashMap<(i64, i16, i32), Vec<u32>>,
    /// The broker lost its state: only what is acknowledged has to be in order.
    forgetful: bool,
}

fn error(text: &str) -> Error {
    Error::new(ErrorKind::Broker, text)
}

fn failure(fate: Fate) -> Error {
    error("an attempt failed").with_fate(fate)
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let policy = Policy {
            idempotent: true,
            max_in_flight: random.usize(1..6),
            linger: Duration::ZERO,
            delivery: DELIVERY,
            max_batch_bytes: [0, 160, 400][random.usize(..3)],
            longest_attempt: 60 * 1_000 * MS,
            encodes_first: random.u8(..3) == 0,
        };
        let shrinks = policy.encodes_first && random.u8(..4) > 0;
        let buffer = Buffer::new(1 << 20);
        Self {
            random,
            shrinks_to: shrinks.then_some(20),
            policy,
            queue: Queue::default(),
            budget: Budget::new(buffer.clone(), None),
            buffer,
            supervisor: Supervisor::new(None),
            log: Log::ambient(),
            waker: Waker::from(Arc::new(Foreign)),
            now: Instant::now(),
            broker: Broker::default(),
            entries: Vec::new(),
            encoding: Vec::new(),
            wire: Vec::new(),
            next_id: 1,
            settled: 0,
            known: None,
            doubtful: HashMap::new(),
            forgetful: false,
        }
    }

    /// Calls the queue as a partition does.
    fn settle<T>(&mut self, decide: impl FnOnce(&mut Queue, &mut Settlement<'_>) -> T) -> T {
        let log = self.log.clone();
        let mut settlement = Settlement::new(&log);
        LOCKED.set(true);
        let decided = decide(&mut self.queue, &mut settlement);
        LOCKED.set(false);
        self.settled += settlement.carry_out().total();
        decided
    }

    fn append(&mut self) {
        let number = self.entries.len() as u32;
        let mut message = Message::new(number.to_string());
        if self.random.u8(..4) == 0 {
            message = message.key(Bytes::from_owner(Foreign));
        }
        let deadline = (self.random.u8(..3) == 0).then(|| self.now + self.random.u32(1..40_000) * MS);
        let footprint = message_footprint(&message);
        self.buffer.try_take(footprint).unwrap();
        let arrival = Arrival { message: &message, footprint, now: self.now, deadline };
        let (budget, supervisor) = (self.budget.clone(), self.supervisor.clone());
        let appended = self.queue.append(&arrival, &self.policy, |serial| {
            (Completion::new("t".into(), 0, serial, supervisor), budget, 0)
        });
        let accepted = appended.unwrap().accepted;
        let receipt = Receipt::new(self.queue.newest().unwrap().clone(), accepted);
        assert!(receipt.batch.poll(receipt.accepted.index, &self.waker).is_pending());
        let over = deadline.map_or(self.now + DELIVERY, |at| at.min(self.now + DELIVERY));
        self.entries.push(Entry { receipt, over, outcome: None });
    }

    fn take(&mut self) -> bool {
        let idle = self.wire.is_empty() && self.encoding.is_empty();
        match self.queue.take(self.now, idle, &self.policy) {
            Take::Batch(batch) => {
                self.check_taken(&batch, idle);
                match self.policy.encodes_first {
                    true => self.encoding.push(batch),
                    false => self.wire.push(batch),
                }
                true
            }
            Take::NeedsId(spent) => {
                self.next_id += i64::from(spent.is_some());
                self.queue.adopt(ProducerId { id: self.next_id, epoch: 0 });
                true
            }
            Take::NotYet(Readiness::Now) => panic!("ready, and not taken"),
            Take::NotYet(_) => false,
        }
    }

    fn check_taken(&mut self, batch: &Batch, alone: bool) {
        let sent = Sent::of(batch);
        let numbers = self.doubtful.get(&sent.key());
        assert!(numbers.is_none_or(|numbers| *numbers == sent.numbers), "a sequence in doubt is used again");
        if !alone {
            let (id, epoch, at) = self.known.expect("pipelined before the broker knows the producer");
            assert_eq!((id, epoch), (sent.producer_id, sent.epoch), "another epoch is not known");
            assert!(self.now - at <= Duration::from_secs(60), "the broker may have forgotten");
        }
    }

    fn depart(&mut self) {
        if self.encoding.is_empty() {
            return;
        }
        let batch = self.encoding.remove(0);
        if self.is_too_large(&batch) {
            let policy = self.policy.clone();
            self.settle(|queue, settlement| queue.divide_unwritten(batch, &policy, settlement));
        } else if self.queue.depart(&batch) {
            self.wire.push(batch);
        } else {
            self.settle(|queue, settlement| queue.recalled(batch, settlement));
        }
    }

    fn is_too_large(&mut self, batch: &Batch) -> bool {
        let Some(shrinks_to) = self.shrinks_to else { return false };
        if self.random.u8(..8) == 0 {
            self.shrinks_to = Some([5, 20, 60, 100][self.random.usize(..4)]);
        }
        let (plain, most) = (batch.records.wire_bytes(), self.policy.max_batch_bytes);
        assert!(plain <= 8 * most || batch.records.len() == 1, "{plain} bytes");
        self.queue.compressed(batch, plain * shrinks_to / 100, &self.policy)
    }

    /// The broker answers the first request, or the connection breaks.
    fn answer(&mut self, calm: bool) {
        if self.wire.is_empty() {
            return;
        }
        let does = if calm { 0 } else { self.random.u8(..16) };
        if does == 1 {
            return self.break_connection();
        }
        let batch = self.wire.remove(0);
        let refused = match does {
            0 | 7.. => match self.broker.append(&Sent::of(&batch)) {
                Ok(offset) => return self.stored(batch, offset),
                Err(code) => code,
            },
            2 => 19,
            3 => [45, 47, 59][self.random.usize(..3)],
            4 => 10,
            5 => 87,
            _ => 29,
        };
        self.known = None;
        self.refused(batch, refused);
    }

    fn stored(&mut self, batch: Arc<Batch>, offset: i64) {
        let sent = Sent::of(&batch);
        self.known = Some((sent.producer_id, sent.epoch, self.now));
        self.doubtful.remove(&sent.key());
        let mut woken = Woken::default();
        self.settled += batch.store(Some(offset), None, &self.log, &mut woken);
        woken.wake(&self.log);
        let now = self.now;
        let rest =
            self.settle(|queue, settlement| queue.stored(batch, Some(offset), now, settlement)).unwrap();
        rest.recycle(&self.log);
    }

    /// As `sender/settle.rs` does.
    fn refused(&mut self, batch: Arc<Batch>, code: i16) {
        let (no, at) = (failure(Fate::NotPersisted), self.now + self.random.u32(..500) * MS);
        let (records, in_doubt) = (batch.records.len(), batch.in_doubt);
        let bytes = batch.records.wire_bytes() * self.shrinks_to.unwrap_or(100) / 100;
        let bad = self.random.usize(..records);
        self.settle(|queue, settlement| match code {
            19 => queue.retry(batch, &no, at, settlement),
            45 | 47 | 59 if !in_doubt => queue.out_of_sequence(batch, &no, code == 47, at, settlement),
            10 if !in_doubt => queue.divide(batch, bytes, &no, settlement),
            87 if !in_doubt && records > 1 => {
                queue.drop_records(batch, &no, None, vec![(bad, error("refused"))], settlement);
            }
            _ => queue.failed(batch, &no, settlement),
        });
    }

    /// Some of what is on its way is stored, and some arrives later, unknown to the queue.
    fn break_connection(&mut self) {
        self.known = None;
        let mut reached = self.random.usize(..=self.wire.len());
        for batch in std::mem::take(&mut self.wire) {
            let sent = Sent::of(&batch);
            self.doubtful.insert(sent.key(), sent.numbers.clone());
            match reached.checked_sub(1) {
                Some(left) => {
                    reached = left;
                    _ = self.broker.append(&sent);
                }
                None if self.random.bool() => self.broker.late.push(sent),
                None => {}
            }
            let (lost, at) = (failure(Fate::PossiblyPersisted), self.now + self.random.u32(..500) * MS);
            match self.random.u8(..8) {
                0 => self.settle(|queue, settlement| queue.failed(batch, &lost, settlement)),
                _ => self.settle(|queue, settlement| queue.retry(batch, &lost, at, settlement)),
            }
        }
    }

    fn expire(&mut self) {
        let now = self.now;
        self.settle(|queue, settlement| queue.expire(now, &error("too late"), settlement));
        self.look();
        let late = |entry: &&Entry| entry.outcome.is_none() && entry.over <= now;
        assert_eq!(self.entries.iter().filter(late).count(), 0, "not settled in time");
    }

    fn withdraw(&mut self) {
        let Some(at) = (!self.entries.is_empty()).then(|| self.random.usize(..self.entries.len())) else {
            return;
        };
        self.look();
        let receipt = &self.entries[at].receipt;
        if self.entries[at].outcome.is_none() {
            let (completion, index) = (receipt.batch.clone(), receipt.accepted.index);
            let withdrawn = self.settle(|queue, settlement| {
                queue.withdraw(&completion, index, &error("called off"), settlement)
            });
            self.look();
            assert_eq!(self.entries[at].outcome.is_some(), withdrawn);
        }
    }

    /// Notes new outcomes; one that is there must stay.
    fn look(&mut self) {
        for entry in self.entries.iter_mut().filter(|entry| entry.outcome.is_none()) {
            entry.outcome = outcome(entry, &self.waker, self.broker.life());
        }
    }

    fn step(&mut self) {
        match self.random.u8(..32) {
            0..=8 => self.append(),
            9..=14 => _ = self.take(),
            15..=17 => self.depart(),
            18..=23 => self.answer(false),
            24 => self.now += self.random.u32(1..20_000) * MS,
            25 => self.expire(),
            26 => self.withdraw(),
            27 => self.broker.late_copy_arrives(&mut self.random),
            28 => drop(self.queue.seal()),
            29 => {
                self.known = None;
                self.queue.leader_changed();
            }
            _ => self.rarely(),
        }
    }

    fn rarely(&mut self) {
        match self.random.u8(..12) {
            0 => {
                self.now += Duration::from_secs(86_400);
                self.expire();
            }
            1 => {
                self.forgetful = true;
                self.broker.forget();
            }
            2 => {
                // What is in flight meets the new topic before anyone learns of it.
                self.look();
                self.forgetful = true;
                self.broker.recreate_topic();
                if self.random.bool() {
                    self.known = None;
                    self.settle(|queue, settlement| queue.topic_recreated(settlement));
                }
            }
            3 if self.wire.is_empty() => {
                self.look();
                self.broker.replace_cluster();
                (self.known, self.next_id) = (None, self.next_id + 1);
                self.settle(|queue, settlement| queue.cluster_changed(&error("another cluster"), settlement));
            }
            4 => self.settle(|queue, settlement| queue.fail_waiting(&error("nobody answers"), settlement)),
            _ => {}
        }
    }

    fn finish(&mut self) {
        if self.random.u8(..5) == 0 {
            self.settle(|queue, settlement| queue.abandon(&error("closed"), settlement));
        }
        for _ in 0..10_000 {
            if self.queue.is_idle() {
                break;
            }
            while self.take() {}
            while !self.encoding.is_empty() {
                self.depart();
            }
            self.answer(true);
            self.now += 100 * MS;
            self.look();
        }
        assert!(self.queue.is_idle(), "it never ends: {:?}", self.queue);
        for _ in 0..self.broker.late.len() {
            self.broker.late_copy_arrives(&mut self.random);
        }
        self.look();
        self.check();
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..world.random.usize(10..70) {
        world.step();
    }
    world.finish();
}

#[test]
fn whatever_happens_a_queue_keeps_order_and_settles_everything_once_and_without_a_lock() {
    let seeds = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(2_000);
    let from = std::env::var("FROM").ok().and_then(|from| from.parse().ok()).unwrap_or(0u64);
    for seed in from..from + seeds {
        let ran = std::panic::catch_unwind(|| run(seed));
        LOCKED.set(false);
        assert!(ran.is_ok(), "seed {seed}: run again with FROM={seed} SEEDS=1");
    }
}
