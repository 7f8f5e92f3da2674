//! From an address to a connection that can be used: TCP, TLS, versions, login; with what the first use needs asked in
//! the same breath.
//!
//! Round trips to a first acknowledged record, where the broker asked first leads the partition: TCP 1, TLS 1.3 1,
//! `ApiVersions` 1, `SaslHandshake` 1 (without TLS in the breath of `ApiVersions`), SCRAM 2, `Metadata` with
//! `InitProducerId` 1 (without a login in the breath of `ApiVersions`), `Produce` 1: three in plaintext, four with
//! TLS 1.3, eight with TLS 1.3 and SCRAM.

use std::pin::pin;

use futures_util::future::{Either, join, select};

use super::api::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, InitProducerIdRequest, InitProducerIdResponse,
    MetadataRequest, MetadataResponse, UNSUPPORTED_VERSION, Versions,
};
use super::connection::{Settings, unreachable};
use super::listener::Listener;
use super::net::custom;
use super::net::frame::{NotKafka, Unreadable};
#[cfg(feature = "tls")]
use super::net::wire::plain;
use super::net::wire::{Ended, RequestFailed, Wire};
use super::sasl::Login;
use super::versions::{assumed, assumption_holds};
use crate::config::{Address, ByteStream, ConnectError};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{dial, tunnel};

/// What a first use needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) metadata: Option<MetadataRequest<'a>>,
    pub(super) producer_id: bool,
}

impl Wanted<'_> {
    fn apis(&self) -> impl Iterator<Item = ApiKey> + use<> {
        let metadata = self.metadata.is_some().then_some(ApiKey::Metadata);
        metadata.into_iter().chain(self.producer_id.then_some(ApiKey::InitProducerId))
    }
}

/// What was answered of it. The rest is requested again, and its errors are then reported.
#[derive(Debug, Default)]
pub(super) struct Answered {
    pub(super) metadata: Option<MetadataResponse>,
    pub(super) producer_id: Option<InitProducerIdResponse>,
}

/// A connection that stands.
pub(super) struct Ready {
    pub(super) wire: Wire,
    pub(super) answered: Answered,
    /// Until when the login is good, counted from now.
    pub(super) session: Option<std::time::Duration>,
}

/// Makes a connection. Has no time limit itself; dropping the future leaves nothing behind.
///
/// Some requests leave before the broker has said in which versions it takes them. Where an assumption was wrong, the
/// connection is made again at once with what was learned.
pub(super) async fn shake_hands(
    address: &Address,
    listener: &Listener,
    settings: &Settings,
    wanted: Option<Wanted<'_>>,
) -> Result<Ready> {
    let handshake = Handshake { address, listener, settings, wanted };
    // There are two assumptions: the version of `ApiVersions`, and those of all others.
    for _ in 0..3 {
        match handshake.attempt().await {
            Ok(ready) => return Ok(ready),
            Err(Failed::For(error)) => return Err(error),
            Err(Failed::Assumed) => {}
        }
    }
    Err(unreachable(address, "it contradicts itself about the versions that it takes"))
}

/// Why a connection was not made.
enum Failed {
    For(Error),
    /// The broker does not take a request in the version that was assumed; the listener knows better now.
    Assumed,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::For(error)
    }
}

struct Handshake<'a> {
    address: &'a Address,
    listener: &'a Listener,
    settings: &'a Settings,
    wanted: Option<Wanted<'a>>,
}

