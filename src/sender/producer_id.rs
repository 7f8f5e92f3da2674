//! The producer id that partitions begin with.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::core::Core;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::record::ProducerId;

/// One id for all partitions, until a broker refuses it.
#[derive(Debug, Default)]
pub(crate) struct SharedProducerId {
    current: Mutex<Option<ProducerId>>,
    asking: tokio::sync::Mutex<()>,
}

impl SharedProducerId {
    /// The id, if there is one other than `spent`.
    pub(crate) fn current(&self, spent: Option<i64>) -> Option<ProducerId> {
        self.current.lock().filter(|id| Some(id.id) != spent)
    }

    /// From now on, partitions that need an id request another one, unless this one is to be kept.
    pub(crate) fn retire_unless(&self, is_kept: impl FnOnce(ProducerId) -> bool) {
        let mut current = self.current.lock();
        *current = current.filter(|id| is_kept(*id));
    }

    /// From now on, partitions begin above `used`, which fences what is still on its way under it.
    pub(crate) fn outgrow(&self, used: ProducerId) {
        let mut current = self.current.lock();
        if let Some(id) = current.filter(|id| id.id == used.id && id.epoch <= used.epoch) {
            *current = used.raised().filter(|raised| raised.id == id.id);
        }
    }

    /// The id, requested if necessary, and repeatedly while that can help.
    pub(crate) async fn fetch(&self, core: &Arc<Core>, spent: Option<i64>) -> Result<ProducerId> {
        let _turn = self.asking.lock().await;
        let mut failures = 0;
        loop {
            if let Some(id) = self.current(spent) {
                return Ok(id);
            }
            if let Some(error) = core.metadata.fail_fast(core, Instant::now()) {
                return Err(error);
            }
            let asked = Instant::now();
            let answer = core.engine.producer_id().await;
            core.metadata.heard(core, asked, &answer);
            match answer {
                Ok(id) => *self.current.lock() = Some(id),
                Err(error) if error.row().retry == Retry::No => {
                    core.log.producer_id_failed(&error);
                    return Err(explain(error));
                }
                Err(error) => {
                    core.log.producer_id_failed(&error);
                    failures += 1;
                    let delay = core.pacing.backoff(failures);
                    tokio::time::sleep(delay).await;
                }
            }
        }
    }
}

/// A cluster that grants no producer id still takes messages without one.
fn explain(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Authorization => {
            let text = format!(
                "the cluster grants no producer id, which idempotence needs: allow IDEMPOTENT_WRITE on the cluster \
                 (or WRITE on any topic since Kafka 2.8), or set idempotence(false): {error}"
            );
            error.with_text(text)
        }
        _ => error,
    }
}
