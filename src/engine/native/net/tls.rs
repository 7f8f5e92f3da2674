//! Encrypted sockets, and what a failed handshake means for the person who has to fix it.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error as TlsError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::tls::client_config::{KEYS, Material, NEW_KEY, build};
use crate::config::{Address, TlsConfig};
use crate::error::{Error, ErrorKind, Result};
use crate::telemetry::Log;

/// Makes encrypted connections.
#[derive(Debug)]
pub(crate) struct Tls {
    config: TlsConfig,
    /// What the last connection was made with, so that sessions can be resumed while no file changes.
    last: Mutex<Option<(Material, Arc<ClientConfig>)>>,
}

/// Why there is no encrypted connection.
pub(crate) enum TlsFailure {
    /// It will not go away by itself.
    Known(Error),
    /// The peer went away during the handshake: chance, or a port that does not speak TLS.
    Gone(io::Error),
}

impl Tls {
    pub(crate) fn new(config: TlsConfig) -> Self {
        Self { config, last: Mutex::default() }
    }

    /// Has no time limit itself.
    pub(crate) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        address: &Address,
        socket: S,
        log: &Log,
    ) -> Result<TlsStream<S>, TlsFailure> {
        let config = self.client_config(log).map_err(TlsFailure::Known)?;
        let name = self.config.server_name.as_deref().unwrap_or(&address.host);
        let server = ServerName::try_from(name.to_owned()).map_err(|_| {
            let text = format!("{name:?} is not a valid TLS server name (tls.server_name)");
            TlsFailure::Known(Error::new(ErrorKind::InvalidConfig, text))
        })?;
        let connecting = TlsConnector::from(config).connect(server, socket);
        connecting.await.map_err(|error| match known(&error) {
            Some(known) => TlsFailure::Known(explain(address, known)),
            None => TlsFailure::Gone(error),
        })
    }

    /// Reads the files again: a certificate that was replaced is used by the next connection. Files that cannot be used,
    /// as while they are being replaced, leave things as they were.
    fn client_config(&self, log: &Log) -> Result<Arc<ClientConfig>> {
        if let Some(given) = &self.config.client_config {
            return Ok(given.clone());
        }
        self.read().or_else(|error| match &*self.last.lock() {
            Some((_, config)) => {
                log.tls_reload_failed(&error);
                Ok(config.clone())
            }
            None => Err(error),
        })
    }

    fn read(&self) -> Result<Arc<ClientConfig>> {
        let material = Material::read(&self.config)?;
        let mut last = self.last.lock();
        if let Some((used, config)) = &*last {
            if *used == material {
                return Ok(config.clone());
            }
        }
        let config = Arc::new(build(&self.config, &material)?);
        *last = Some((material, config.clone()));
        Ok(config)
    }
}

/// What rustls says behind an I/O error; a client certificate is refused only after a TLS 1.3 handshake, at the first
/// read.
pub(crate) fn known(error: &io::Error) -> Option<&TlsError> {
    error.get_ref()?.downcast_ref()
}

pub(crate) fn explain(address: &Address, error: &TlsError) -> Error {
    let text = match error {
        TlsError::InvalidCertificate(problem) => of_certificate(address, problem),
        TlsError::AlertReceived(alert) => of_alert(address, *alert),
        TlsError::InvalidMessage(_) => {
            format!("{address} does not speak TLS: is it the port of a plaintext listener?")
        }
        TlsError::PeerIncompatible(_) => {
            format!("{address} and this producer have no TLS version or cipher in common: {error}")
        }
        _ => format!("the TLS handshake with {address} failed: {error}"),
    };
    let kind = match error {
        TlsError::AlertReceived(alert) if passes(*alert) => ErrorKind::Unreachable,
        _ => ErrorKind::Tls,
    };
    Error::new(kind, text).with_broker(address.to_string())
}

/// Alerts that say nothing of either configuration: of a broker that restarts, or is just replacing its certificate.
fn passes(alert: AlertDescription) -> bool {
    use AlertDescription::*;
    matches!(
        alert,
        CloseNotify | InternalError | UserCanceled | DecodeError | UnexpectedMessage | BadRecordMac
    )
}

