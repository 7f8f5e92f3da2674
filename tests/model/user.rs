//! A user's calls, at random, and what each one answered.

use std::collections::HashMap;
use std::error::Error as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::poll;
use parking_lot::Mutex;
use rskafka_producer::{Context, Delivery, Error, ErrorKind, Fate, Message, Producer};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ground::Ground;
use crate::hostile::{Whim, value};
use crate::runner::Watch;
use crate::settings::{MS, SECOND, Settings};
use crate::trouble::TOPICS;

/// A call may be late by so much.
pub(crate) const LATE: Duration = Duration::from_millis(250);
/// A long value, which is copied into its batch.
const LARGE: usize = 600;
/// One that is kept as it is, and sent from there.
const LARGEST: usize = 17_000;

/// What is known of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reported {
    Stored {
        topic: usize,
        partition: i32,
        offset: Option<i64>,
        attempts: u32,
    },
    NotPersisted,
    PossiblyPersisted,
    /// Nobody waited for the answer.
    Unknown,
}

/// What every message came to, by number.
pub(crate) struct Ledger {
    ground: Ground,
    next: AtomicU64,
    pub(crate) reported: Mutex<HashMap<u64, Reported>>,
    /// User and place in the order in which the producer accepted that user's messages.
    pub(crate) accepted: Mutex<HashMap<u64, (usize, usize)>>,
    armed: Mutex<HashMap<u64, Arc<AtomicBool>>>,
    /// Promises that were broken.
    pub(crate) broken: Mutex<Vec<String>>,
}

impl Ledger {
    pub(crate) fn new(ground: Ground) -> Self {
        Self {
            ground,
            next: AtomicU64::new(0),
            reported: Mutex::default(),
            accepted: Mutex::default(),
            armed: Mutex::default(),
            broken: Mutex::default(),
        }
    }

    fn accept(&self, user: usize, number: u64) {
        let mut accepted = self.accepted.lock();
        let place = accepted.len();
        accepted.insert(number, (user, place));
    }

    fn report(&self, number: u64, result: Result<Delivery, Error>) {
        // From here on the message is ours.
        if let Some(armed) = self.armed.lock().remove(&number) {
            armed.store(false, Ordering::SeqCst);
        }
        let reported = match result {
            Ok(delivery) => Reported::Stored {
                topic: TOPICS.iter().position(|topic| *topic == delivery.topic()).unwrap(),
                partition: delivery.partition(),
                offset: delivery.offset(),
                attempts: delivery.attempts(),
            },
            Err(error) => {
                self.check_explained(&error);
                let (fate, text) = (error.fate(), error.to_string());
                if error.into_message().is_none() {
                    self.broken(format!("{number} was not handed back: {text}"));
                }
                match fate {
                    Fate::NotPersisted => Reported::NotPersisted,
                    Fate::PossiblyPersisted => Reported::PossiblyPersisted,
                }
            }
        };
        self.ground.note(&format!("{number}: {reported:?}"));
        self.reported.lock().insert(number, reported);
    }

    /// Every time-out names its cause.
    fn check_explained(&self, error: &Error) {
        let timed_out = [ErrorKind::DeadlineExceeded, ErrorKind::DeliveryTimeout, ErrorKind::BufferFull];
        let text = error.to_string();
        // What was refused at once did not wait.
        let at_once = ["before the call", "allow: raise one of them"];
        let waited = timed_out.contains(&error.kind()) && !at_once.iter().any(|words| text.contains(words));
        if waited && (error.wait_reason().is_none() || (!text.contains(": ") && error.source().is_none())) {
            self.broken(format!("a time-out without a cause: {error:?}"));
        }
    }

    pub(crate) fn broken(&self, what: String) {
        self.broken.lock().push(what);
    }

    /// A call that took longer than it may.
    fn check(&self, what: impl FnOnce() -> String, started: Instant, bound: Duration) {
        let took = started.elapsed();
        if took > bound + LATE {
            self.broken(format!("{} took {took:?} of {bound:?}", what()));
        }
    }
}

pub(crate) struct User {
    pub(crate) id: usize,
    pub(crate) random: fastrand::Rng,
    pub(crate) settings: Settings,
    pub(crate) producer: Producer,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) watch: Arc<Watch>,
}

