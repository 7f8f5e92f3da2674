//! From settings and files to rustls's configuration.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::{ClientConfig, RootCertStore};

use super::any_name::AnyName;
use super::key::{Names, private_key};
use super::pem::{Bytes, invalid, no_pem, read};
use super::provider::provider;
use super::{Pem, TlsConfig, TlsRoots};
use crate::error::Result;

/// What the settings and their files hold at the moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Material {
    authorities: Vec<Bytes>,
    identity: Option<(Bytes, Bytes)>,
    revocations: Vec<Bytes>,
}

/// Each setting by our name, which is the environment's too (`KAFKA_TLS_CA`), and by Kafka's.
pub(super) const AUTHORITIES: &str = "tls.ca (ssl.truststore.location)";
const AUTHORITIES_PEM: &str = "tls.ca_pem (ssl.truststore.certificates)";
const CERTIFICATES: &str = "tls.certificates (ssl.keystore.certificate.chain)";
const KEY: &str = "tls.key (ssl.keystore.key)";
const REVOCATIONS: &str = "tls.crl (ssl.crl.location)";
const KEY_NAMES: Names =
    Names { key: KEY, password: "tls.key_password (ssl.key.password, TlsConfig::key_password)" };
const IDENTITY: &str = "tls.identity (ssl.keystore.location)";

/// Which keys may be in a certificate: graviola and ring have no other curves, besides Ed25519.
pub(crate) const KEYS: &str = "RSA (2,048 bits or more), P-256 and P-384 work with every crypto provider, P-521 and brainpool curves do not";
/// How to make one of them.
pub(crate) const NEW_KEY: &str =
    "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out KEY.pem";

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
        let revocations =
            config.revocations.iter().map(|pem| read(pem, REVOCATIONS)).collect::<Result<_>>()?;
        Ok(Self { authorities, identity, revocations })
    }
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

pub(crate) fn build(config: &TlsConfig, material: &Material) -> Result<ClientConfig> {
    let provider = provider(config).map_err(invalid)?;
    let roots = Arc::new(roots(&config.roots, material)?);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
        .with_crls(revocation_lists(material)?)
        .only_check_end_entity_revocation()
        .enforce_revocation_expiration()
        .build()
        .map_err(|error| invalid(format!("{REVOCATIONS}, or the trusted roots, cannot be used: {error}")))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid(format!("tls: the crypto provider cannot be used: {error}")))?;
    let builder = match config.any_hostname {
        true => builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyName(verifier))),
        false => builder.with_webpki_verifier(verifier),
    };
    let Some((chain, key)) = &material.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(chain, CERTIFICATES)?;
    let key = private_key(key, config.key_password.as_ref(), KEY_NAMES)?;
    builder.with_client_auth_cert(chain, key).map_err(|error| {
        invalid(match error {
            rustls::Error::InconsistentKeys(_) => format!(
                "tls.certificates and tls.key (ssl.keystore): key and certificate do not match: {error}"
            ),
            _ => format!(
                "{KEY}: the private key is of a kind or curve that is not supported, or damaged ({error}). {KEYS}. Create one by \
                 `{NEW_KEY}`, and a certificate for it"
            ),
        })
    })
}

fn revocation_lists(material: &Material) -> Result<Vec<CertificateRevocationListDer<'static>>> {
    let mut lists = Vec::new();
    for pem in &material.revocations {
        let read: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(pem).collect();
        let found =
            read.map_err(|error| invalid(format!("{REVOCATIONS}: {}", no_pem(&error, "revocation list"))))?;
        if found.is_empty() {
            let text = no_pem(&pem::Error::NoItemsFound, "revocation list");
            return Err(invalid(format!("{REVOCATIONS}: {text}")));
        }
        lists.extend(found);
    }
    Ok(lists)
}

fn roots(roots: &TlsRoots, material: &Material) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    match roots {
        TlsRoots::Pem(_) => {
            for pem in &material.authorities {
                add(&mut store, pem, AUTHORITIES)?;
            }
        }
        TlsRoots::Webpki => add_webpki(&mut store),
        TlsRoots::Platform => add_platform(&mut store)?,
        TlsRoots::Default if cfg!(feature = "tls-platform-roots") => add_platform(&mut store)?,
        TlsRoots::Default => add_webpki(&mut store),
    }
    Ok(store)
}

pub(super) fn add(store: &mut RootCertStore, pem: &[u8], setting: &str) -> Result<()> {
    for certificate in certificates(pem, setting)? {
        let added = store.add(certificate);
        added.map_err(|error| invalid(format!("{setting}: a certificate cannot be used: {error}")))?;
    }
    Ok(())
}

#[cfg(feature = "tls-webpki-roots")]
pub(super) fn add_webpki(store: &mut RootCertStore) {
    store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
}

/// Validation refuses to get here.
#[cfg(not(feature = "tls-webpki-roots"))]
pub(super) fn add_webpki(_: &mut RootCertStore) {}

#[cfg(feature = "tls-platform-roots")]
pub(super) fn add_platform(store: &mut RootCertStore) -> Result<()> {
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
pub(super) fn add_platform(_: &mut RootCertStore) -> Result<()> {
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
