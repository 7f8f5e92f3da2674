//! What was reported for each message, compared with what a reader found.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use kafka_testbed::StoredRecord;
use parking_lot::Mutex;
use rskafka_producer::{Context, Fate, Message, Producer, Receipt};

/// What became of each message, by partition and number.
pub(crate) struct Ledger {
    topic: String,
    outcomes: Mutex<HashMap<(i32, u64), Outcome>>,
    acks: Mutex<Acks>,
    acked: Mutex<HashMap<i32, usize>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Acked,
    NotPersisted,
    PossiblyPersisted,
}

struct Acks {
    last: Instant,
    longest_stall: Duration,
}

/// The ledger against the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) acked: usize,
    pub(crate) not_persisted: usize,
    pub(crate) possibly_persisted: usize,
    pub(crate) found: usize,
    /// Acknowledged, and not in the log.
    pub(crate) lost: usize,
    /// Said not to be persisted, and in the log.
    pub(crate) phantom: usize,
    pub(crate) duplicated: usize,
    pub(crate) out_of_order: usize,
    pub(crate) longest_stall: Duration,
}

impl Verdict {
    pub(crate) fn is_clean(&self) -> bool {
        (self.lost, self.phantom, self.duplicated, self.out_of_order) == (0, 0, 0, 0)
    }
}

impl Ledger {
    pub(crate) fn new(topic: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            outcomes: Mutex::default(),
            acked: Mutex::default(),
            acks: Mutex::new(Acks { last: Instant::now(), longest_stall: Duration::ZERO }),
        }
    }

    /// Sends numbers to one partition, in order and without waiting for answers, until `stop` says so.
    pub(crate) async fn feed(
        &self,
        producer: &Producer,
        partition: i32,
        pace: Duration,
        stop: impl Fn(u64) -> bool,
    ) {
        let (to_settle, mut settling) = tokio::sync::mpsc::channel::<(u64, Receipt)>(10_000);
        let send = async move {
            let mut number = 0;
            while !stop(number) {
                let value = format!("{partition}:{number}");
                let message = Message::new(value).to(self.topic.as_str()).partition(partition);
                match producer.enqueue(&Context::background(), message).await {
                    Ok(receipt) => {
                        if to_settle.send((number, receipt)).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => self.settle(partition, number, Err(error.fate())),
                }
                number += 1;
                if !pace.is_zero() {
                    tokio::time::sleep(pace).await;
                }
            }
        };
        let settle = async {
            while let Some((number, receipt)) = settling.recv().await {
                let result = receipt.await;
                self.settle(partition, number, result.map(drop).map_err(|error| error.fate()));
            }
        };
        tokio::join!(send, settle);
    }

    fn settle(&self, partition: i32, number: u64, result: Result<(), Fate>) {
        let outcome = match result {
            Ok(()) => Outcome::Acked,
            Err(Fate::NotPersisted) => Outcome::NotPersisted,
            Err(Fate::PossiblyPersisted) => Outcome::PossiblyPersisted,
        };
        if outcome == Outcome::Acked {
            let mut acks = self.acks.lock();
            acks.longest_stall = acks.longest_stall.max(acks.last.elapsed());
            acks.last = Instant::now();
            *self.acked.lock().entry(partition).or_default() += 1;
        }
        self.outcomes.lock().insert((partition, number), outcome);
    }

    /// Messages acknowledged so far, failed so far, and the time since the last acknowledgement.
    pub(crate) fn progress(&self) -> (usize, usize, Duration) {
        let outcomes = self.outcomes.lock();
        let acked = outcomes.values().filter(|outcome| **outcome == Outcome::Acked).count();
        (acked, outcomes.len() - acked, self.acks.lock().last.elapsed())
    }

    /// Messages of one partition acknowledged so far.
    pub(crate) fn acked(&self, partition: i32) -> usize {
        self.acked.lock().get(&partition).copied().unwrap_or_default()
    }

    /// Holds the ledger against what was found in the log.
    pub(crate) fn verify(&self, found: &[StoredRecord]) -> Verdict {
        let outcomes = self.outcomes.lock();
        let count = |wanted| outcomes.values().filter(|outcome| **outcome == wanted).count();
        let mut verdict = Verdict {
            acked: count(Outcome::Acked),
            not_persisted: count(Outcome::NotPersisted),
            possibly_persisted: count(Outcome::PossiblyPersisted),
            found: found.len(),
            longest_stall: self.acks.lock().longest_stall,
            ..Verdict::default()
        };
        let mut seen: HashMap<(i32, u64), usize> = HashMap::new();
        let mut last: HashMap<i32, u64> = HashMap::new();
        for record in found {
            let value = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
            let (partition, number) = value.split_once(':').expect("a value of this run");
            let key = (partition.parse().expect("a partition"), number.parse().expect("a number"));
            let times = seen.entry(key).or_default();
            *times += 1;
            if *times > 1 {
                verdict.duplicated += 1;
            } else if last.insert(key.0, key.1).is_some_and(|before| before > key.1) {
                verdict.out_of_order += 1;
            }
        }
        for (key, outcome) in outcomes.iter() {
            match (outcome, seen.contains_key(key)) {
                (Outcome::Acked, false) => verdict.lost += 1,
                (Outcome::NotPersisted, true) => verdict.phantom += 1,
                _ => {}
            }
        }
        verdict
    }
}
