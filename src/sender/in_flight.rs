//! The requests in flight to one broker.

use std::future::{Future, pending};
use std::pin::Pin;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

type Attempt<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Requests in flight, polled from the first on in the order in which they were added.
pub(super) struct InFlight<T> {
    /// One of them never ends. The set wakes its own task whenever it has polled all that it holds: with a lone request that
    /// would be each time, and on a runtime with several threads another one would be woken to help.
    attempts: FuturesUnordered<Attempt<T>>,
}

impl<T: 'static> InFlight<T> {
    pub(super) fn new() -> Self {
        let attempts = FuturesUnordered::new();
        attempts.push(Box::pin(pending()) as Attempt<T>);
        Self { attempts }
    }

    pub(super) fn push(&self, attempt: impl Future<Output = T> + Send + 'static) {
        self.attempts.push(Box::pin(attempt));
    }

    pub(super) fn len(&self) -> usize {
        self.attempts.len() - 1
    }

    /// The outcome of the next request that ends.
    pub(super) async fn next(&mut self) -> T {
        match self.attempts.next().await {
            Some(ended) => ended,
            None => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake};

    use tokio::sync::oneshot;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn requests_that_wait_wake_nobody_and_an_answer_wakes_once() {
        let (wakes, mut in_flight) = (Arc::new(Wakes::default()), InFlight::new());
        let waker = wakes.clone().into();
        let poll = |in_flight: &mut InFlight<_>| {
            std::pin::pin!(in_flight.next()).poll(&mut Context::from_waker(&waker))
        };
        assert!(poll(&mut in_flight).is_pending());
        let before = wakes.0.load(Ordering::Relaxed);
        for requests in 1..=3 {
            let (answers, waiting): (Vec<_>, Vec<_>) = (0..requests).map(|_| oneshot::channel()).unzip();
            for answer in waiting {
                in_flight.push(async move { answer.await.unwrap_or_default() });
                assert!(poll(&mut in_flight).is_pending());
            }
            assert_eq!(in_flight.len(), requests);
            assert_eq!(wakes.0.load(Ordering::Relaxed), before, "{requests} in flight");
            for (number, answer) in answers.into_iter().enumerate() {
                answer.send(number).unwrap();
                assert_eq!(poll(&mut in_flight), Poll::Ready(number));
                assert!(poll(&mut in_flight).is_pending());
            }
            let woken = wakes.0.swap(before, Ordering::Relaxed) - before;
            assert_eq!((woken, in_flight.len()), (requests, 0));
        }
    }
}