fn of_certificate(address: &Address, problem: &CertificateError) -> String {
    use CertificateError::*;
    match problem {
        UnknownIssuer => format!(
            "the certificate of {address} is signed by an authority that is not trusted: add the authority's \
             certificate with tls.ca (ssl.truststore.location, TlsConfig::ca)"
        ),
        NotValidForName | NotValidForNameContext { .. } => format!(
            "the certificate of {address} is for another host: {problem}; reach the broker by such a name, or expect it \
             with tls.server_name (TlsConfig::server_name)"
        ),
        Expired | ExpiredContext { .. } => {
            format!("the certificate of {address} has expired; renew it on the broker ({problem})")
        }
        NotValidYet | NotValidYetContext { .. } => {
            format!("the certificate of {address} is not valid yet: is a clock wrong? ({problem})")
        }
        Revoked => format!(
            "the certificate of {address} was revoked by its authority (tls.crl): give the broker a new one"
        ),
        UnknownRevocationStatus => format!(
            "nothing says whether the certificate of {address} was revoked: tls.crl (ssl.crl.location) needs a list of its \
             issuer"
        ),
        ExpiredRevocationList | ExpiredRevocationListContext { .. } => format!(
            "the revocation list for the certificate of {address} has expired: renew the file of tls.crl \
             (ssl.crl.location)"
        ),
        Other(other) => of_unusable_certificate(address, &other.to_string()),
        // By its name: newer releases of rustls have more variants of it.
        _ if format!("{problem:?}").contains(UNSUPPORTED) => of_unusable_certificate(address, UNSUPPORTED),
        _ => format!("the certificate of {address} cannot be accepted: {problem}"),
    }
}

/// How rustls and webpki call a signature or key that the provider cannot verify.
const UNSUPPORTED: &str = "UnsupportedSignatureAlgorithm";

/// What webpki, whose errors are reached only by their names, holds against a certificate.
fn of_unusable_certificate(address: &Address, name: &str) -> String {
    if name.contains("CaUsedAsEndEntity") {
        return format!(
            "the certificate of {address} is one of an authority, as a self-signed one of `openssl req -x509` is: a \
             broker needs one that is not. Add `-addext basicConstraints=critical,CA:FALSE -addext \
             subjectAltName=DNS:HOST` to that command, or sign the broker's certificate with an authority"
        );
    }
    if name.contains("UnsupportedCertVersion") {
        return format!(
            "the certificate of {address} is of X.509 version 1, without extensions: create one of version 3, for \
             `openssl x509 -req` with `-copy_extensions copy` or `-extfile` and subjectAltName=DNS:HOST"
        );
    }
    if name.contains(UNSUPPORTED) {
        return format!(
            "the certificate of {address}, or that of its authority, has a key or a signature that is not supported. {KEYS}; \
             neither do signatures with SHA-1. Create the key anew by `{NEW_KEY}`, and the certificates with -sha256"
        );
    }
    format!("the certificate of {address} cannot be accepted ({name})")
}

fn of_alert(address: &Address, alert: AlertDescription) -> String {
    use AlertDescription::*;
    match alert {
        CertificateRequired => format!(
            "{address} wants a client certificate (ssl.client.auth=required): give one with \
             tls.certificates and tls.key (ssl.keystore, TlsConfig::identity)"
        ),
        // Kafka says so too where no certificate was sent at all.
        BadCertificate | CertificateUnknown | UnknownCA | UnsupportedCertificate | AccessDenied => format!(
            "{address} refuses our client certificate, or misses one: give one that an authority of the broker has \
             signed with tls.certificates and tls.key (ssl.keystore, TlsConfig::identity; alert {alert:?})"
        ),
        CertificateExpired | CertificateRevoked => {
            format!(
                "{address} refuses our client certificate: it has expired or was revoked (alert {alert:?})"
            )
        }
        UnrecognisedName => {
            format!("{address} does not know the requested host name (tls.server_name)")
        }
        // Of a server that has only a certificate with a curve that it was not offered, too.
        HandshakeFailure => format!(
            "{address} and this producer have no TLS version, cipher or kind of certificate in common \
             (ssl.enabled.protocols, alert {alert:?}). {KEYS}: if the key of the broker's certificate is another, create it anew by \
             `{NEW_KEY}`"
        ),
        ProtocolVersion | InsufficientSecurity => format!(
            "{address} and this producer have no TLS version or cipher in common (ssl.enabled.protocols, alert \
             {alert:?})"
        ),
        _ => format!("{address} ended the TLS connection with alert {alert:?}"),
    }
}
