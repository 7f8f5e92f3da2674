//! From settings and files to rustls's configuration.

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use super::provider::provider;
use super::{Pem, TlsConfig, TlsRoots};
use crate::error::{Error, ErrorKind, Result, printable};

/// What the settings and their files hold at the moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Material {
    authorities: Vec<Bytes>,
    identity: Option<(Bytes, Bytes)>,
}

type Bytes = Zeroizing<Vec<u8>>;

/// Each setting by our name, which is the environment's too (`KAFKA_TLS_CA`), and by Kafka's.
const AUTHORITIES: &str = "tls.ca (ssl.truststore.location)";
const AUTHORITIES_PEM: &str = "tls.ca_pem (ssl.truststore.certificates)";
const CERTIFICATES: &str = "tls.certificates (ssl.keystore.certificate.chain)";
const KEY: &str = "tls.key (ssl.keystore.key)";
const IDENTITY: &str = "tls.identity (ssl.keystore.location)";

impl Material {
    /// Reads every file. They are small and local; to keep them on a network, read them and hand in
    /// [`Pem::text`].
    pub(crate) fn read(config: &TlsConfig) -> Result<Self> {
        let authorities = match &config.roots {
            TlsRoots::Pem(pems) => pems.iter().map(|pem| read(pem, AUTHORITIES)).collect::<Result<_>>()?,
            _ => Vec::new(),
        };
        let identity = match &config.identity {
            Some(identity) => {
                // One file may hold both.
                let [certificates, key] = match identity.certificates == identity.key {
                    true => [IDENTITY; 2],
                    false => [CERTIFICATES, KEY],
                };
                Some((read(&identity.certificates, certificates)?, read(&identity.key, key)?))
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
            let path = printable(&path.display().to_string());
            invalid(format!("{setting}: {path} cannot be read: {error}"))
        }),
    }
}

fn invalid(text: String) -> Error {
    Error::new(ErrorKind::InvalidConfig, text)
}

/// Whether a configuration can be built, as far as that shows without reading files.
pub(super) fn check(config: &TlsConfig) -> Result<(), String> {
    if config.client_config.is_some() {
        return Ok(());
    }
    provider(config)?;
    let TlsRoots::Pem(pems) = &config.roots else {
        return Ok(());
    };
    for pem in pems {
        if let Pem::Text(text) = pem {
            certificates(text.expose().as_bytes(), AUTHORITIES_PEM).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// In the first line of an encrypted key ("ENCRYPTED PRIVATE KEY"), or its second ("Proc-Type: 4,ENCRYPTED").
const ENCRYPTED: &[u8] = b"ENCRYPTED";

pub(crate) fn build(config: &TlsConfig, material: &Material) -> Result<ClientConfig> {
    let provider = provider(config).map_err(invalid)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid(format!("tls: the crypto provider cannot be used: {error}")))?
        .with_root_certificates(roots(&config.roots, material)?);
    let Some((chain, key)) = &material.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(chain, CERTIFICATES)?;
    let key = match key.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED) {
        true => Err(invalid(format!(
            "{KEY}: the private key is encrypted, which is not supported: decrypt it with `openssl pkey -in KEY.pem \
             -out DECRYPTED.pem`"
        ))),
        false => PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| invalid(format!("{KEY}: {}", no_pem(&error, "private key")))),
    }?;
    builder.with_client_auth_cert(chain, key).map_err(|error| {
        invalid(format!(
            "tls.certificates and tls.key (ssl.keystore): key and certificate do not match: {error}"
        ))
    })
}

fn roots(roots: &TlsRoots, material: &Material) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    match roots {
        TlsRoots::Pem(_) => {
            for pem in &material.authorities {
                for certificate in certificates(pem, AUTHORITIES)? {
                    store.add(certificate).map_err(|error| {
                        invalid(format!("{AUTHORITIES}: a certificate cannot be used: {error}"))
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
        "tls.roots: cannot load the platform's root certificates ({why}): name them with SSL_CERT_FILE, or set \
         tls.ca, or use the feature tls-webpki-roots"
    )))
}

/// Validation refuses to get here.
#[cfg(not(feature = "tls-platform-roots"))]
fn add_platform(_: &mut RootCertStore) -> Result<()> {
    Ok(())
}

fn certificates(pem: &[u8], setting: &str) -> Result<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let error = match read {
        Ok(found) if !found.is_empty() => return Ok(found),
        Ok(_) => pem::Error::NoItemsFound,
        Err(error) => error,
    };
    Err(invalid(format!("{setting}: {}", no_pem(&error, "certificate"))))
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
