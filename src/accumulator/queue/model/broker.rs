//! A partition's leader: as much of `ProducerAppendInfo` as the promises rest on.

use std::collections::{HashMap, VecDeque};

use crate::accumulator::batch::Batch;

/// Batches that a broker recognises when they are sent again.
const KEPT: usize = 5;

/// A batch as it is on the wire.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    pub(super) first: i32,
    pub(super) numbers: Vec<u32>,
}

impl Sent {
    pub(super) fn of(batch: &Batch) -> Self {
        let sequence = batch.sequence.unwrap();
        let topic = "t".into();
        let number = |position| {
            let value = batch.records.message(position, &topic, 0).value.unwrap();
            std::str::from_utf8(&value).unwrap().parse().unwrap()
        };
        Self {
            producer_id: sequence.producer_id,
            epoch: sequence.epoch,
            first: sequence.first,
            numbers: (0..batch.records.len()).map(number).collect(),
        }
    }

    pub(super) fn key(&self) -> (i64, i16, i32) {
        (self.producer_id, self.epoch, self.first)
    }

    fn next(&self) -> i32 {
        self.first + self.numbers.len() as i32
    }
}

struct Producer {
    epoch: i16,
    /// First sequence, the one behind the last, and the offset.
    batches: VecDeque<(i32, i32, i64)>,
}

pub(super) struct Broker {
    /// Of each life of the topic; the last one is the present.
    pub(super) logs: Vec<Vec<u32>>,
    producers: HashMap<i64, Producer>,
    /// Copies that are still on their way.
    pub(super) late: Vec<Sent>,
}

impl Default for Broker {
    fn default() -> Self {
        Self { logs: vec![Vec::new()], producers: HashMap::new(), late: Vec::new() }
    }
}

impl Broker {
    pub(super) fn life(&self) -> usize {
        self.logs.len() - 1
    }

    /// Its offset, also where it was stored before; or why it is refused.
    pub(super) fn append(&mut self, sent: &Sent) -> Result<i64, i16> {
        if let Some(producer) = self.producers.get(&sent.producer_id) {
            let same = |&&(first, next, _): &&(i32, i32, i64)| (first, next) == (sent.first, sent.next());
            let known = producer.batches.iter().find(same).filter(|_| producer.epoch == sent.epoch);
            if let Some((_, _, offset)) = known {
                return Ok(*offset);
            }
            if sent.epoch < producer.epoch {
                return Err(47);
            }
            let expected = match sent.epoch > producer.epoch {
                true => 0,
                false => producer.batches.back().map_or(0, |(_, next, _)| *next),
            };
            if sent.first != expected {
                return Err(45);
            }
        }
        let log = self.logs.last_mut().unwrap();
        let offset = log.len() as i64;
        log.extend(&sent.numbers);
        let new = || Producer { epoch: sent.epoch, batches: VecDeque::new() };
        let producer = self.producers.entry(sent.producer_id).or_insert_with(new);
        if producer.epoch != sent.epoch {
            *producer = new();
        }
        producer.batches.push_back((sent.first, sent.next(), offset));
        if producer.batches.len() > KEPT {
            producer.batches.pop_front();
        }
        Ok(offset)
    }

    pub(super) fn late_copy_arrives(&mut self, random: &mut fastrand::Rng) {
        if !self.late.is_empty() {
            let sent = self.late.swap_remove(random.usize(..self.late.len()));
            _ = self.append(&sent);
        }
    }

    pub(super) fn forget(&mut self) {
        self.producers.clear();
    }

    pub(super) fn recreate_topic(&mut self) {
        self.forget();
        self.logs.push(Vec::new());
    }

    /// No copy reaches another cluster.
    pub(super) fn replace_cluster(&mut self) {
        self.recreate_topic();
        self.late.clear();
    }
}
