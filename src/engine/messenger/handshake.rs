//! From an address to a connection that can be used: TCP, TLS, versions, login; with what the first use needs asked in
//! the same breath.
//!
//! Round trips to a first acknowledged record, where the broker asked first leads the partition: TCP 1, TLS 1.3 1,
//! `ApiVersions` 1, `SaslHandshake` 1 (without TLS in the breath of `ApiVersions`), SCRAM 2, `Metadata` with
//! `InitProducerId` 1 (without a login in the breath of `ApiVersions`), `Produce` 1: three in plaintext, four with
//! TLS 1.3, eight with TLS 1.3 and SCRAM.

use futures_util::future::{join, join3};
use rskafka::protocol::api_key::ApiKey;
use rskafka::protocol::api_version::ApiVersionRange;
use tokio::net::TcpStream;

use super::api::{
    ApiVersionsRequest, ApiVersionsResponse, InitProducerIdRequest, InitProducerIdResponse, MetadataRequest,
    MetadataResponse, UNSUPPORTED_VERSION, version,
};
use super::connection::{Settings, unreachable};
use super::dial::{DialError, dial};
use super::listener::Listener;
use super::sasl::Login;
use super::stream::NotKafka;
use super::wire::{RequestFailed, Socket, Wire};
use crate::config::Address;
use crate::error::{Error, ErrorKind, Result};

/// What a first use needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) metadata: Option<MetadataRequest<'a>>,
    pub(super) producer_id: bool,
}

/// What was answered of it. What was not is asked again, and then told.
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

/// Makes a connection. Has no time limit of its own; dropping the future leaves nothing behind.
pub(super) async fn shake_hands(
    address: &Address,
    listener: &Listener,
    settings: &Settings,
    wanted: Option<Wanted<'_>>,
) -> Result<Ready> {
    let socket = open(address, listener, settings).await?;
    let mut wire = Wire::new(socket, settings.client_id.clone());
    let pipelined = listener.takes_pipelines();
    let wanted = wanted.filter(|_| pipelined);
    wire.set_versions(ASSUMED.into_iter().collect());

    let mut answered = Answered::default();
    let login = match &settings.sasl {
        Some(sasl) => Some(Login::prepare(address, sasl).await?),
        None => None,
    };
    // One that is too old cannot be asked again here: other requests have followed already.
    let pipelined_answer = |answer: Result<ApiVersionsResponse, RequestFailed>| {
        let versions = answer.map_err(|error| first_exchange_failed(address, listener, error))?;
        match versions.error_code {
            UNSUPPORTED_VERSION => Err(too_old_for_pipelines(address, listener)),
            _ => Ok(versions),
        }
    };
    let versions = match (&login, wanted) {
        // Under TLS, Kafka has the second request of a login in its buffer and waits 300 ms for its socket.
        (Some(login), _) if pipelined && !settings.encrypts() => {
            let (versions, offered) = join(wire.request(ApiVersionsRequest), login.handshake(&wire)).await;
            let versions = pipelined_answer(versions)?;
            offered?;
            versions
        }
        (None, Some(wanted)) => {
            let (versions, metadata, id) =
                join3(wire.request(ApiVersionsRequest), metadata(&wire, wanted), producer_id(&wire, wanted))
                    .await;
            answered = Answered { metadata, producer_id: id };
            pipelined_answer(versions)?
        }
        _ => {
            let versions = ask_versions(&mut wire).await;
            let versions = versions.map_err(|error| first_exchange_failed(address, listener, error))?;
            if let Some(login) = &login {
                login.handshake(&wire).await?;
            }
            versions
        }
    };
    if !versions.ranges.contains_key(&ApiKey::Produce) {
        return Err(Error::new(
            ErrorKind::Protocol,
            format!("{address} offers no version of the Kafka protocol that this library knows"),
        )
        .with_broker(address.to_string()));
    }
    let session = match login {
        Some(login) => login.exchange(&wire).await?,
        None => None,
    };
    wire.set_versions(versions.ranges);
    if let (Some(_), Some(wanted)) = (&settings.sasl, wanted) {
        let (metadata, id) = join(metadata(&wire, wanted), producer_id(&wire, wanted)).await;
        answered = Answered { metadata, producer_id: id };
    }
    if settings.sasl.is_some() || answered.metadata.is_some() || answered.producer_id.is_some() {
        listener.has_answered();
    }
    Ok(Ready { wire, answered, session })
}

