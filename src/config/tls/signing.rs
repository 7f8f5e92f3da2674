//! Keys that sign statements of a client, with the cryptography of TLS.

use std::sync::Arc;

use rustls::sign::SigningKey;

use super::key::{Names, private_key};
use super::pem::{invalid, read};
use super::provider::provider;
use super::{Pem, TlsConfig};
use crate::config::Secret;
use crate::error::Result;

const NAMES: Names = Names {
    key: "sasl.oidc.assertion_key (sasl.oauthbearer.assertion.private.key.file)",
    password: "sasl.oidc.assertion_key_password (sasl.oauthbearer.assertion.private.key.passphrase)",
};

/// Reads the key of an assertion.
pub(crate) fn signing_key(
    tls: &TlsConfig,
    key: &Pem,
    password: Option<&Secret>,
) -> Result<Arc<dyn SigningKey>> {
    let provider = provider(tls).map_err(invalid)?;
    let key = private_key(&read(key, NAMES.key)?, password, NAMES)?;
    let loaded = provider.key_provider.load_private_key(key);
    loaded.map_err(|error| invalid(format!("{}: the key cannot be used: {error}", NAMES.key)))
}
