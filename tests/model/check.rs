//! The promises, held against what the cluster has stored.

use std::collections::{HashMap, HashSet};

use kafka_testbed::StoredBatch;

use crate::runner::Counts;
use crate::settings::Settings;
use crate::trouble::{Life, TOPICS, World};
use crate::user::{Ledger, Reported};

/// Compares every answer with the logs; every promise that was broken.
pub(crate) fn promises(settings: &Settings, world: &World, ledger: &Ledger) -> (Counts, Vec<String>) {
    let mut broken = ledger.broken.lock().clone();
    let reported = ledger.reported.lock();
    let mut stored: HashMap<u64, Vec<Place>> = HashMap::new();
    for topic in 0..TOPICS.len() {
        for partition in 0..world.partitions() {
            for (life, log) in world.lives(topic, partition).iter().enumerate() {
                let log = Log { topic, partition, life, log, settings, reported: &reported, ledger };
                log.check(&mut stored, &mut broken);
            }
        }
    }
    let mut counts = [0; 4];
    for (number, reported) in reported.iter() {
        let places = stored.get(number).map_or(&[][..], Vec::as_slice);
        let kind = match reported {
            Reported::Stored { topic, partition, offset, .. } => {
                let is_there = |place: &Place| {
                    (place.topic, place.partition) == (*topic, *partition)
                        && offset.is_none_or(|offset| offset == place.offset || !place.strict)
                };
                let lossy = world.lossy.lock().contains(&(*topic, *partition));
                if !lossy && !places.iter().any(is_there) {
                    broken.push(format!(
                        "{number} is not where it was reported to be: {reported:?}, {places:?}"
                    ));
                }
                0
            }
            Reported::NotPersisted => {
                if !places.is_empty() {
                    broken.push(format!("{number} is stored, and was reported as not persisted"));
                }
                1
            }
            Reported::PossiblyPersisted => 2,
            Reported::Unknown => 3,
        };
        counts[kind] += 1;
    }
    let names = ["stored", "not persisted", "possibly persisted", "unknown"];
    (names.into_iter().zip(counts).collect(), broken)
}

/// Where a message was found.
#[derive(Debug)]
struct Place {
    topic: usize,
    partition: i32,
    offset: i64,
    /// There can be no other copy in this life of the partition.
    strict: bool,
}

/// One life of a partition.
struct Log<'a> {
    topic: usize,
    partition: i32,
    life: usize,
    log: &'a Life,
    settings: &'a Settings,
    reported: &'a HashMap<u64, Reported>,
    ledger: &'a Ledger,
}

impl Log<'_> {
    fn numbers(&self) -> Vec<(i64, u64)> {
        let number = |record: &kafka_testbed::StoredRecord| {
            let text = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
            Some((record.offset, text.trim().parse().ok()?))
        };
        self.log.records.iter().filter_map(number).collect()
    }

    fn check(&self, stored: &mut HashMap<u64, Vec<Place>>, broken: &mut Vec<String>) {
        for batch in &self.log.batches {
            if batch.records > 1 && batch.bytes.len() > self.settings.batch_bytes {
                broken.push(self.say(&format!("a batch has {} bytes", batch.bytes.len())));
            }
        }
        let (mut seen, mut last) = (HashSet::new(), HashMap::new());
        // A broker that forgot its producers can neither recognise copies nor what came before; one that names other
        // topics and clusters than there are has a producer begin anew, which fences nothing.
        let strict = self.settings.idempotent && !self.log.forgot && !self.settings.lying;
        let accepted = self.ledger.accepted.lock();
        for (offset, number) in self.numbers() {
            let place = Place { topic: self.topic, partition: self.partition, offset, strict };
            let places = stored.entry(number).or_default();
            let here = (self.topic, self.partition, offset);
            let was_here = places.iter().any(|place| (place.topic, place.partition, place.offset) == here);
            places.push(place);
            let first = seen.insert(number);
            let reported = self.reported.get(&number);
            let acked = matches!(reported, Some(Reported::Stored { .. }));
            if strict && !first {
                broken.push(self.say(&format!("{number} is stored twice")));
            }
            if let (false, false, Some(Reported::Stored { attempts: 1, .. })) =
                (self.settings.idempotent, first, reported)
            {
                broken.push(self.say(&format!("{number} is stored twice after one attempt")));
            }
            let Some((user, place)) = accepted.get(&number) else {
                continue;
            };
            // Where there may be copies, an acknowledged message stands where it was reported to be; a copy of it may happen
            // to stand at the same offset of the topic that was created again.
            let elsewhere = matches!(
                reported,
                Some(Reported::Stored { offset: Some(at), .. }) if *at != offset || was_here
            );
            if !strict && elsewhere {
                continue;
            }
            // Acknowledged messages stay in order, and no copy of another one comes late.
            if let Some((_, behind)) = last.get(user).filter(|(newest, _)| newest > place) {
                if first && (strict || acked) {
                    broken.push(self.say(&format!("{number} stands behind {behind}")));
                }
            } else if acked {
                last.insert(*user, (*place, number));
            }
        }
    }

    /// What is wrong, with the whole log.
    fn say(&self, what: &str) -> String {
        let entry = |(offset, number): (i64, u64)| {
            let reported = match self.reported.get(&number) {
                Some(Reported::Stored { attempts, .. }) => format!("ok{attempts}"),
                Some(Reported::NotPersisted) => "NOT".to_owned(),
                Some(Reported::PossiblyPersisted) => "perhaps".to_owned(),
                Some(Reported::Unknown) => "unknown".to_owned(),
                None => "?".to_owned(),
            };
            format!("{offset}:{number}:{reported}")
        };
        let log: Vec<String> = self.numbers().into_iter().map(entry).collect();
        let (topic, partition, life) = (TOPICS[self.topic], self.partition, self.life);
        let forgot = if self.log.forgot { ", whose producers were forgotten" } else { "" };
        let batch = |batch: &StoredBatch| {
            let StoredBatch { base_offset, producer_id, epoch, sequence, .. } = batch;
            format!("{base_offset}: id {producer_id} epoch {epoch} sequence {sequence}")
        };
        let batches: Vec<String> = self.log.batches.iter().map(batch).collect();
        let (log, batches) = (log.join(" "), batches.join(", "));
        format!("{topic}/{partition}, life {life}{forgot}: {what} in {log}; batches at {batches}")
    }
}