/// What every broker from Kafka 0.11 on knows, and 1.0 where it asks for a login: good for requests that are sent
/// before the broker has said what it knows.
const ASSUMED: [(ApiKey, ApiVersionRange); 5] = [
    (ApiKey::ApiVersions, ApiVersionRange::new(version(0), version(3))),
    (ApiKey::Metadata, ApiVersionRange::new(version(4), version(4))),
    (ApiKey::InitProducerId, ApiVersionRange::new(version(0), version(0))),
    (ApiKey::SaslHandshake, ApiVersionRange::new(version(1), version(1))),
    (ApiKey::SaslAuthenticate, ApiVersionRange::new(version(0), version(1))),
];

async fn ask_versions(wire: &mut Wire) -> Result<ApiVersionsResponse, RequestFailed> {
    let answer = wire.request(ApiVersionsRequest).await?;
    if answer.error_code != UNSUPPORTED_VERSION {
        return Ok(answer);
    }
    // Before Kafka 2.4: asked again in the first version.
    let first = ApiVersionRange::new(version(0), version(0));
    wire.set_versions(ASSUMED.into_iter().chain([(ApiKey::ApiVersions, first)]).collect());
    wire.request(ApiVersionsRequest).await
}

async fn metadata(wire: &Wire, wanted: Wanted<'_>) -> Option<MetadataResponse> {
    wire.request(wanted.metadata?).await.ok()
}

async fn producer_id(wire: &Wire, wanted: Wanted<'_>) -> Option<InitProducerIdResponse> {
    if !wanted.producer_id {
        return None;
    }
    wire.request(InitProducerIdRequest).await.ok()
}

fn too_old_for_pipelines(address: &Address, listener: &Listener) -> Error {
    listener.go_one_by_one();
    unreachable(address, "it is older than Kafka 2.4 and has to be asked one by one")
}

async fn open(address: &Address, listener: &Listener, settings: &Settings) -> Result<Box<dyn Socket>> {
    let socket = dial(address).await.map_err(|error| not_dialled(address, error))?;
    encrypt(address, listener, settings, socket).await
}

/// A name that is not known here is the commonest trouble of all: the cluster advertises one that only it can resolve.
fn not_dialled(address: &Address, error: DialError) -> Error {
    match error {
        DialError::Name(error) => unreachable(
            address,
            &format!(
                "its host name cannot be resolved ({error}); it is in bootstrap.servers, or the broker's \
                 advertised.listeners names a host that is unknown here"
            ),
        ),
        DialError::Connect(error) => unreachable(address, &error.to_string()),
    }
}

#[cfg(not(feature = "tls"))]
async fn encrypt(_: &Address, _: &Listener, _: &Settings, socket: TcpStream) -> Result<Box<dyn Socket>> {
    Ok(Box::new(socket))
}

#[cfg(feature = "tls")]
async fn encrypt(
    address: &Address,
    listener: &Listener,
    settings: &Settings,
    socket: TcpStream,
) -> Result<Box<dyn Socket>> {
    use super::tls::TlsFailure;

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
            let chance = Error::new(ErrorKind::Unreachable, text.clone()).with_broker(broker.clone());
            let cause = || Error::new(ErrorKind::Tls, text).with_broker(broker);
            Err(listener.suspect(chance.with_source(gone), cause))
        }
    }
}

/// The first exchange failed: the peer may speak something else.
fn first_exchange_failed(address: &Address, listener: &Listener, failed: RequestFailed) -> Error {
    #[cfg(feature = "tls")]
    if let Some(told) = failed.io().and_then(super::tls::told) {
        return super::tls::explain(address, told);
    }
    let not_kafka = failed.io().and_then(|io| io.get_ref()?.downcast_ref::<NotKafka>().copied());
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
    match kind {
        // The text has said it all.
        ErrorKind::Protocol => error,
        _ => error.with_io_cause(failed.cause()),
    }
}