impl Handshake<'_> {
    async fn attempt(&self) -> Result<Ready, Failed> {
        let socket = open(self.address, self.settings).await?;
        let mut wire = Wire::new(socket, self.settings.client_id.clone());
        wire.set_versions(assumed(self.listener.asks_versions_in()));
        let ready = match &self.settings.sasl {
            Some(sasl) => self.log_in(wire, Login::prepare(self.address, sasl).await?).await?,
            None => self.ask(wire).await?,
        };
        let answered = &ready.answered;
        if self.settings.sasl.is_some() || answered.metadata.is_some() || answered.producer_id.is_some() {
            self.listener.has_answered();
        }
        Ok(ready)
    }

    fn question(&self) -> ApiVersionsRequest<'_> {
        ApiVersionsRequest { software: &self.settings.software }
    }

    /// Asks for versions, and in the same breath for what is wanted.
    async fn ask(&self, mut wire: Wire) -> Result<Ready, Failed> {
        let wanted = self.wanted.filter(|wanted| wanted.apis().all(|api| self.listener.takes_early(api)));
        let (versions, answered) = match wanted {
            Some(wanted) => self.ask_early(&wire, wanted).await?,
            None => (self.heard(wire.request(self.question()).await)?, Answered::default()),
        };
        self.adopt(&mut wire, versions).await?;
        Ok(Ready { wire, answered, session: None })
    }

    async fn ask_early(
        &self,
        wire: &Wire,
        wanted: Wanted<'_>,
    ) -> Result<(ApiVersionsResponse, Answered), Failed> {
        match select(pin!(wire.request(self.question())), pin!(ask_wanted(wire, wanted))).await {
            Either::Left((versions, answered)) => {
                let versions = self.heard(versions)?;
                if versions.error_code == 0 {
                    self.learn(&versions.offered)?;
                    // What a broker does not know it may leave without an answer.
                    if !wanted.apis().all(|api| assumption_holds(api, &versions.offered)) {
                        return Err(Failed::Assumed);
                    }
                }
                Ok((versions, answered.await))
            }
            Either::Right((answered, versions)) => Ok((self.heard(versions.await)?, answered)),
        }
    }

    async fn log_in(&self, mut wire: Wire, login: Login<'_>) -> Result<Ready, Failed> {
        // Under TLS, Kafka has the second request of a login in its buffer and waits 300 ms for its socket.
        if self.listener.takes_early(ApiKey::SaslHandshake) && !self.settings.encrypts() {
            let (versions, named) = join(wire.request(self.question()), login.handshake(&wire)).await;
            let versions = self.heard(versions)?;
            if versions.error_code == UNSUPPORTED_VERSION {
                // In the middle of a login it cannot be asked again.
                return Err(Failed::Assumed);
            }
            self.adopt(&mut wire, versions).await?;
            named?;
        } else {
            let versions = self.heard(wire.request(self.question()).await)?;
            self.adopt(&mut wire, versions).await?;
            login.handshake(&wire).await?;
        }
        let session = login.exchange(&wire).await?;
        let answered = match self.wanted.filter(|_| self.listener.takes_pipelines()) {
            Some(wanted) => ask_wanted(&wire, wanted).await,
            None => Answered::default(),
        };
        Ok(Ready { wire, answered, session })
    }

    /// The outcome of the request for versions. That the version of the question was too new is noted.
    fn heard(&self, answer: Result<ApiVersionsResponse, RequestFailed>) -> Result<ApiVersionsResponse> {
        let answer = answer.map_err(|failed| first_exchange_failed(self.address, self.listener, &failed))?;
        match answer.error_code {
            0 => {}
            UNSUPPORTED_VERSION => self.listener.refused_versions(),
            code => return Err(Error::from_broker(code, None).with_broker(self.address.to_string())),
        }
        Ok(answer)
    }

    /// From here on requests are made in the newest version that both sides know. Where the question was too new, it is
    /// asked again in its first version.
    async fn adopt(&self, wire: &mut Wire, mut versions: ApiVersionsResponse) -> Result<(), Failed> {
        if versions.error_code == UNSUPPORTED_VERSION {
            wire.set_versions(assumed(0));
            // A broker may close the connection where the version is too new (KIP-511 does not).
            versions = wire.request(self.question()).await.map_err(|_| Failed::Assumed)?;
            if versions.error_code != 0 {
                let text = format!("{} refuses every version of ApiVersions", self.address);
                return Err(Error::unsupported_version(text).with_broker(self.address.to_string()).into());
            }
        }
        self.learn(&versions.offered)?;
        wire.set_versions(versions.offered);
        Ok(())
    }

    fn learn(&self, offered: &Versions) -> Result<()> {
        self.settings.needs.check(self.address, offered)?;
        self.listener.offers(offered);
        Ok(())
    }
}

