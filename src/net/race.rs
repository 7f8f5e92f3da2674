//! Several attempts at the same thing, each with a head start over the next (RFC 8305, "Happy Eyeballs").

use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::clock::if_any;

/// RFC 8305 recommends 250 ms.
pub(crate) const HEAD_START: Duration = Duration::from_millis(250);

/// The first success, or every failure in the order in which they came. The next attempt begins after `head_start`, or when
/// one has failed.
///
/// Has no time limit. Dropping the future drops every attempt.
pub(crate) async fn race<T, E, F>(
    attempts: impl IntoIterator<Item = F>,
    head_start: Duration,
) -> Result<T, Vec<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut waiting = attempts.into_iter().peekable();
    let (mut running, mut failures) = (FuturesUnordered::new(), Vec::new());
    loop {
        running.extend(waiting.next());
        let next = if_any(waiting.peek().map(|_| tokio::time::sleep(head_start)));
        tokio::select! {
            biased;
            ended = running.next() => match ended {
                Some(Ok(success)) => return Ok(success),
                Some(Err(failure)) => failures.push(failure),
                None => return Err(failures),
            },
            () = next => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Ends after `time`, with its number as success or failure.
    async fn attempt(number: u32, time: Duration, succeeds: bool) -> Result<u32, u32> {
        tokio::time::sleep(time).await;
        if succeeds { Ok(number) } else { Err(number) }
    }

    #[tokio::test(start_paused = true)]
    async fn each_attempt_has_a_head_start_and_the_first_success_counts() {
        let started = Instant::now();
        let silent = (0..3).map(|n| attempt(n, 10_000 * MS, true));
        let attempts = silent.chain([attempt(3, 10 * MS, true)]);
        assert_eq!(race(attempts, 100 * MS).await, Ok(3));
        assert_eq!(started.elapsed(), 310 * MS);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_begins_the_next_attempt_at_once() {
        let started = Instant::now();
        let attempts = [attempt(0, 5 * MS, false), attempt(1, 5 * MS, false), attempt(2, 5 * MS, true)];
        assert_eq!(race(attempts, 100 * MS).await, Ok(2));
        assert_eq!(started.elapsed(), 15 * MS);
    }

    #[tokio::test(start_paused = true)]
    async fn without_any_success_every_failure_is_returned() {
        let attempts = [attempt(0, 50 * MS, false), attempt(1, 5 * MS, false)];
        assert_eq!(race(attempts, 10 * MS).await, Err(vec![1, 0]));
        assert_eq!(race(std::iter::empty::<std::future::Ready<Result<u32, u32>>>(), MS).await, Err(vec![]));
    }
}
