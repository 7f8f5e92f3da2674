//! A token that many logins share: one fetch at a time, in a separate task.

use std::pin::pin;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::policy::{Fetched, Now, Policy, Step};
use crate::clock::until;
use crate::error::Result;

/// Fetches what is cached.
#[async_trait]
pub(crate) trait Fetch: Send + Sync + 'static {
    /// Such as a token.
    type Value: Clone + Send + 'static;

    /// Fetches it again, and sets its own time limit. An error of the kind `Authentication` or `InvalidConfig` counts as
    /// one that trying again cannot change; any other is tried again soon.
    async fn fetch(&self) -> Result<Fetched<Self::Value>>;
}

/// What [`Fetch`] fetched last, refreshed when four fifths of its lifetime have passed if it was used. At most two fetches
/// begin within five seconds. While a refresh fails, the old value is used as long as it is valid.
pub(crate) struct Cached<F: Fetch> {
    shared: Arc<Shared<F>>,
}

struct Shared<F: Fetch> {
    fetch: F,
    policy: Mutex<Policy<F::Value>>,
    /// A fetch has ended.
    changed: Notify,
}

impl<F: Fetch> Cached<F> {
    pub(crate) fn new(fetch: F) -> Self {
        Self { shared: Arc::new(Shared { fetch, policy: Mutex::default(), changed: Notify::new() }) }
    }

    /// Drops the value: it was refused.
    pub(crate) fn discard(&self) {
        self.shared.policy.lock().discard();
    }

    /// A value that is valid now. Calls during a fetch wait for that fetch.
    ///
    /// Dropping the future does not end the fetch.
    pub(crate) async fn get(&self) -> Result<F::Value> {
        let shared = &self.shared;
        loop {
            let mut changed = pin!(shared.changed.notified());
            changed.as_mut().enable();
            let step = shared.policy.lock().step(Now::read());
            match step {
                Step::Use(value) => return Ok(value),
                Step::Fail(error) => return Err(error),
                Step::Begin(number) => {
                    let flight = Flight { shared: Arc::downgrade(shared), number };
                    // It notifies those who wait, and ends with the cache.
                    drop(tokio::spawn(flight.run()));
                }
                Step::Wait(at) => tokio::select! {
                    () = changed => {}
                    () = until(at) => {}
                },
                Step::UseAfter(value, at) => {
                    if tokio::time::timeout_at(at, changed).await.is_err() {
                        return Ok(value);
                    }
                }
            }
        }
    }
}

/// A fetch under way, and those that follow it. It ends when the cache is gone or its value is no longer used.
struct Flight<F: Fetch> {
    shared: Weak<Shared<F>>,
    number: u64,
}

impl<F: Fetch> Flight<F> {
    async fn run(mut self) {
        while let Some(shared) = self.shared.upgrade() {
            let fetched = shared.fetch.fetch().await;
            let now = Now::read();
            let next = {
                let mut policy = shared.policy.lock();
                match fetched {
                    Ok(fetched) => Some(policy.succeeded(fetched, now)),
                    Err(error) => policy.failed(error, now, fastrand::f64()),
                }
            };
            shared.changed.notify_waiters();
            drop(shared);
            let Some(next) = next else { return };
            tokio::time::sleep_until(next).await;
            let Some(shared) = self.shared.upgrade() else { return };
            let next = shared.policy.lock().refresh(self.number, Now::read());
            match next {
                Some(number) => self.number = number,
                None => return,
            }
        }
    }
}

impl<F: Fetch> Drop for Flight<F> {
    /// With its runtime, or by a panic: the next caller begins another.
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.policy.lock().vanished(self.number);
            shared.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
    use std::time::Duration;

    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use tokio::time::{advance, sleep};

    use super::*;
    use crate::error::{Error, ErrorKind};

    const S: Duration = Duration::from_secs(1);

    /// Issues numbers that live for ten seconds, after a delay; fails while it is down.
    #[derive(Default)]
    struct Server {
        asked: AtomicU64,
        slow: bool,
        down: std::sync::atomic::AtomicBool,
    }

    #[async_trait]
    impl Fetch for Arc<Server> {
        type Value = u64;

        async fn fetch(&self) -> Result<Fetched<u64>> {
            let value = self.asked.fetch_add(1, SeqCst) + 1;
            if self.slow {
                sleep(S / 2).await;
            }
            match self.down.load(SeqCst) {
                true => Err(Error::new(ErrorKind::Unreachable, "down")),
                false => Ok(Fetched { value, lifetime: 10 * S }),
            }
        }
    }

    fn cached(server: Server) -> (Arc<Server>, Cached<Arc<Server>>) {
        let server = Arc::new(server);
        (server.clone(), Cached::new(server))
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_come_together_share_one_fetch() {
        let (server, cached) = cached(Server { slow: true, ..Server::default() });
        let values = join_all((0..100).map(|_| cached.get())).await;
        assert!(values.into_iter().all(|value| value.unwrap() == 1));
        assert_eq!(server.asked.load(SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_goes_away_does_not_end_the_fetch() {
        let (server, cached) = cached(Server { slow: true, ..Server::default() });
        assert!(cached.get().now_or_never().is_none());
        assert_eq!(cached.get().await.unwrap(), 1);
        assert_eq!(server.asked.load(SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_in_use_is_refreshed_before_anyone_needs_it() {
        let (server, cached) = cached(Server::default());
        assert_eq!(cached.get().await.unwrap(), 1);
        sleep(8 * S + S / 10).await;
        assert_eq!(server.asked.load(SeqCst), 2);
        // Nobody has used the second one.
        sleep(60 * S).await;
        assert_eq!(server.asked.load(SeqCst), 2);
        assert_eq!(cached.get().await.unwrap(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_bridged_by_the_old_value_and_told_afterwards() {
        let (server, cached) = cached(Server::default());
        assert_eq!(cached.get().await.unwrap(), 1);
        server.down.store(true, SeqCst);
        sleep(9 * S).await;
        assert_eq!(cached.get().await.unwrap(), 1);
        sleep(2 * S).await;
        assert_eq!(cached.get().await.unwrap_err().to_string(), "down");
        let asked = server.asked.load(SeqCst);
        for _ in 0..1_000 {
            _ = cached.get().await;
            advance(S / 100).await;
        }
        assert!(
            (3..=4).contains(&(server.asked.load(SeqCst) - asked)),
            "{}",
            server.asked.load(SeqCst) - asked
        );
        server.down.store(false, SeqCst);
        sleep(10 * S).await;
        cached.get().await.unwrap();
    }

    #[test]
    fn a_fetch_whose_runtime_is_gone_is_begun_again_on_another() {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (server, cached) = cached(Server { slow: true, ..Server::default() });
        let first = runtime();
        first.block_on(async {
            assert!(cached.get().now_or_never().is_none());
            tokio::task::yield_now().await;
        });
        drop(first);
        assert_eq!(runtime().block_on(cached.get()).unwrap(), 2);
        assert_eq!(server.asked.load(SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_left_of_a_cache_that_is_gone() {
        let (server, cached) = cached(Server::default());
        cached.get().await.unwrap();
        drop(cached);
        sleep(60 * S).await;
        assert_eq!(Arc::strong_count(&server), 1);
    }
}