/// What is left of a user: calls that go on, and calls that nobody polls.
#[derive(Default)]
pub(crate) struct Remains {
    pub(crate) calls: Vec<JoinHandle<()>>,
    pub(crate) left_alone: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl User {
    pub(crate) async fn act(mut self) -> Remains {
        let mut remains = Remains::default();
        for _ in 0..self.random.usize(15..70).min(self.watch.limits.calls) {
            self.call(&mut remains).await;
            match self.random.u8(..30) {
                0..5 => tokio::time::sleep(MS * self.random.u32(..400)).await,
                5 => tokio::time::sleep(MS * self.random.u32(..5_000)).await,
                6 => tokio::task::yield_now().await,
                _ => {}
            }
        }
        remains
    }

    /// `kept`: whatever fails comes back to be disarmed.
    fn message(&mut self, number: u64, kept: bool) -> Message {
        let r = &mut self.random;
        let mut text = number.to_string();
        let topic = usize::from(r.u8(..4) == 0);
        let mut message = Message::new("").to(TOPICS[topic]);
        if r.u8(..6) > 0 {
            message = message.partition(r.i32(0..self.settings.partitions));
        } else if self.settings.hostile {
            message = message.key(["panics", "strays", "follows"][r.usize(..3)]);
        } else if r.bool() {
            message = message.key(vec![r.u8(..)]);
        }
        // Data shrinks, and then no longer does.
        let noisy = number / 16 % 3 == 0;
        let pad: Vec<u8> = (0..r.usize(..200)).map(|_| if noisy { r.u8(..) } else { b'x' }).collect();
        message = message.header("pad", pad);
        let owned = kept && self.settings.hostile && r.u8(..3) == 0;
        if owned || r.u8(..20) == 0 {
            let bytes = if owned && number % 4 == 0 { LARGEST } else { LARGE };
            text = format!("{text:<bytes$}");
        }
        message.value = Some(Bytes::from(text.clone()));
        if owned {
            let armed = Arc::new(AtomicBool::new(true));
            let whim = if r.bool() { Whim::Panics } else { Whim::Reenters(self.producer.clone()) };
            message.value = Some(value(text.into_bytes(), whim, &armed));
            self.ledger.armed.lock().insert(number, armed);
        }
        message
    }

    /// A context, and the longest time that a call with it may take.
    fn context(&mut self) -> (Context, Duration) {
        let r = &mut self.random;
        let whole = self.settings.max_wait + self.settings.delivery;
        let limit = match r.u8(..7) {
            0 => MS * r.u32(..300),
            1 => MS * r.u32(..5_000),
            2 => Duration::ZERO,
            3 => return (Context::background(), whole),
            _ => 60 * SECOND,
        };
        (Context::timeout(limit), limit.min(whole))
    }

    async fn call(&mut self, remains: &mut Remains) {
        let number = self.ledger.next.fetch_add(1, Ordering::Relaxed);
        match self.random.u8(..24) {
            0..4 => self.send(number, remains),
            4 | 5 => self.abandoned_send(number, remains),
            6 => self.neglected_send(number, remains).await,
            7..10 => self.enqueue(number, remains, false).await,
            10..20 => self.enqueue(number, remains, true).await,
            20 => self.try_enqueue(number, remains),
            21 => self.flush(remains),
            22 => self.health(remains),
            _ => {}
        }
    }

    /// A send that may be cancelled by its context, in a separate task.
    fn send(&mut self, number: u64, remains: &mut Remains) {
        let ((ctx, bound), message) = (self.context(), self.message(number, true));
        let cancelled = self.random.bool().then(|| MS * self.random.u32(..1_500));
        let (producer, ledger, token) =
            (self.producer.clone(), self.ledger.clone(), CancellationToken::new());
        let ctx = ctx.with_cancellation(token.clone());
        let bound = cancelled.map_or(bound, |after| after.min(bound));
        let open = self.watch.call(format!("send {number}"));
        remains.calls.push(tokio::spawn(async move {
            let (_open, started) = (open, Instant::now());
            let cancel = async {
                match cancelled {
                    Some(after) => tokio::time::sleep(after).await,
                    None => std::future::pending().await,
                }
                token.cancel();
                std::future::pending::<()>().await;
            };
            let result = tokio::select! {
                biased;
                result = producer.send(&ctx, message) => result,
                () = cancel => unreachable!("it never ends"),
            };
            let what = || format!("send {number} of {ctx:?}, cancelled after {cancelled:?}, {result:?}");
            ledger.check(what, started, bound);
            ledger.report(number, result);
        }));
    }

    /// A send whose future is dropped.
    fn abandoned_send(&mut self, number: u64, remains: &mut Remains) {
        let ((ctx, _), message, after) =
            (self.context(), self.message(number, false), MS * self.random.u32(..1_000));
        let producer = self.producer.clone();
        self.ledger.reported.lock().insert(number, Reported::Unknown);
        remains.calls.push(tokio::spawn(async move {
            // Its answer is of interest to nobody.
            drop(
                tokio::time::timeout(after, producer.send(&ctx, message))
                    .await
                    .map(|result| result.map_err(drop)),
            );
        }));
    }

    /// A send that is polled a few times, and then neither polled nor dropped, or leaked.
    async fn neglected_send(&mut self, number: u64, remains: &mut Remains) {
        let ((ctx, _), message) = (self.context(), self.message(number, false));
        let (producer, ledger) = (self.producer.clone(), self.ledger.clone());
        self.ledger.reported.lock().insert(number, Reported::Unknown);
        let mut send: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            let result = producer.send(&ctx, message).await;
            ledger.report(number, result);
        });
        for _ in 0..self.random.usize(1..20) {
            if poll!(&mut send).is_ready() {
                return;
            }
            match self.random.u8(..4) {
                0 => tokio::time::sleep(MS * self.random.u32(..50)).await,
                _ => tokio::task::yield_now().await,
            }
        }
        match self.random.u8(..10) {
            0 => self.watch.kept.lock().push(send),
            _ => remains.left_alone.push(send),
        }
    }

    async fn enqueue(&mut self, number: u64, remains: &mut Remains, awaited: bool) {
        let ((ctx, bound), message) = (self.context(), self.message(number, true));
        let started = Instant::now();
        let result = {
            let _open = self.watch.call(format!("enqueue {number}"));
            self.producer.enqueue(&ctx, message).await
        };
        let bounded = bound.min(2 * self.settings.max_wait);
        self.ledger.check(|| format!("enqueue {number}, {result:?}"), started, bounded);
        match result {
            Ok(receipt) => self.accepted(number, receipt, started, bound, remains, awaited),
            Err(error) => self.ledger.report(number, Err(error)),
        }
    }

    fn try_enqueue(&mut self, number: u64, remains: &mut Remains) {
        let message = self.message(number, true);
        let awaited = self.random.bool();
        match self.producer.try_enqueue(message) {
            Ok(receipt) => {
                self.accepted(number, receipt, Instant::now(), self.settings.delivery, remains, awaited);
            }
            Err(error) => self.ledger.report(number, Err(error)),
        }
    }

    fn accepted(
        &mut self,
        number: u64,
        receipt: rskafka_producer::Receipt,
        started: Instant,
        bound: Duration,
        remains: &mut Remains,
        awaited: bool,
    ) {
        self.ledger.accept(self.id, number);
        if !awaited {
            self.ledger.reported.lock().insert(number, Reported::Unknown);
            return drop(receipt);
        }
        let (ledger, open) = (self.ledger.clone(), self.watch.call(format!("receipt {number}")));
        remains.calls.push(tokio::spawn(async move {
            let _open = open;
            let result = receipt.await;
            ledger.check(|| format!("receipt {number}, {result:?}"), started, bound);
            ledger.report(number, result);
        }));
    }

    fn flush(&mut self, remains: &mut Remains) {
        let limit = MS * self.random.u32(..2_000);
        let (producer, ledger) = (self.producer.clone(), self.ledger.clone());
        let open = self.watch.call("flush");
        remains.calls.push(tokio::spawn(async move {
            let (_open, started) = (open, Instant::now());
            // Whether it succeeds is up to the brokers.
            if let Err(error) = producer.flush(&Context::timeout(limit)).await {
                ledger.check_explained(&error);
            }
            ledger.check(|| "flush".to_owned(), started, limit);
            if producer.explain().to_string().is_empty() {
                ledger.broken("an empty explanation".to_owned());
            }
        }));
    }

    fn health(&mut self, remains: &mut Remains) {
        let limit = MS * self.random.u32(..2_000);
        let (producer, ledger) = (self.producer.clone(), self.ledger.clone());
        let open = self.watch.call("health");
        remains.calls.push(tokio::spawn(async move {
            let (_open, started) = (open, Instant::now());
            // Whether it succeeds is up to the brokers.
            if let Err(error) = producer.health(&Context::timeout(limit)).await {
                ledger.check_explained(&error);
            }
            ledger.check(|| "health".to_owned(), started, limit);
        }));
    }
}
