//! However a message ends, the owner of its value and the waker of its task may call the producer, or panic: nothing
//! hangs, and no counter, no room and no other message is off.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use rskafka_producer::{
    BatchConfig, Compression, Context, Message, Producer, ProducerConfig, Receipt, TimeoutConfig,
};
use tokio_util::sync::CancellationToken;

use crate::support::SECOND;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Reenters,
    Panics,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    Owner,
    /// Of a value that is sent from where it is.
    LargeOwner,
    Waker,
}

/// The user's code, which misbehaves wherever it is called.
struct Foreign {
    does: Does,
    producer: OnceLock<Producer>,
    called: AtomicUsize,
}

impl Foreign {
    fn call(&self) {
        self.called.fetch_add(1, Ordering::SeqCst);
        if self.does == Does::Panics {
            panic!("the user's code panics, as it should");
        }
        let Some(producer) = self.producer.get() else { return };
        let ctx = Context::timeout(SECOND);
        drop(producer.try_enqueue(Message::new("from within").partition(0)));
        drop(producer.send(&ctx, Message::new("from within").partition(0)).now_or_never());
        drop(producer.enqueue(&ctx, Message::new("from within").partition(0)).now_or_never());
        drop(producer.flush(&ctx).now_or_never());
        drop(producer.health(&ctx).now_or_never());
        assert!(producer.stats().records_accepted > 0);
    }
}

struct Owner {
    foreign: Arc<Foreign>,
    bytes: Vec<u8>,
}

impl Owner {
    fn value(foreign: &Arc<Foreign>, bytes: usize) -> Bytes {
        Bytes::from_owner(Self { foreign: foreign.clone(), bytes: vec![b'v'; bytes] })
    }
}

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.foreign.call();
    }
}

struct Bell(Arc<Foreign>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.call();
    }
}

struct Run {
    cluster: Arc<FakeCluster>,
    producer: Producer,
    foreign: Arc<Foreign>,
    who: Who,
    /// Kept, so that only a waker is called, not the owner of a message that is handed back.
    polled: Vec<Receipt>,
}

impl Run {
    /// Two messages of the user's code, and one that must get its own answer, in one batch.
    async fn enqueue(&mut self, ctx: &Context) -> Receipt {
        for _ in 0..2 {
            self.enqueue_foreign(ctx).await;
        }
        self.producer.enqueue(ctx, Message::new("neighbour").partition(0)).await.unwrap()
    }

    async fn enqueue_foreign(&mut self, ctx: &Context) {
        let value = match self.who {
            Who::Owner => Owner::value(&self.foreign, 1_000),
            Who::LargeOwner => Owner::value(&self.foreign, 20_000),
            Who::Waker => vec![b'v'; 1_000].into(),
        };
        let message = Message::new(value).partition(0);
        let mut receipt = self.producer.enqueue(ctx, message).await.unwrap();
        match self.who {
            // Nobody asks for it any more: the producer is the last to have the value.
            Who::Owner | Who::LargeOwner => drop(receipt),
            Who::Waker => {
                let waker = Waker::from(Arc::new(Bell(self.foreign.clone())));
                let polled = Pin::new(&mut receipt).poll(&mut TaskContext::from_waker(&waker));
                assert!(matches!(polled, Poll::Pending));
                self.polled.push(receipt);
            }
        }
    }

    fn inject(&self, fault: Fault) {
        self.cluster.inject(Rule::on(Api::Produce).always(), fault);
    }

    fn later() -> Context {
        Context::timeout(60 * SECOND)
    }
}

