//! What is known of one address, across the connections to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use crate::error::Error;

/// As long as no broker has ever answered, the listener may not be what the configuration takes it for: TLS where it is
/// plaintext, no login where it wants one. All that shows is a connection that ends early, as it may also by chance:
/// once is chance, twice is taken for the cause. Once one has answered, the configuration is above suspicion.
#[derive(Debug, Default)]
pub(super) struct Listener {
    /// Shared by all listeners of a producer.
    answered: Arc<AtomicBool>,
    suspicions: AtomicU32,
    /// Requests that are sent before earlier ones are answered confuse it, or it is too old for them.
    one_by_one: AtomicBool,
}

impl Listener {
    pub(super) fn new(answered: Arc<AtomicBool>) -> Self {
        Self { answered, ..Self::default() }
    }

    pub(super) fn has_answered(&self) {
        if !self.answered.load(Relaxed) {
            self.answered.store(true, Relaxed);
        }
    }

    /// The error of a connection that ended early: `chance`, or `cause` once it repeats.
    pub(super) fn suspect(&self, chance: Error, cause: impl FnOnce() -> Error) -> Error {
        if self.answered.load(Relaxed) {
            return chance;
        }
        // If pipelines are what it does not like, the next attempt does without.
        self.go_one_by_one();
        if self.suspicions.fetch_add(1, Relaxed) == 0 {
            return chance;
        }
        cause().with_source(chance)
    }

    pub(super) fn takes_pipelines(&self) -> bool {
        !self.one_by_one.load(Relaxed)
    }

    pub(super) fn go_one_by_one(&self) {
        self.one_by_one.store(true, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn judge(listener: &Listener) -> ErrorKind {
        let chance = Error::new(ErrorKind::Unreachable, "closed");
        listener.suspect(chance, || Error::new(ErrorKind::Tls, "plaintext?")).kind()
    }

    #[test]
    fn an_early_end_is_chance_once_and_a_cause_twice() {
        let listener = Listener::default();
        assert_eq!(judge(&listener), ErrorKind::Unreachable);
        assert_eq!(judge(&listener), ErrorKind::Tls);
    }

    #[test]
    fn once_a_broker_has_answered_the_configuration_is_above_suspicion() {
        let answered = Arc::default();
        Listener::new(Arc::clone(&answered)).has_answered();
        let listener = Listener::new(answered);
        for _ in 0..3 {
            assert_eq!(judge(&listener), ErrorKind::Unreachable);
        }
    }
}
