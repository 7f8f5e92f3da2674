//! Calls of code that is not ours: partitioners, providers, recorders, the drop of a value's owner.
//!
//! A panic there is an error of that call and of nothing else. Never call such code while holding a lock: it may call
//! the producer, or block.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::error::{Error, ErrorKind, Result, printable};
use crate::message::Message;

/// The waker of a task that waits.
pub(crate) const WAKER: &str = "a waker";
/// What a value came from (`Bytes::from_owner`), which is dropped with it.
pub(crate) const OWNER: &str = "the owner of a value";

/// Calls `callback`; a panic becomes an error that names it.
#[inline]
pub(crate) fn guarded<T>(callback: &str, call: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| panicked(callback, payload))
}

/// Calls an asynchronous `callback`. Its panics, even those while it is dropped half-way, become errors that name it.
pub(crate) async fn guarded_async<F>(callback: &str, call: impl FnOnce() -> F) -> Result<F::Output>
where
    F: Future + Unpin,
{
    let mut running = Running { callback, future: Some(guarded(callback, call)?) };
    poll_fn(|cx| running.poll(cx)).await
}

/// A message that a call has been given. When it is dropped, a panic of its values' owners is ignored: it concerns no call,
/// and the panic hook has reported it. Several panics at once would end the process.
#[derive(Default)]
pub(crate) struct Kept(Message);

impl Kept {
    #[inline]
    pub(crate) fn new(message: Message) -> Self {
        Self(message)
    }

    pub(crate) fn hand_back(mut self) -> Message {
        std::mem::take(&mut self.0)
    }
}

impl Deref for Kept {
    type Target = Message;

    #[inline]
    fn deref(&self) -> &Message {
        &self.0
    }
}

impl DerefMut for Kept {
    #[inline]
    fn deref_mut(&mut self) -> &mut Message {
        &mut self.0
    }
}

impl Drop for Kept {
    #[inline]
    fn drop(&mut self) {
        let message = &mut self.0;
        let mut let_go = || {
            drop(message.value.take());
            drop(message.key.take());
            while message.headers.pop().is_some() {}
        };
        // What panics is taken out already.
        while guarded(OWNER, &mut let_go).is_err() {}
    }
}

/// The error of a task or callback that panicked with `payload`.
pub(crate) fn panicked(callback: &str, payload: Box<dyn Any + Send>) -> Error {
    Error::new(ErrorKind::Internal, format!("{callback} panicked: {}", message_of(payload)))
}

/// What a panic said, fit for a log line.
pub(crate) fn message_of(payload: Box<dyn Any + Send>) -> String {
    let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => printable(text),
        (_, Some(text)) => printable(text),
        _ => "(no message)".to_owned(),
    };
    // A payload may be any type, and its drop may panic, and so may the drop of that panic's payload.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
    message
}

/// A call that has begun. However it ends, its future is dropped inside a guard.
struct Running<'a, F: Future + Unpin> {
    callback: &'a str,
    future: Option<F>,
}

impl<F: Future + Unpin> Running<'_, F> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<F::Output>> {
        let Some(future) = &mut self.future else {
            return Poll::Pending;
        };
        match guarded(self.callback, || Pin::new(future).poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(answer)) => Poll::Ready(self.end().map(|()| answer)),
            Err(error) => {
                // The first panic is the one to report.
                _ = self.end();
                Poll::Ready(Err(error))
            }
        }
    }

    fn end(&mut self) -> Result<()> {
        let future = self.future.take();
        guarded(self.callback, || drop(future))
    }
}

impl<F: Future + Unpin> Drop for Running<'_, F> {
    fn drop(&mut self) {
        // No caller is left to report it to.
        _ = self.end();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use bytes::Bytes;
    use futures_util::FutureExt;

    use super::*;

    struct Bomb;

    /// The owner of a value; its drop is reported, and panics.
    struct Owned(std::sync::mpsc::Sender<()>);

    impl AsRef<[u8]> for Owned {
        fn as_ref(&self) -> &[u8] {
            b"owned"
        }
    }

    impl Drop for Owned {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
            panic_any(Bomb);
        }
    }

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic_any(Self);
        }
    }

    #[test]
    fn a_panic_is_an_error_that_names_the_callback_and_quotes_the_panic() {
        let error = guarded("the partitioner", || panic!("no\n{}", "x".repeat(10_000))).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("the partitioner panicked: no\\nx"), "{text}");
        assert!(text.len() < 300 && !text.contains('\n'), "{text}");
        assert_eq!(guarded("the partitioner", || 7).unwrap(), 7);
    }

    #[test]
    fn what_panics_when_it_is_dropped_is_gone_all_the_same() {
        let (sender, gone) = std::sync::mpsc::channel();
        let bomb = || Bytes::from_owner(Owned(sender.clone()));
        drop(Kept::new(Message::new(bomb()).key(bomb()).header("a", bomb()).header("b", bomb())));
        assert_eq!(gone.try_iter().count(), 4);
    }

    #[test]
    fn a_payload_that_panics_again_and_again_when_it_is_dropped_is_contained() {
        let error = guarded("the recorder", || panic_any(Bomb)).unwrap_err();
        assert_eq!(error.to_string(), "the recorder panicked: (no message)");
    }

    #[tokio::test]
    async fn a_future_that_panics_at_any_of_its_ends_is_contained() {
        type Answer = futures_util::future::BoxFuture<'static, u8>;
        let at_the_call = guarded_async("the provider", || -> Answer { panic!("call") }).await;
        assert_eq!(at_the_call.unwrap_err().to_string(), "the provider panicked: call");
        let at_a_poll = guarded_async("the provider", || async { panic!("poll") }.boxed()).await;
        let at_a_poll: Result<u8> = at_a_poll;
        assert_eq!(at_a_poll.unwrap_err().to_string(), "the provider panicked: poll");
        let waiting = guarded_async("the provider", || {
            async {
                let _bomb = Bomb;
                std::future::pending::<()>().await;
            }
            .boxed()
        });
        assert!(waiting.now_or_never().is_none(), "dropped while it waits");
        assert_eq!(guarded_async("the provider", || async { 7 }.boxed()).await.unwrap(), 7);
    }
}
