//! Reports connections: made, not made, ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Instant;

use crate::error::Error;
use crate::telemetry::{Counters, Log};

/// Where connections are reported and counted.
#[derive(Clone)]
pub(crate) struct Observer {
    pub(crate) log: Log,
    pub(crate) counters: Arc<Counters>,
}

/// One open connection; reports its end once.
pub(super) struct Watch {
    observer: Observer,
    broker: Arc<str>,
    opened: Instant,
    reported: AtomicBool,
}

impl Observer {
    pub(super) fn opened(&self, broker: Arc<str>, started: Instant) -> Watch {
        let opened = Instant::now();
        self.log.connection_opened(&broker, opened.saturating_duration_since(started));
        self.counters.connected(&broker);
        Watch { observer: self.clone(), broker, opened, reported: AtomicBool::new(false) }
    }

    pub(super) fn failed(&self, broker: &str, started: Instant, error: &Error) {
        self.log.connection_failed(broker, error, started.elapsed());
        self.counters.connect_failed(broker, error);
    }
}

impl Watch {
    pub(super) fn ended(&self, lost: bool) {
        if self.reported.swap(true, Ordering::AcqRel) {
            return;
        }
        self.observer.log.connection_ended(&self.broker, self.opened.elapsed(), lost);
        self.observer.counters.disconnected(&self.broker, lost);
    }
}
