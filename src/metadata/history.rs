//! What is known of one topic: its id, since when it is reported as unknown, its leaders, its last use.
//!
//! Pure: the time is a parameter. Every decision is one of time, never of how often something was heard.

use std::time::Duration;

use tokio::time::Instant;

use crate::engine::TopicId;

/// A topic counts as deleted once every answer of this long called it unknown (librdkafka:
/// `topic.metadata.propagation.max.ms`). A broker that has just started, or has not heard of a new topic, says so for
/// seconds.
pub(super) const GONE_AFTER: Duration = Duration::from_secs(30);

/// How long an answer with an older leader epoch counts as stale. Beyond it the cluster was set back, and is
/// believed.
const STALE_FOR: Duration = Duration::from_secs(30);

/// Whether a description is of the topic that was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Incarnation {
    Same,
    /// It was deleted and created again.
    Another,
}

/// Answers in a row that call the topic unknown.
#[derive(Clone, Copy, Debug)]
struct Denials {
    first: Instant,
    last: Instant,
    /// Batches that had been stored when the row began.
    stored: u64,
}

#[derive(Debug)]
pub(super) struct History {
    id: Option<TopicId>,
    denials: Option<Denials>,
    /// By partition, the newest leader epoch and when it was last confirmed.
    epochs: Vec<(i32, Instant)>,
    /// Batches that had been taken when use was last seen, and when that was.
    used: (u64, Instant),
}

impl History {
    pub(super) fn new(now: Instant) -> Self {
        Self { id: None, denials: None, epochs: Vec::new(), used: (0, now) }
    }

    /// The cluster described the topic.
    pub(super) fn described(&mut self, id: Option<TopicId>) -> Incarnation {
        self.denials = None;
        let another = matches!((self.id, id), (Some(known), Some(reported)) if known != reported);
        self.id = id.or(self.id);
        if !another {
            return Incarnation::Same;
        }
        self.epochs.clear();
        Incarnation::Another
    }

    /// An answer called the topic unknown, after `stored` batches were stored. Whether it counts as deleted.
    pub(super) fn denied(&mut self, stored: u64, now: Instant) -> bool {
        let goes_on =
            |row: &Denials| row.stored == stored && now.saturating_duration_since(row.last) < GONE_AFTER;
        let row = self.denials.filter(goes_on).unwrap_or(Denials { first: now, last: now, stored });
        self.denials = Some(Denials { last: now, ..row });
        now.saturating_duration_since(row.first) >= GONE_AFTER
    }

    /// Whether the leader of a partition is news, or at least not older than what is known (KIP-320).
    pub(super) fn is_current(&mut self, partition: usize, epoch: i32, now: Instant) -> bool {
        // Without an id it is unknown whether the epochs are of the same topic.
        if epoch < 0 || self.id.is_none() {
            return true;
        }
        if self.epochs.len() <= partition {
            self.epochs.resize(partition + 1, (-1, now));
        }
        let (newest, confirmed) = &mut self.epochs[partition];
        if epoch < *newest && now.saturating_duration_since(*confirmed) < STALE_FOR {
            return false;
        }
        (*newest, *confirmed) = (epoch, now);
        true
    }

    /// Whether a leader was elected after all that are known. Without an id nobody can say.
    pub(super) fn is_newer(&mut self, partition: usize, epoch: i32, now: Instant) -> bool {
        let known = self.epochs.get(partition).map_or(-1, |(newest, _)| *newest);
        self.id.is_some() && epoch > known && self.is_current(partition, epoch, now)
    }

    pub(super) fn id(&self) -> Option<TopicId> {
        self.id
    }

    /// How long the topic has not been used, which shows in the batches that were taken so far.
    pub(super) fn unused_for(&mut self, taken: u64, now: Instant) -> Duration {
        if self.used.0 != taken {
            self.used = (taken, now);
        }
        now.saturating_duration_since(self.used.1)
    }

    /// Another cluster answers: nothing that was heard is about its topic.
    pub(super) fn forget(&mut self) {
        self.id = None;
        self.denials = None;
        self.epochs.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> (History, Instant) {
        let now = Instant::now();
        (History::new(now), now)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_topic_is_gone_when_it_was_denied_for_a_time_however_often() {
        let (mut history, start) = history();
        for ms in (0..30_000).step_by(100) {
            assert!(!history.denied(0, start + Duration::from_millis(ms)), "after {ms} ms");
        }
        assert!(history.denied(0, start + seconds(30)));
    }

    #[test]
    fn denials_far_apart_are_no_row() {
        let (mut history, start) = history();
        for day in 0..10 {
            assert!(!history.denied(0, start + seconds(day * 86_400)));
        }
    }

    #[test]
    fn a_stored_batch_or_a_description_ends_the_row() {
        let (mut history, start) = history();
        for second in 0..29 {
            assert!(!history.denied(0, start + seconds(second)));
        }
        assert!(!history.denied(1, start + seconds(31)), "a batch was stored meanwhile");
        history.described(None);
        assert!(!history.denied(1, start + seconds(59)));
        assert!(!history.denied(1, start + seconds(80)));
        assert!(history.denied(1, start + seconds(89)));
    }

    #[test]
    fn another_id_is_another_topic_and_no_id_says_nothing() {
        let (mut history, _) = history();
        let id = |raw| TopicId::new(raw);
        for (reported, expected) in [
            (None, Incarnation::Same),
            (id(1), Incarnation::Same),
            (id(1), Incarnation::Same),
            (None, Incarnation::Same),
            (id(2), Incarnation::Another),
            (id(2), Incarnation::Same),
            (id(0), Incarnation::Same),
            (id(1), Incarnation::Another),
        ] {
            assert_eq!(history.described(reported), expected, "{reported:?}");
        }
    }

    #[test]
    fn an_older_leader_epoch_is_stale_for_a_time() {
        let (mut history, start) = history();
        assert!(history.is_current(0, 9, start) && history.is_current(0, 3, start), "without an id");
        history.described(TopicId::new(1));
        for (partition, epoch, after, current) in [
            (0, 7, 0, true),
            (0, 6, 1, false),
            (5, 6, 1, true),
            (0, 7, 2, true),
            (0, -1, 3, true),
            (0, 8, 4, true),
            (0, 7, 30, false),
            (0, 2, 34, true),
            (0, i32::MAX, 35, true),
        ] {
            assert_eq!(history.is_current(partition, epoch, start + seconds(after)), current, "{epoch}");
        }
        history.described(TopicId::new(2));
        assert!(history.is_current(0, 0, start + seconds(36)), "epochs begin again with the topic");
    }

    #[test]
    fn a_leader_is_newer_only_by_its_epoch_so_that_two_brokers_cannot_name_each_other_for_ever() {
        let (mut history, start) = history();
        assert!(!history.is_newer(0, 7, start), "without an id");
        history.described(TopicId::new(1));
        for (epoch, newer) in [(3, true), (3, false), (2, false), (4, true), (-1, false)] {
            assert_eq!(history.is_newer(0, epoch, start), newer, "{epoch}");
        }
        assert!(!history.is_current(0, 3, start), "metadata that is older counts no more");
    }

    #[test]
    fn a_topic_is_unused_since_the_last_batch_was_taken() {
        let (mut history, start) = history();
        assert_eq!(history.unused_for(0, start + seconds(5)), seconds(5));
        assert_eq!(history.unused_for(3, start + seconds(9)), Duration::ZERO);
        assert_eq!(history.unused_for(3, start + seconds(300)), seconds(291));
    }
}