async fn ask_wanted(wire: &Wire, wanted: Wanted<'_>) -> Answered {
    let metadata =
        async { wire.request(wanted.metadata?).await.ok().filter(|metadata| metadata.error_code == 0) };
    let producer_id = async {
        match wanted.producer_id {
            true => wire.request(InitProducerIdRequest).await.ok(),
            false => None,
        }
    };
    let (metadata, producer_id) = join(metadata, producer_id).await;
    Answered { metadata, producer_id }
}

async fn open(address: &Address, settings: &Settings) -> Result<Box<dyn ByteStream>> {
    let not_connected = |error| not_connected(address, error);
    if let Some(connector) = &settings.connector {
        let stream = custom::open(&**connector, address).await.map_err(not_connected)?;
        return encrypt(address, settings, stream).await;
    }
    let socket = match &settings.proxy {
        None => dial(address, settings.socket).await,
        Some(proxy) => tunnel(proxy, address, settings.socket).await,
    };
    encrypt(address, settings, socket.map_err(not_connected)?).await
}

/// A name that is not known here is the commonest trouble of all: the cluster advertises one that only it can resolve.
fn not_connected(address: &Address, error: ConnectError) -> Error {
    match error {
        ConnectError::Resolve(error) => unreachable(
            address,
            &format!(
                "its host name cannot be resolved ({error}); it is in bootstrap.servers, or the broker's \
                 advertised.listeners names a host that is unknown here"
            ),
        ),
        ConnectError::Connect(error) => unreachable(address, &error.to_string()),
    }
}

#[cfg(not(feature = "tls"))]
async fn encrypt(
    _: &Address,
    _: &Settings,
    socket: impl ByteStream + 'static,
) -> Result<Box<dyn ByteStream>> {
    Ok(Box::new(socket))
}

#[cfg(feature = "tls")]
async fn encrypt(
    address: &Address,
    settings: &Settings,
    socket: impl ByteStream + 'static,
) -> Result<Box<dyn ByteStream>> {
    use super::net::tls::TlsFailure;

    let Some(tls) = &settings.tls else {
        return Ok(Box::new(socket));
    };
    let broker = address.to_string();
    match tls.connect(address, socket, &settings.observer.log).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(TlsFailure::Known(error)) => Err(error),
        Err(TlsFailure::Gone(gone)) => {
            let text = format!(
                "{broker} closed the connection during the TLS handshake: is it the port of a plaintext listener?"
            );
            // Or a load balancer has no target yet: that is not final, so that it is tried again.
            Err(Error::new(ErrorKind::Unreachable, text).with_broker(broker).with_io_cause(Some(plain(gone))))
        }
    }
}

/// The first exchange failed: the peer may speak something else.
fn first_exchange_failed(address: &Address, listener: &Listener, failed: &RequestFailed) -> Error {
    #[cfg(feature = "tls")]
    if let Some(known) = failed.io().and_then(super::net::tls::known) {
        return super::net::tls::explain(address, known);
    }
    let not_kafka = match failed {
        RequestFailed::Ended(Ended::Read(Unreadable::NotKafka(what))) => Some(*what),
        _ => None,
    };
    let (kind, text) = match not_kafka {
        Some(NotKafka::Tls) => (
            ErrorKind::Protocol,
            format!(
                "{address} speaks TLS; this producer connects in plaintext: is TLS missing in its configuration?"
            ),
        ),
        Some(NotKafka::Http) => {
            (ErrorKind::Protocol, format!("{address} is an HTTP server, not a Kafka broker"))
        }
        Some(NotKafka::Other) => (ErrorKind::Protocol, format!("{address} does not speak Kafka")),
        None => {
            // If pipelines are what it does not like, the next attempt does without.
            listener.go_one_by_one();
            (
                ErrorKind::Unreachable,
                format!(
                    "{address} accepted the connection and closed it during the handshake: does it expect TLS or SASL?"
                ),
            )
        }
    };
    let error = Error::new(kind, text).with_broker(address.to_string());
    match not_kafka {
        // It says so itself, and no broker has answered yet that could be on its way back.
        Some(NotKafka::Tls) if !listener.is_trusted() => error.lasting(),
        // The text has said it all.
        Some(_) => error,
        None => error.with_io_cause(failed.cause()),
    }
}
