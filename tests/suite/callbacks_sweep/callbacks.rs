//! The places where a producer calls code that is not ours.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use kafka_testbed::{Mechanism, PASSWORD, Sasl, USER, unsecured_token};
use rskafka_producer::{
    ByteStream, ConnectError, Connector, Context, Credentials, CredentialsProvider, Delivery, Error, Health,
    HealthRegistry, Message, PartitionInput, Partitioner, Partitioning, Producer, ProducerConfig,
    ProviderError, SaslConfig, SaslMechanism, TelemetryConfig, Token,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};

use super::trap::Trap;
use crate::callbacks_sweep::Brokers;

/// What the call came to that met the callback.
pub(super) type Outcome = Result<Option<Delivery>, Error>;
type Call = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A place where the user's code is called.
pub(super) struct Callback {
    pub(super) name: &'static str,
    install: fn(ProducerConfig, &Arc<Trap>) -> ProducerConfig,
    pub(super) sasl: Option<fn() -> Sasl>,
    /// Makes the call that meets the callback.
    pub(super) provoke: fn(Brokers, Producer, Arc<Trap>) -> Call,
    /// What that call must come to where the callback panics.
    pub(super) judge: fn(&Outcome),
    /// It is called by a task that others need.
    pub(super) holds_task: bool,
    /// How many calls in a row misbehave.
    pub(super) times: u32,
}

impl Callback {
    pub(super) fn config(&self, brokers: Vec<String>, trap: &Arc<Trap>) -> ProducerConfig {
        (self.install)(ProducerConfig::new(brokers).topic("t"), trap)
    }
}

