//! Whose certificates are accepted from the servers that issue credentials.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use super::client_config::{add, add_platform, add_webpki};
use super::pem::{invalid, read};
use super::provider::provider;
use super::{Pem, TlsConfig, TlsRoots};
use crate::error::Result;

/// The authorities for `https`: those set for it alone, or else those of the platform (or Mozilla's) and the ones that are
/// trusted with brokers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    own: Vec<Pem>,
    brokers: Option<TlsConfig>,
    setting: &'static str,
}

impl Trust {
    /// `setting` names where `own` comes from, for errors; `brokers` is how brokers are reached.
    pub(crate) fn new(own: Vec<Pem>, brokers: Option<TlsConfig>, setting: &'static str) -> Self {
        Self { own, brokers, setting }
    }

    pub(crate) fn setting(&self) -> &'static str {
        self.setting
    }
}

/// Reads the files anew.
pub(crate) fn client_config(trust: &Trust) -> Result<ClientConfig> {
    let default = TlsConfig::default();
    let brokers = trust.brokers.as_ref().unwrap_or(&default);
    if let (true, Some(given)) = (trust.own.is_empty(), &brokers.client_config) {
        let mut config = ClientConfig::clone(given);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        return Ok(config);
    }
    let provider = provider(brokers).map_err(invalid)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid(format!("tls: the crypto provider cannot be used: {error}")))?
        .with_root_certificates(Arc::new(roots(trust, &brokers.roots)?))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(trust: &Trust, brokers: &TlsRoots) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    if !trust.own.is_empty() {
        for pem in &trust.own {
            add(&mut store, &read(pem, trust.setting)?, trust.setting)?;
        }
        return Ok(store);
    }
    if let TlsRoots::Pem(pems) = brokers {
        for pem in pems {
            add(
                &mut store,
                &read(pem, super::client_config::AUTHORITIES)?,
                super::client_config::AUTHORITIES,
            )?;
        }
    }
    let platform = match brokers {
        TlsRoots::Webpki => false,
        TlsRoots::Platform => true,
        _ => cfg!(feature = "tls-platform-roots"),
    };
    match platform {
        false => add_webpki(&mut store),
        true => match add_platform(&mut store) {
            Err(error) if store.is_empty() => return Err(error),
            _ => {}
        },
    }
    match store.is_empty() {
        true => Err(invalid(format!(
            "no authority is trusted with https: set {}, or enable the feature tls-platform-roots or tls-webpki-roots of \
             rskafka-producer",
            trust.setting
        ))),
        false => Ok(store),
    }
}
