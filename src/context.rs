//! How long a call may take, and how it is cancelled.

use std::future::Future;
use std::time::Duration;

use futures_util::future::select_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::{deadline, earliest, if_any};

/// Bounds one call: an optional deadline and any number of cancellation tokens.
///
/// A context is derived, never changed: [`with_timeout`](Self::with_timeout) can only bring the deadline
/// nearer, and [`with_cancellation`](Self::with_cancellation) adds a token beside those that it inherited, so
/// a child is never later than its parent.
///
/// Each method of [`Producer`](crate::Producer) documents what a context can stop. In short: waiting ends at once; a
/// message is withdrawn only if it has not been sent to the broker, and the error's [`fate`](crate::Error::fate) says
/// which was the case.
///
/// Not to be confused with `std::task::Context`.
///
/// ```
/// use std::time::Duration;
/// use rskafka_producer::Context;
///
/// let request = Context::timeout(Duration::from_secs(2));
/// let step = request.with_timeout(Duration::from_secs(30));
/// assert!(step.remaining().unwrap() <= Duration::from_secs(2));
/// ```
#[derive(Clone, Default)]
pub struct Context {
    deadline: Option<Instant>,
    tokens: Vec<CancellationToken>,
}

/// Why a context ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Deadline,
    Cancelled,
}

impl Context {
    /// A context without deadline or cancellation: only the configured timeouts bound the call.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(rskafka_producer::Context::background().remaining().is_none());
    /// ```
    #[must_use]
    pub const fn background() -> Self {
        Self { deadline: None, tokens: Vec::new() }
    }

    /// A context that ends `after` from now.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::Context;
    ///
    /// let ctx = Context::timeout(Duration::from_secs(5));
    /// assert!(ctx.remaining().unwrap() <= Duration::from_secs(5));
    /// ```
    #[must_use]
    pub fn timeout(after: Duration) -> Self {
        Self::background().with_timeout(after)
    }

    /// A child that ends `after` from now, or with its parent if that is earlier.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::Context;
    ///
    /// let request = Context::timeout(Duration::from_secs(30));
    /// let step = request.with_timeout(Duration::from_secs(2));
    /// assert!(step.remaining() < request.remaining());
    /// ```
    #[must_use]
    pub fn with_timeout(&self, after: Duration) -> Self {
        // A timeout too large for the clock means none.
        let own = deadline(Instant::now(), after);
        Self { deadline: earliest(self.deadline, own), tokens: self.tokens.clone() }
    }

    /// A child that ends at `deadline`, or with its parent if that is earlier.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use rskafka_producer::Context;
    ///
    /// let ctx = Context::background().with_deadline(Instant::now() + Duration::from_secs(5));
    /// assert!(ctx.remaining().is_some());
    /// ```
    #[must_use]
    pub fn with_deadline(&self, deadline: std::time::Instant) -> Self {
        Self {
            deadline: earliest(self.deadline, Some(Instant::from_std(deadline))),
            tokens: self.tokens.clone(),
        }
    }

    /// A child that also ends when `token` is cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// use rskafka_producer::Context;
    /// use tokio_util::sync::CancellationToken;
    ///
    /// let token = CancellationToken::new();
    /// let ctx = Context::background().with_cancellation(token.clone());
    /// token.cancel();
    /// assert!(ctx.is_cancelled());
    /// ```
    #[must_use]
    pub fn with_cancellation(&self, token: CancellationToken) -> Self {
        let mut child = self.clone();
        child.tokens.push(token);
        child
    }

    /// Time left until the deadline, zero once it has passed; `None` without one.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use rskafka_producer::Context;
    ///
    /// assert_eq!(Context::timeout(Duration::ZERO).remaining(), Some(Duration::ZERO));
    /// ```
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Whether one of its tokens was cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(!rskafka_producer::Context::background().is_cancelled());
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.tokens.iter().any(CancellationToken::is_cancelled)
    }

    /// The same, with a limit where it has none.
    pub(crate) fn within(&self, limit: Duration) -> Self {
        if self.deadline.is_some() { self.clone() } else { self.with_timeout(limit) }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Has neither deadline nor token, so that nothing has to be watched.
    pub(crate) fn is_unbounded(&self) -> bool {
        self.deadline.is_none() && self.tokens.is_empty()
    }

    pub(crate) fn ended(&self) -> Option<Ended> {
        if self.is_cancelled() {
            return Some(Ended::Cancelled);
        }
        match self.deadline {
            Some(deadline) if deadline <= Instant::now() => Some(Ended::Deadline),
            _ => None,
        }
    }

    /// Runs `work` until it finishes or the context ends, whichever is first, where `sleep_until` waits for the deadline.
    pub(crate) async fn bound_with<T, S: Future<Output = ()>>(
        &self,
        work: impl Future<Output = T>,
        sleep_until: impl FnOnce(Instant) -> S,
    ) -> Result<T, Ended> {
        if self.is_unbounded() {
            return Ok(work.await);
        }
        if let Some(ended) = self.ended() {
            return Err(ended);
        }
        let deadline = async { if_any(self.deadline.map(sleep_until)).await };
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = self.cancelled() => Err(Ended::Cancelled),
            () = deadline => Err(Ended::Deadline),
        }
    }

    /// Runs `work` until it finishes or the context ends, whichever is first.
    pub(crate) async fn bound<T>(&self, work: impl Future<Output = T>) -> Result<T, Ended> {
        self.bound_with(work, tokio::time::sleep_until).await
    }

    async fn cancelled(&self) {
        match self.tokens.as_slice() {
            [] => std::future::pending().await,
            [token] => token.cancelled().await,
            tokens => {
                select_all(tokens.iter().map(|token| Box::pin(token.cancelled()))).await;
            }
        }
    }
}

debug_as!(ctx: Context { remaining: ctx.remaining(), cancelled: ctx.is_cancelled() });

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_child_is_never_later_than_its_parent() {
        let parent = Context::timeout(Duration::from_secs(1));
        let child = parent.with_timeout(Duration::from_secs(9));
        assert_eq!(child.remaining(), Some(Duration::from_secs(1)));
        let nearer = parent.with_timeout(Duration::from_millis(10));
        assert_eq!(nearer.remaining(), Some(Duration::from_millis(10)));
    }

    #[tokio::test(start_paused = true)]
    async fn every_inherited_token_ends_the_child() {
        let (outer, inner) = (CancellationToken::new(), CancellationToken::new());
        let ctx = Context::background().with_cancellation(outer.clone()).with_cancellation(inner);
        assert_eq!(ctx.ended(), None);
        let wait = tokio::spawn({
            let ctx = ctx.clone();
            async move { ctx.bound(std::future::pending::<()>()).await }
        });
        outer.cancel();
        assert_eq!(wait.await.unwrap(), Err(Ended::Cancelled));
        assert_eq!(ctx.ended(), Some(Ended::Cancelled));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_ends_what_it_bounds_at_that_very_time() {
        let started = Instant::now();
        let ctx = Context::timeout(Duration::from_millis(250));
        let ended = ctx.bound(std::future::pending::<()>()).await;
        assert_eq!(ended, Err(Ended::Deadline));
        // tokio's timer has a granularity of one millisecond.
        assert!(started.elapsed() <= Duration::from_millis(251));
    }

    #[test]
    fn a_timeout_beyond_the_clock_is_no_deadline() {
        assert_eq!(Context::timeout(Duration::MAX).remaining(), None);
    }
}
