//! Reports connections: made, not made, ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Instant;

use super::net::wire::Ended;
use crate::error::Error;
use crate::telemetry::{Counters, Log};

/// Where connections are reported and counted.
#[derive(Clone)]
pub(crate) struct Observer {
    pub(crate) log: Log,
    pub(crate) counters: Arc<Counters>,
}

/// One open connection; reports its end once.
pub(crate) struct Watch {
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
    pub(super) fn ended(&self, why: &Ended) {
        if self.reported.swap(true, Ordering::AcqRel) {
            return;
        }
        let (lost, age) = (why.is_loss(), self.opened.elapsed());
        match lost {
            true => self.observer.log.connection_lost(&self.broker, age, why),
            false => self.observer.log.connection_closed(&self.broker, age),
        }
        self.observer.counters.disconnected(&self.broker, lost);
    }
}