/// A way for messages to end; whether the producer can still be used.
type End = (&'static str, for<'a> fn(&'a mut Run) -> BoxFuture<'a, bool>);

const ENDS: &[End] = &[
    ("stored", |run| {
        Box::pin(async {
            run.enqueue(&Run::later()).await.await.unwrap();
            true
        })
    }),
    ("stored as a duplicate", |run| {
        Box::pin(async {
            run.cluster.inject(Rule::on(Api::Produce).times(1), Fault::Disconnect.after_apply());
            run.enqueue(&Run::later()).await.await.unwrap();
            true
        })
    }),
    ("refused", |run| {
        Box::pin(async {
            run.inject(Fault::Error(29));
            run.enqueue(&Run::later()).await.await.unwrap_err();
            true
        })
    }),
    ("expired while it waits", |run| {
        Box::pin(async {
            run.cluster.remove_leader("t", 0);
            let neighbour = run.enqueue(&Context::timeout(3 * SECOND)).await;
            neighbour.await.unwrap_err();
            true
        })
    }),
    ("expired in flight", |run| {
        Box::pin(async {
            run.inject(Fault::Silence);
            run.enqueue(&Context::timeout(SECOND)).await.await.unwrap_err();
            // The request goes on until nobody waits for its answer.
            tokio::time::sleep(6 * SECOND).await;
            true
        })
    }),
    ("expired between attempts", |run| {
        Box::pin(async {
            run.inject(Fault::Error(19));
            run.enqueue(&Context::timeout(SECOND)).await.await.unwrap_err();
            true
        })
    }),
    ("called off", |run| {
        Box::pin(async {
            run.cluster.remove_leader("t", 0);
            run.inject(Fault::Error(6));
            let (mut sends, token) = (Vec::new(), CancellationToken::new());
            for _ in 0..5 {
                let (producer, ctx) = (run.producer.clone(), Run::later().with_cancellation(token.clone()));
                sends.push(tokio::spawn(async move {
                    producer.send(&ctx, Message::new("called off").partition(0)).await
                }));
            }
            let neighbour = run.enqueue(&Context::timeout(5 * SECOND)).await;
            tokio::time::sleep(SECOND).await;
            token.cancel();
            for send in sends {
                send.await.unwrap().unwrap_err();
            }
            neighbour.await.unwrap_err();
            true
        })
    }),
    ("divided", |run| {
        Box::pin(async {
            run.cluster.configure_topic("t", "max.message.bytes", "1200");
            run.enqueue(&Run::later()).await.await.unwrap();
            true
        })
    }),
    ("refused by itself", |run| {
        Box::pin(async {
            run.cluster.configure_topic("t", "cleanup.policy", "compact");
            run.enqueue_foreign(&Run::later()).await;
            run.enqueue_foreign(&Run::later()).await;
            let keyed = Message::new("neighbour").key("k").partition(0);
            run.producer.enqueue(&Run::later(), keyed).await.unwrap().await.unwrap();
            run.cluster.configure_topic("t", "cleanup.policy", "delete");
            true
        })
    }),
    ("its topic is gone", |run| {
        Box::pin(async {
            assert!(run.cluster.delete_topic("t"));
            run.enqueue(&Context::timeout(50 * SECOND)).await.await.unwrap_err();
            assert!(run.cluster.create_topic("t", 1));
            true
        })
    }),
    ("closed", |run| {
        Box::pin(async {
            run.cluster.remove_leader("t", 0);
            run.inject(Fault::Error(6));
            let neighbour = run.enqueue(&Run::later()).await;
            tokio::time::sleep(SECOND).await;
            run.producer.close(&Context::timeout(SECOND)).await.unwrap_err();
            neighbour.await.unwrap_err();
            false
        })
    }),
    ("closed in flight", |run| {
        Box::pin(async {
            run.inject(Fault::Silence);
            let neighbour = run.enqueue(&Run::later()).await;
            tokio::time::sleep(SECOND).await;
            run.producer.close(&Context::timeout(SECOND)).await.unwrap_err();
            neighbour.await.unwrap_err();
            false
        })
    }),
];

async fn case(end: &End, who: Who, does: Does, compression: Compression) {
    let cluster = Arc::new(FakeCluster::builder().topic("t", 1).start().await.unwrap());
    let config = ProducerConfig::new(cluster.bootstrap())
        .topic("t")
        .batch(BatchConfig::default().linger(SECOND / 10).compression(compression))
        .timeouts(TimeoutConfig::default().request(5 * SECOND).delivery(60 * SECOND));
    let producer = Producer::connect(&Context::timeout(10 * SECOND), config).await.unwrap();
    producer.send(&Run::later(), Message::new("warm").partition(0)).await.unwrap();
    let foreign = Arc::new(Foreign { does, producer: OnceLock::new(), called: AtomicUsize::new(0) });
    _ = foreign.producer.set(producer.clone());
    let mut run = Run { cluster, producer, foreign, who, polled: Vec::new() };
    let usable = (end.1)(&mut run).await;
    run.cluster.heal();
    run.cluster.move_leader("t", 0, 0);
    if usable {
        run.producer.send(&Run::later(), Message::new("after").partition(0)).await.unwrap();
        run.producer.flush(&Run::later()).await.unwrap();
        run.producer.close(&Run::later()).await.unwrap();
    }
    tokio::time::sleep(SECOND).await;
    assert_eq!(run.foreign.called.load(Ordering::SeqCst), 2, "called once for each message");
    let stats = run.producer.stats();
    let settled = stats.records_acked + stats.records_not_persisted + stats.records_possibly_persisted;
    assert_eq!((stats.records_accepted, stats.buffer_bytes), (settled, 0), "{stats:?}");
    assert_eq!(stats.task_restarts, 0, "no task fell over it");
}

#[test]
fn whatever_ends_a_message_may_call_the_producer_or_panic() {
    let mut failed = Vec::new();
    let compressions = [Compression::None, Compression::Gzip];
    for end in ENDS {
        for who in [Who::Owner, Who::LargeOwner, Who::Waker] {
            for does in [Does::Reenters, Does::Panics] {
                for compression in compressions {
                    let (done, ends) = mpsc::channel();
                    // A separate thread: one that hangs under a lock can only be left behind.
                    std::thread::spawn(move || {
                        let runtime = tokio::runtime::Builder::new_current_thread()
                            .enable_all()
                            .start_paused(true)
                            .build()
                            .unwrap();
                        runtime.block_on(case(end, who, does, compression));
                        _ = done.send(());
                    });
                    if ends.recv_timeout(Duration::from_secs(60)).is_err() {
                        failed.push(format!("{}: {who:?} {does:?} {compression}", end.0));
                    }
                }
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// A panic of a value's owner went on into the call, where a message was kept to be handed back and was not.
#[tokio::test(start_paused = true)]
async fn calls_survive_the_owners_of_messages_that_they_kept_to_hand_back() {
    for bytes in [1_000, 20_000] {
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let config = ProducerConfig::new(cluster.bootstrap()).topic("t");
        let producer = Producer::connect(&Run::later(), config).await.unwrap();
        cluster.remove_leader("t", 0);
        cluster.inject(Rule::on(Api::Produce).always(), Fault::Error(6));
        let foreign = Foreign { does: Does::Panics, producer: OnceLock::new(), called: AtomicUsize::new(0) };
        let foreign = Arc::new(foreign);
        let message = || Message::new(Owner::value(&foreign, bytes)).partition(0);
        // What fails is forgotten: the value of a message that is handed back is the caller's.
        let ctx = || Context::timeout(SECOND);
        std::mem::forget(producer.send(&ctx(), message()).await.unwrap_err());
        std::mem::forget(producer.topic("t").send(&ctx(), message()).await.unwrap_err());
        let results = producer.send_all(&ctx(), [message(), message()]).await;
        assert!(results.iter().all(Result::is_err));
        std::mem::forget(results);
        // Dropped while they wait.
        assert!(producer.send(&Run::later(), message()).now_or_never().is_none());
        assert!(producer.send_all(&Run::later(), [message(), message()]).now_or_never().is_none());
        producer.close(&ctx()).await.unwrap_err();
        assert!(foreign.called.load(Ordering::SeqCst) > 0);
        assert_eq!(producer.stats().buffer_bytes, 0);
    }
}
