//! Brokers that are silent: whether others lead their partitions by now.
//!
//! A broker that is frozen, or cut off, keeps its connections and says nothing until a request times out, long after the
//! cluster has elected another leader. So while an attempt is overdue, another broker is asked who leads. Once that is
//! another one, the attempt is abandoned, and its batches are sent to the new leader under the sequences that they
//! have. While the same broker leads, it is merely slow, and nothing is done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::core::Core;
use crate::engine::{Ask, NodeId, Stage};
use crate::sender::Partition;

/// Between two questions; an election ends when it likes.
const PACE: Duration = Duration::from_millis(400);

#[derive(Default)]
pub(super) struct Overdue {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: bool,
    last: u64,
    attempts: BTreeMap<u64, Attempt>,
}

/// An attempt that takes much longer than usual.
struct Attempt {
    node: NodeId,
    stage: Stage,
    partitions: Vec<Arc<Partition>>,
}

/// Such an attempt, until it ends.
struct Noted {
    core: Arc<Core>,
    number: u64,
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.core.metadata.overdue.state.lock().attempts.remove(&self.number);
    }
}

impl super::Metadata {
    /// An attempt to send to `node` takes much longer than usual; what is returned is dropped when it ends.
    ///
    /// Without idempotence nothing is done once the request has left: what is sent twice may be stored twice.
    pub(crate) fn late<'a>(
        &self,
        core: &Arc<Core>,
        node: NodeId,
        stage: Stage,
        partitions: impl Iterator<Item = &'a Arc<Partition>>,
    ) -> Box<dyn Send> {
        if !core.policy.idempotent && stage == Stage::Sent {
            return Box::new(());
        }
        let (number, started) = {
            let mut state = self.overdue.state.lock();
            state.last += 1;
            let number = state.last;
            state.attempts.insert(number, Attempt { node, stage, partitions: partitions.cloned().collect() });
            (number, std::mem::replace(&mut state.running, true))
        };
        if !started {
            core.supervise("silent brokers", |core| async move { core.metadata.overdue.watch(&core).await });
        }
        Box::new(Noted { core: core.clone(), number })
    }
}

impl Overdue {
    async fn watch(&self, core: &Arc<Core>) {
        loop {
            // Another task may have learned of it.
            self.abandon_replaced(core);
            let topics: BTreeSet<_> = {
                let state = self.state.lock();
                let partitions = state.attempts.values().flat_map(|attempt| &attempt.partitions);
                partitions.map(|partition| partition.topic.clone()).collect()
            };
            let topics: Vec<_> = topics.into_iter().collect();
            if !topics.is_empty() {
                // Where no other broker answers, there is nothing to learn.
                if let Ok(metadata) = core.engine.metadata(&topics, Ask::Elsewhere).await {
                    core.metadata.take_over(core, &metadata);
                }
                self.abandon_replaced(core);
            }
            tokio::time::sleep(core.pacing.jitter(PACE)).await;
            let mut state = self.state.lock();
            if state.attempts.is_empty() || core.life.is_stopped() {
                state.running = false;
                return;
            }
        }
    }

    /// Abandons the attempts to brokers that no longer lead what they carry.
    fn abandon_replaced(&self, core: &Arc<Core>) {
        let replaced: BTreeSet<_> = {
            let state = self.state.lock();
            let replaced = state.attempts.values().filter(|attempt| attempt.is_replaced());
            replaced.map(|attempt| (attempt.node, attempt.stage)).collect()
        };
        replaced.into_iter().for_each(|(node, stage)| core.engine.abandon(node, stage));
    }
}

impl Attempt {
    fn is_replaced(&self) -> bool {
        let led_by_another =
            |partition: &Arc<Partition>| partition.broker().node.is_some_and(|leader| leader != self.node);
        self.partitions.iter().any(led_by_another)
    }
}
