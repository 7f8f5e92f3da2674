//! What is known of one address, across the connections to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use parking_lot::Mutex;

use super::api::{ApiKey, ApiVersionsRequest, Request, Versions};
use super::versions::{assumption_holds, remembers_five_batches};

/// Version of the request for a broker's versions while nothing is known of it (KIP-511); one before Kafka 2.4
/// refuses it.
const FIRST_QUESTION: i16 = 3;

/// As long as no broker has ever answered, the listener may not be what the configuration takes it for. A connection that
/// ends early says nothing of why: it is the same with a load balancer that has no targets, or a broker that restarts. So
/// it is always tried again, and only what the peer says itself is final; see [`suspects_login`](Self::suspects_login).
#[derive(Debug, Default)]
pub(super) struct Listener {
    /// Shared by all listeners of a producer.
    answered: Arc<AtomicBool>,
    /// It answered `ApiVersions` and then closed the connection.
    suspects_login: AtomicBool,
    /// Requests that are sent before earlier ones are answered confuse it, or it is too old for them.
    one_by_one: AtomicBool,
    said: Mutex<Said>,
}

/// What the broker at the address said of its versions when it was last connected to. It may be replaced by an older or
/// a newer one at any time: good for what is asked first, and checked against each new answer.
#[derive(Debug, Default)]
enum Said {
    #[default]
    Nothing,
    /// That it was asked in a version that it does not know.
    TooNew,
    Offers(Versions),
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

    /// Whether some broker of this producer has answered: then the configuration is above suspicion.
    pub(super) fn is_trusted(&self) -> bool {
        self.answered.load(Relaxed)
    }

    /// The connection ended at the first request, without a login. Whether the cause may be a login that is missing.
    pub(super) fn ended_at_first_request(&self) -> bool {
        if self.is_trusted() {
            return false;
        }
        // If pipelines are what it does not like, the next attempt does without.
        self.go_one_by_one();
        self.suspects_login.store(true, Relaxed);
        true
    }

    /// Whether the next connection should ask if the listener wants a login; each suspicion is asked about once.
    pub(super) fn suspects_login(&self) -> bool {
        self.suspects_login.swap(false, Relaxed) && !self.is_trusted()
    }

    pub(super) fn takes_pipelines(&self) -> bool {
        !self.one_by_one.load(Relaxed)
    }

    pub(super) fn go_one_by_one(&self) {
        self.one_by_one.store(true, Relaxed);
    }

    /// Version of the request for its versions.
    pub(super) fn asks_versions_in(&self) -> i16 {
        match &*self.said.lock() {
            Said::Nothing => FIRST_QUESTION,
            Said::TooNew => 0,
            Said::Offers(offered) => {
                let newest = offered.get(ApiKey::ApiVersions).map_or(0, |range| range.max);
                newest.clamp(0, <ApiVersionsRequest<'_>>::VERSIONS.max)
            }
        }
    }

    pub(super) fn refused_versions(&self) {
        *self.said.lock() = Said::TooNew;
    }

    pub(super) fn offers(&self, offered: &Versions) {
        *self.said.lock() = Said::Offers(offered.clone());
    }

    /// Whether it takes this request before it has said in which versions, as far as is known.
    pub(super) fn takes_early(&self, api: ApiKey) -> bool {
        self.takes_pipelines()
            && match &*self.said.lock() {
                Said::Offers(offered) => assumption_holds(api, offered),
                Said::Nothing | Said::TooNew => true,
            }
    }

    /// Whether it is known to recognise each of the last five batches of a producer.
    pub(super) fn remembers_five_batches(&self) -> bool {
        matches!(&*self.said.lock(), Said::Offers(offered) if remembers_five_batches(offered))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_early_end_is_asked_about_once_each_time() {
        let listener = Listener::default();
        assert!(!listener.suspects_login());
        for _ in 0..3 {
            assert!(listener.ended_at_first_request());
            assert!(listener.suspects_login());
            assert!(!listener.suspects_login());
        }
    }

    #[test]
    fn once_a_broker_has_answered_the_configuration_is_above_suspicion() {
        let answered = Arc::default();
        Listener::new(Arc::clone(&answered)).has_answered();
        let listener = Listener::new(answered);
        assert!(!listener.ended_at_first_request());
        assert!(!listener.suspects_login());
    }
}
