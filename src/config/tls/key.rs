//! Private keys, encrypted or not.

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use super::pem::{invalid, no_pem, section};
use crate::config::Secret;
use crate::error::Result;

const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
/// In the second line of a key that is encrypted in OpenSSL's former way.
const PROC_TYPE: &[u8] = b"Proc-Type: 4,ENCRYPTED";

/// What a key and its password are called in settings.
#[derive(Clone, Copy)]
pub(super) struct Names {
    pub(super) key: &'static str,
    pub(super) password: &'static str,
}

/// The first key of a PEM file. Errors start with the name of its setting.
pub(super) fn private_key(
    pem: &[u8],
    password: Option<&Secret>,
    names: Names,
) -> Result<PrivateKeyDer<'static>> {
    let refused = |text: String| invalid(format!("{}: {text}", names.key));
    if let Some(encrypted) = section(pem, ENCRYPTED) {
        return decrypted(&encrypted, password, names.password).map_err(refused);
    }
    if pem.windows(PROC_TYPE.len()).any(|part| part == PROC_TYPE) {
        return Err(refused(
            "the private key is encrypted in a way that is not supported (Proc-Type): convert it to PKCS#8 by `openssl \
             pkcs8 -topk8 -in KEY.pem -out NEW.pem`, or decrypt it by `openssl pkey -in KEY.pem -out NEW.pem`"
                .into(),
        ));
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| refused(no_pem(&error, "private key")))
}

#[cfg(feature = "tls-encrypted-keys")]
fn decrypted(
    encrypted: &[u8],
    password: Option<&Secret>,
    setting: &str,
) -> Result<PrivateKeyDer<'static>, String> {
    use pkcs8::pkcs5;
    use rustls::pki_types::PrivatePkcs8KeyDer;

    let Some(password) = password.filter(|password| !password.is_empty()) else {
        return Err(format!(
            "the private key is encrypted: set its password by {setting}, or decrypt it by `openssl pkey -in KEY.pem -out \
             DECRYPTED.pem`"
        ));
    };
    let unsupported = || {
        "the private key is encrypted with an algorithm that is not supported, or damaged; AES with PBKDF2 or scrypt is: \
         encrypt it so by `openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256 -in KEY.pem -out NEW.pem`"
            .to_owned()
    };
    let key = pkcs8::EncryptedPrivateKeyInfo::try_from(encrypted).map_err(|_| unsupported())?;
    let decrypted = key.decrypt(password.expose().trim_end_matches(['\r', '\n']));
    let decrypted = decrypted.map_err(|error| match error {
        pkcs8::Error::EncryptedPrivateKey(
            pkcs5::Error::UnsupportedAlgorithm { .. } | pkcs5::Error::AlgorithmParametersInvalid { .. },
        ) => unsupported(),
        // Bytes that are not padded, or are not a key.
        _ => format!("the private key cannot be decrypted: is {setting} right?"),
    })?;
    Ok(PrivatePkcs8KeyDer::from(decrypted.as_bytes().to_vec()).into())
}

#[cfg(not(feature = "tls-encrypted-keys"))]
fn decrypted(_: &[u8], _: Option<&Secret>, setting: &str) -> Result<PrivateKeyDer<'static>, String> {
    Err(format!(
        "the private key is encrypted: enable the feature tls-encrypted-keys of rskafka-producer and set {setting}, or \
         decrypt it by `openssl pkey -in KEY.pem -out DECRYPTED.pem`"
    ))
}