pub(super) const CALLBACKS: &[Callback] = &[
    Callback {
        name: "partitioner",
        install: |config, trap| config.partitioning(Partitioning::custom(Chooser(trap.clone()))),
        judge: |outcome| fails_by("the partitioner panicked", outcome),
        ..SENDS
    },
    Callback {
        name: "propagator",
        install: |config, trap| {
            let trap = trap.clone();
            config.telemetry(TelemetryConfig::default().propagator(move |_| trap.spring()))
        },
        judge: |outcome| fails_by("the propagator panicked", outcome),
        ..SENDS
    },
    Callback {
        name: "wall clock",
        install: |config, trap| {
            let trap = trap.clone();
            config.wall_clock(move || {
                trap.spring();
                SystemTime::now()
            })
        },
        holds_task: true,
        times: 1,
        ..SENDS
    },
    Callback {
        name: "logger",
        install: |config, trap| config.logger(Dispatch::new(Listener(trap.clone()))),
        holds_task: true,
        times: 1,
        ..SENDS
    },
    #[cfg(feature = "metrics")]
    Callback {
        name: "metrics recorder",
        install: |config, trap| config.client_id(super::recorder::client_of(trap)),
        holds_task: true,
        times: 1,
        ..SENDS
    },
    Callback {
        name: "owner of a value",
        provoke: |_, producer, trap| {
            Box::pin(async move {
                let value = Bytes::from_owner(Owner(trap));
                producer.send(&limit(), Message::new(value)).await.map(Some)
            })
        },
        holds_task: true,
        ..SENDS
    },
    Callback {
        name: "waker",
        provoke: |_, producer, trap| {
            Box::pin(async move {
                let mut receipt = producer.enqueue(&limit(), Message::new("v")).await?;
                let waker = Waker::from(Arc::new(Bell(trap.clone())));
                let polled = Pin::new(&mut receipt).poll(&mut TaskContext::from_waker(&waker));
                match polled {
                    Poll::Ready(settled) => settled.map(Some),
                    Poll::Pending => {
                        // Only the waker of the last poll is woken.
                        while trap.sprung() == 0 {
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                        receipt.await.map(Some)
                    }
                }
            })
        },
        holds_task: true,
        ..SENDS
    },
    Callback {
        name: "credentials provider",
        install: |config, trap| {
            let source = Provider(trap.clone());
            // Quick to check, also in a debug build beside many others.
            config.sasl(SaslConfig::password(SaslMechanism::Plain, source).allow_plaintext(true))
        },
        sasl: Some(|| Sasl::new(&Mechanism::ALL)),
        provoke: reconnects,
        holds_task: true,
        ..SENDS
    },
    Callback {
        name: "token provider that blocks its thread",
        install: |config, trap| {
            let trap = trap.clone();
            let tokens = move || {
                let trap = trap.clone();
                async move {
                    trap.spring();
                    Ok(Token::new(unsecured_token(USER, Duration::from_secs(3_600))))
                }
            };
            config.sasl(SaslConfig::oauth_bearer(tokens).allow_plaintext(true))
        },
        sasl: Some(|| Sasl::new(&Mechanism::ALL)),
        provoke: reconnects,
        holds_task: true,
        ..SENDS
    },
    Callback {
        name: "connector",
        install: |config, trap| config.connector(Dialler { connects: Some(trap.clone()), streams: None }),
        provoke: reconnects,
        holds_task: true,
        ..SENDS
    },
    Callback {
        name: "stream of a connector",
        install: |config, trap| config.connector(Dialler { connects: None, streams: Some(trap.clone()) }),
        holds_task: true,
        ..SENDS
    },
    Callback {
        name: "health check",
        provoke: |_, _, trap| {
            Box::pin(async move {
                let registry = HealthRegistry::new();
                registry.register_fn("good", |_| async { Health::Up })?;
                let bad = trap.clone();
                registry.register_fn("bad", move |_| {
                    bad.spring();
                    async { Health::Up }
                })?;
                let report = registry.report(&limit()).await;
                let good = report.checks().iter().find(|check| check.name == "good").unwrap();
                assert_eq!(good.health, Health::Up);
                Ok(None)
            })
        },
        ..SENDS
    },
];

/// A callback that is called while a message is sent.
const SENDS: Callback = Callback {
    name: "",
    install: |config, _| config,
    sasl: None,
    provoke: |_, producer, _| {
        Box::pin(async move { producer.send(&limit(), Message::new("v").to("t")).await.map(Some) })
    },
    judge: |outcome| assert!(outcome.is_ok(), "{outcome:?}"),
    holds_task: false,
    times: 1,
};

fn limit() -> Context {
    Context::timeout(Duration::from_secs(5))
}

fn fails_by(cause: &str, outcome: &Outcome) {
    let error = outcome.as_ref().unwrap_err();
    assert!(error.to_string().contains(cause), "{error}");
    assert_eq!(error.fate(), rskafka_producer::Fate::NotPersisted);
    assert!(error.clone().into_message().is_some(), "the message comes back");
}

fn reconnects(brokers: Brokers, producer: Producer, _: Arc<Trap>) -> Call {
    Box::pin(async move {
        brokers.cut_connections(0);
        brokers.cut_connections(1);
        // What is sent before they are gone may still be stored without another login.
        brokers.wait_until(|brokers| brokers.connections_open(0) + brokers.connections_open(1) == 0).await;
        producer.send(&limit(), Message::new("v").to("t").partition(0)).await.map(Some)
    })
}

#[derive(Debug)]
struct Chooser(Arc<Trap>);

impl Partitioner for Chooser {
    fn partition(&self, _: &PartitionInput<'_>) -> Option<u32> {
        self.0.spring();
        None
    }
}

struct Provider(Arc<Trap>);

#[async_trait]
impl CredentialsProvider for Provider {
    async fn credentials(&self, _: &str) -> Result<Credentials, ProviderError> {
        self.0.spring_waiting().await;
        Ok(Credentials::new(USER, PASSWORD))
    }
}

/// Opens sockets; it springs one trap as it does, and another one in each call of a stream.
struct Dialler {
    connects: Option<Arc<Trap>>,
    streams: Option<Arc<Trap>>,
}

#[async_trait]
impl Connector for Dialler {
    async fn connect(&self, host: &str, port: u16) -> Result<Box<dyn ByteStream>, ConnectError> {
        self.connects.iter().for_each(|trap| trap.spring());
        let socket = TcpStream::connect((host, port)).await?;
        Ok(Box::new(Wire { socket, trap: self.streams.clone() }))
    }
}

struct Wire {
    socket: TcpStream,
    trap: Option<Arc<Trap>>,
}

impl Wire {
    fn socket(&mut self) -> Pin<&mut TcpStream> {
        self.trap.iter().for_each(|trap| trap.spring());
        Pin::new(&mut self.socket)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.trap.iter().for_each(|trap| trap.spring());
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.socket().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.socket().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_shutdown(cx)
    }
}

struct Owner(Arc<Trap>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        // Long enough to be kept as it is.
        &[b'v'; 1_000]
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.spring();
    }
}

struct Bell(Arc<Trap>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.spring();
    }
}

/// Listens to everything, and does nothing but misbehave.
struct Listener(Arc<Trap>);

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        self.0.spring();
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {
        self.0.spring();
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        self.0.spring();
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}

    fn try_close(&self, _: Id) -> bool {
        self.0.spring();
        true
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
