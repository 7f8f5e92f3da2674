//! From settings and files to rustls's configuration.

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use super::provider::provider;
use crate::config::{Pem, TlsConfig, TlsRoots};
use crate::error::{Error, ErrorKind, Result};

/// What the settings and their files hold at the moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Material {
    authorities: Vec<Bytes>,
    identity: Option<(Bytes, Bytes)>,
}

type Bytes = Zeroizing<Vec<u8>>;

impl Material {
    /// Reads every file. They are small and local; who keeps them on a network reads them himself and hands in
    /// [`Pem::text`].
    pub(super) fn read(config: &TlsConfig) -> Result<Self> {
        let authorities = match &config.roots {
            TlsRoots::Pem(pems) => pems.iter().map(|pem| read(pem, "tls.roots")).collect::<Result<_>>()?,
            _ => Vec::new(),
        };
        let identity = match &config.identity {
            Some(identity) => {
                Some((read(&identity.certificates, "tls.identity")?, read(&identity.key, "tls.identity")?))
            }
            None => None,
        };
        Ok(Self { authorities, identity })
    }
}

fn read(pem: &Pem, setting: &str) -> Result<Bytes> {
    match pem {
        Pem::Text(text) => Ok(Zeroizing::new(text.expose().as_bytes().to_vec())),
        Pem::File(path) => std::fs::read(path).map(Zeroizing::new).map_err(|error| {
            invalid(format!("{setting}: {} cannot be read: {error}", path.display())).with_source(error)
        }),
    }
}

fn invalid(text: String) -> Error {
    Error::new(ErrorKind::InvalidConfig, text)
}

/// Whether a configuration can be built, as far as that shows without reading files.
pub(crate) fn check(config: &TlsConfig) -> Result<(), String> {
    if config.client_config.is_some() {
        return Ok(());
    }
    provider(config)?;
    let TlsRoots::Pem(pems) = &config.roots else {
        return Ok(());
    };
    for pem in pems {
        if let Pem::Text(text) = pem {
            certificates(text.expose().as_bytes(), "tls.roots (ssl.truststore.certificates)")
                .map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

pub(super) fn build(config: &TlsConfig, material: &Material) -> Result<ClientConfig> {
    let provider = provider(config).map_err(invalid)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid(format!("tls: the crypto provider does not fit: {error}")))?
        .with_root_certificates(roots(&config.roots, material)?);
    let Some((chain, key)) = &material.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(chain, "tls.identity (ssl.keystore.certificate.chain)")?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
        invalid(format!("tls.identity (ssl.keystore.key): {}", no_pem(&error, "private key")))
    })?;
    builder.with_client_auth_cert(chain, key).map_err(|error| {
        invalid(format!("tls.identity (ssl.keystore): key and certificate do not fit: {error}"))
    })
}

fn roots(roots: &TlsRoots, material: &Material) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    match roots {
        TlsRoots::Pem(_) => {
            for pem in &material.authorities {
                for certificate in certificates(pem, "tls.roots (ssl.truststore)")? {
                    store.add(certificate).map_err(|error| {
                        invalid(format!("tls.roots (ssl.truststore): a certificate cannot be used: {error}"))
                    })?;
                }
            }
        }
        TlsRoots::Webpki => add_webpki(&mut store),
        TlsRoots::Platform => add_platform(&mut store)?,
        TlsRoots::Default if cfg!(feature = "tls-platform-roots") => add_platform(&mut store)?,
        TlsRoots::Default => add_webpki(&mut store),
    }
    Ok(store)
}

#[cfg(feature = "tls-webpki-roots")]
fn add_webpki(store: &mut RootCertStore) {
    store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
}

/// Validation refuses to get here.
#[cfg(not(feature = "tls-webpki-roots"))]
fn add_webpki(_: &mut RootCertStore) {}

#[cfg(feature = "tls-platform-roots")]
fn add_platform(store: &mut RootCertStore) -> Result<()> {
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = store.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(());
    }
    let why = found.errors.first().map_or_else(|| "there are none".into(), ToString::to_string);
    Err(invalid(format!(
        "tls.roots: the platform's authorities cannot be had ({why}): name them by SSL_CERT_FILE, or use \
         TlsConfig::ca or the feature tls-webpki-roots"
    )))
}

/// Validation refuses to get here.
#[cfg(not(feature = "tls-platform-roots"))]
fn add_platform(_: &mut RootCertStore) -> Result<()> {
    Ok(())
}

fn certificates(pem: &[u8], setting: &str) -> Result<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(found) if found.is_empty() => {
            Err(invalid(format!("{setting}: {}", no_pem(&pem::Error::NoItemsFound, "certificate"))))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(invalid(format!("{setting}: {}", no_pem(&error, "certificate")))),
    }
}

fn no_pem(error: &pem::Error, what: &str) -> String {
    match error {
        pem::Error::NoItemsFound => {
            format!(
                "there is no {what} in PEM format (\"-----BEGIN …\", not encrypted; JKS and PKCS#12 are not read)"
            )
        }
        _ => format!("the {what} in PEM format is damaged"),
    }
}
