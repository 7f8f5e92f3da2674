//! A callback that misbehaves on command.

use std::fmt;
use std::panic::panic_any;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use rskafka_producer::{Context, Message, Producer};

/// What a callback does instead of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misbehaviour {
    Panic,
    /// Panics with a payload that panics itself when it is dropped.
    PanicTwice,
    /// Calls the producer.
    Reenter,
    /// Closes the producer.
    Close,
    /// Blocks its thread for three seconds.
    Block,
    /// Blocks its thread until the test is over.
    Never,
}

impl Misbehaviour {
    pub(super) const ALL: [Self; 6] =
        [Self::Panic, Self::PanicTwice, Self::Reenter, Self::Close, Self::Block, Self::Never];

    pub(super) fn panics(self) -> bool {
        matches!(self, Self::Panic | Self::PanicTwice)
    }
}

/// Sprung by a callback, armed by a test.
pub(super) struct Trap {
    does: Misbehaviour,
    armed: AtomicU32,
    sprung: AtomicU32,
    over: Mutex<bool>,
    is_over: Condvar,
    producer: OnceLock<Producer>,
}

impl Trap {
    pub(super) fn new(does: Misbehaviour) -> Arc<Self> {
        Arc::new(Self {
            does,
            armed: AtomicU32::new(0),
            sprung: AtomicU32::new(0),
            over: Mutex::new(false),
            is_over: Condvar::new(),
            producer: OnceLock::new(),
        })
    }

    /// Has the next calls misbehave; those that re-enter use this producer.
    pub(super) fn arm(&self, times: u32, producer: &Producer) {
        _ = self.producer.set(producer.clone());
        self.armed.store(times, Ordering::SeqCst);
    }

    pub(super) fn sprung(&self) -> u32 {
        self.sprung.load(Ordering::SeqCst)
    }

    /// Nobody is held any longer.
    pub(super) fn release(&self) {
        self.armed.store(0, Ordering::SeqCst);
        *self.over.lock().unwrap() = true;
        self.is_over.notify_all();
    }

    /// Called where the callback is.
    pub(super) fn spring(&self) {
        let take = |armed: u32| armed.checked_sub(1);
        if self.armed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_err() {
            return;
        }
        self.sprung.fetch_add(1, Ordering::SeqCst);
        match self.does {
            Misbehaviour::Panic => panic!("a callback panics, as it should"),
            Misbehaviour::PanicTwice => panic_any(Bomb),
            Misbehaviour::Reenter => self.reenter(),
            Misbehaviour::Close => {
                if let Some(producer) = self.producer.get() {
                    drop(producer.close(&Context::timeout(Duration::from_secs(5))).now_or_never());
                }
            }
            Misbehaviour::Block => self.hold(Duration::from_secs(3)),
            Misbehaviour::Never => self.hold(Duration::from_secs(600)),
        }
    }

    /// The same in a callback that may wait: it blocks no thread.
    pub(super) async fn spring_waiting(&self) {
        let time = match self.does {
            Misbehaviour::Block => Duration::from_secs(3),
            Misbehaviour::Never => Duration::from_secs(600),
            _ => return self.spring(),
        };
        let take = |armed: u32| armed.checked_sub(1);
        if self.armed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok() {
            self.sprung.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(time).await;
        }
    }

    fn hold(&self, time: Duration) {
        let over = self.over.lock().unwrap();
        drop(self.is_over.wait_timeout_while(over, time, |over| !*over).unwrap());
    }

    fn reenter(&self) {
        let Some(producer) = self.producer.get() else {
            return;
        };
        let ctx = Context::timeout(Duration::from_secs(5));
        for topic in ["t", "other", "never-used-before"] {
            drop(producer.try_enqueue(Message::new("from within").to(topic)));
            drop(producer.enqueue(&ctx, Message::new("from within").to(topic)).now_or_never());
            drop(producer.send(&ctx, Message::new("from within").to(topic)).now_or_never());
        }
        drop(producer.stats());
        drop(producer.flush(&ctx).now_or_never());
        drop(producer.health(&ctx).now_or_never());
    }
}

impl fmt::Debug for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trap({:?})", self.does)
    }
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic_any(Self);
    }
}
