//! What is accepted and not yet settled, for the errors of `flush` and `close`.

use std::sync::Arc;

use tokio::time::Instant;

use super::Core;
use super::ended::{ended_error, why};
use crate::context::Ended;
use crate::error::{Error, Fate, Wait};
use crate::sender::{Partition, waiting};

/// Topics that are named; the others are counted.
const NAMED: usize = 3;

/// See the [module](self).
pub(crate) struct Pending {
    messages: u64,
    topics: String,
    wait: Wait,
    only: Option<Arc<Partition>>,
}

impl Core {
    pub(crate) fn pending(&self) -> Pending {
        let mut partitions = self.metadata.partitions();
        partitions.retain(|partition| !partition.is_idle());
        Pending {
            messages: self.stats.unsettled() as u64,
            topics: topics(&partitions),
            wait: waiting::of_all(self, &partitions, Instant::now()),
            only: if partitions.len() == 1 { partitions.pop() } else { None },
        }
    }
}

impl Pending {
    /// The error of a flush that a context ended: how many messages, of which topics, and why.
    pub(crate) fn unflushed(&self, ended: Ended) -> Error {
        let are = if self.messages == 1 { "message is" } else { "messages are" };
        self.explain(&format!("{} {are} still pending{} ({})", self.messages, self.topics, why(ended)), ended)
    }

    /// The error of a close that had to fail `left` of them.
    pub(crate) fn undelivered(&self, left: u64, ended: Ended) -> Error {
        let were = if left == 1 { "message was" } else { "messages were" };
        let what =
            format!("{left} {were} not acknowledged before close ended{} ({})", self.topics, why(ended));
        self.explain(&what, ended).with_fate(Fate::PossiblyPersisted)
    }

    fn explain(&self, what: &str, ended: Ended) -> Error {
        let error = self.wait.explain(what, ended_error(ended));
        match &self.only {
            Some(only) => only.describe(error),
            None => error,
        }
    }
}

/// ` in topics "a", "b", "c" and 4 more`.
fn topics(partitions: &[Arc<Partition>]) -> String {
    let mut names: Vec<&str> = partitions.iter().map(|partition| &*partition.topic).collect();
    names.sort_unstable();
    names.dedup();
    let s = if names.len() == 1 { "" } else { "s" };
    let more = names.len().saturating_sub(NAMED);
    let named: Vec<_> = names.iter().take(NAMED).map(|name| format!("{name:?}")).collect();
    match (named.is_empty(), more) {
        (true, _) => String::new(),
        (_, 0) => format!(" in topic{s} {}", named.join(", ")),
        (_, more) => format!(" in topic{s} {} and {more} more", named.join(", ")),
    }
}
