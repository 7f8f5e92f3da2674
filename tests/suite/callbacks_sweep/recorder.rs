//! The recorder of the whole process, which misbehaves for single producers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

use super::trap::Trap;

static TRAPS: OnceLock<Mutex<HashMap<String, Arc<Trap>>>> = OnceLock::new();

/// A client whose metrics spring this trap.
pub(super) fn client_of(trap: &Arc<Trap>) -> String {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| metrics::set_global_recorder(Everywhere).expect("the only one"));
    let mut traps = TRAPS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    let client = format!("trapped-{}", traps.len());
    traps.insert(client.clone(), trap.clone());
    client
}

struct Everywhere;

struct Handle(Option<Arc<Trap>>);

impl Handle {
    fn of(key: &Key) -> Arc<Self> {
        let client = key.labels().find(|label| label.key() == "client_id").map(|label| label.value());
        let traps = TRAPS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        Arc::new(Self(client.and_then(|client| traps.get(client)).cloned()))
    }

    fn spring(&self) {
        if let Some(trap) = &self.0 {
            trap.spring();
        }
    }
}

impl CounterFn for Handle {
    fn increment(&self, _: u64) {
        self.spring();
    }
    fn absolute(&self, _: u64) {
        self.spring();
    }
}

impl GaugeFn for Handle {
    fn increment(&self, _: f64) {
        self.spring();
    }
    fn decrement(&self, _: f64) {
        self.spring();
    }
    fn set(&self, _: f64) {
        self.spring();
    }
}

impl HistogramFn for Handle {
    fn record(&self, _: f64) {
        self.spring();
    }
}

impl Recorder for Everywhere {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Handle::of(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Handle::of(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Handle::of(key))
    }
}
