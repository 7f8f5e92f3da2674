//! Makes a client's assertion: a JSON web token (RFC 7519, RFC 7523) with a signature (RFC 7515, RFC 7518).

use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustls::SignatureScheme;
use serde_json::{Map, Value, json};

use super::NoToken;
use crate::config::oidc::{ClientAssertion, Origin, Signed};
use crate::config::tls::signing::signing_key;
use crate::config::{Secret, TlsConfig};
use crate::error::{Error, ErrorKind, printable};

/// Longest file that is read.
const LONGEST: u64 = 64 << 10;

/// The assertion for a request at `now`.
pub(super) fn make(assertion: &ClientAssertion, tls: &TlsConfig, now: SystemTime) -> Result<Secret, NoToken> {
    match &assertion.origin {
        Origin::File(path) => from_file(path),
        Origin::Signed(signed) => sign(signed, tls, now),
    }
}

fn invalid(why: impl Into<String>) -> NoToken {
    NoToken::new(ErrorKind::InvalidConfig, why)
}

/// Files are small and local.
fn from_file(path: &Path) -> Result<Secret, NoToken> {
    let shown = printable(&path.display().to_string());
    let refused = |why: &str| {
        // Something else writes it, and may be about to.
        let text = format!("sasl.oidc.assertion_file (sasl.oauthbearer.assertion.file): {shown} {why}");
        NoToken::new(ErrorKind::Unreachable, text)
    };
    let length = std::fs::metadata(path).map_err(|error| refused(&format!("cannot be read: {error}")))?.len();
    if length > LONGEST {
        return Err(refused("is too large for a token"));
    }
    let text = std::fs::read_to_string(path).map(Secret::from);
    let text = text.map_err(|error| refused(&format!("cannot be read: {error}")))?;
    let token = text.expose().trim();
    match !token.is_empty() && token.bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
        true => Ok(Secret::from(token)),
        false => Err(refused("does not hold a token")),
    }
}

fn sign(signed: &Signed, tls: &TlsConfig, now: SystemTime) -> Result<Secret, NoToken> {
    let key = signing_key(tls, &signed.key, signed.key_password.as_ref())
        .map_err(|error: Error| invalid(error.to_string()))?;
    let offered = [SignatureScheme::RSA_PKCS1_SHA256, SignatureScheme::ECDSA_NISTP256_SHA256];
    let signer = key.choose_scheme(&offered).ok_or_else(|| {
        invalid(
            "sasl.oidc.assertion_key (sasl.oauthbearer.assertion.private.key.file): the key signs neither RS256 nor ES256: \
             create one of RSA, or on P-256",
        )
    })?;
    let algorithm = match signer.scheme() {
        SignatureScheme::RSA_PKCS1_SHA256 => "RS256",
        _ => "ES256",
    };
    let mut header = json!({"alg": algorithm, "typ": "JWT"});
    if let Some(id) = &signed.key_id {
        header["kid"] = json!(id);
    }
    let encode = |json: Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let message = format!("{}.{}", encode(header), encode(Value::Object(claims(signed, now)?)));
    let signature =
        signer.sign(message.as_bytes()).map_err(|error| invalid(format!("cannot sign: {error}")))?;
    let signature = match algorithm {
        "RS256" => signature,
        _ => raw(&signature).ok_or_else(|| invalid("cannot sign: the signature is not one of P-256"))?,
    };
    Ok(Secret::from(format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))))
}

fn claims(signed: &Signed, now: SystemTime) -> Result<Map<String, Value>, NoToken> {
    let unix = |time: Option<SystemTime>| {
        let since = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        json!(since.unwrap_or_default().as_secs())
    };
    let mut claims = Map::new();
    for (name, value) in [("iss", &signed.issuer), ("sub", &signed.subject), ("aud", &signed.audience)] {
        if let Some(value) = value {
            claims.insert(name.to_owned(), json!(value));
        }
    }
    // A year, so that no setting overflows.
    let longest = Duration::from_secs(365 * 86_400);
    claims.insert("iat".into(), unix(Some(now)));
    claims.insert("exp".into(), unix(now.checked_add(signed.expires_after.min(longest))));
    claims.insert("nbf".into(), unix(now.checked_sub(signed.valid_before.min(longest))));
    if signed.unique_id {
        let mut id = [0; 16];
        getrandom::getrandom(&mut id).map_err(|error| invalid(format!("no random numbers: {error}")))?;
        claims.insert("jti".into(), json!(BASE64_URL_SAFE_NO_PAD.encode(id)));
    }
    Ok(claims)
}

/// Two numbers of 32 bytes, as RFC 7518 §3.4 wants them, from the ASN.1 of a signature on P-256.
fn raw(der: &[u8]) -> Option<Vec<u8>> {
    let [0x30, length, rest @ ..] = der else { return None };
    let mut rest =
        rest.get(..usize::from(*length)).filter(|rest| *length < 0x80 && der.len() == rest.len() + 2)?;
    let mut numbers = Vec::with_capacity(64);
    for _ in 0..2 {
        let [2, length, after @ ..] = rest else { return None };
        let (number, after) = after.split_at_checked(usize::from(*length))?;
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        let missing = 32_usize.checked_sub(number.len())?;
        numbers.resize(numbers.len() + missing, 0);
        numbers.extend_from_slice(number);
        rest = after;
    }
    rest.is_empty().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_two_numbers_of_32_bytes() {
        let number = |bytes: &[u8]| [&[2, bytes.len() as u8], bytes].concat();
        let der = |r: &[u8], s: &[u8]| {
            let both = [number(r), number(s)].concat();
            [&[0x30, both.len() as u8], &both[..]].concat()
        };
        let large = [&[0], &[0xff; 32][..]].concat();
        assert_eq!(raw(&der(&large, &[7])).unwrap(), [&[0xff; 32][..], &[0; 31], &[7]].concat());
        assert_eq!(raw(&der(&[1; 32], &[2; 32])).unwrap(), [[1; 32], [2; 32]].concat());
        for broken in [
            &b""[..],
            &[0x30, 9, 2, 1],
            &[0x30, 0],
            &der(&[1; 33], &[1]),
            &[der(&[1], &[1]), vec![0]].concat(),
        ] {
            assert_eq!(raw(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn times_and_names_are_claims() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let assertion = ClientAssertion::signed(crate::config::Pem::text(""))
            .issuer("i")
            .subject("s")
            .audience("a")
            .unique_id(true)
            .expires_after(Duration::from_secs(60));
        let Origin::Signed(signed) = &assertion.origin else { panic!() };
        let mut claims = claims(signed, now).unwrap();
        assert_eq!(claims.remove("jti").unwrap().as_str().unwrap().len(), 22);
        let expected = json!({
            "iss": "i", "sub": "s", "aud": "a", "iat": 1_800_000_000, "exp": 1_800_000_060, "nbf": 1_799_999_940
        });
        assert_eq!(Value::Object(claims), expected);
    }

    #[test]
    fn a_file_is_read_for_each_request() {
        let path = std::env::temp_dir().join(format!("assertion-{}", std::process::id()));
        let assertion = ClientAssertion::file(&path);
        let read = || make(&assertion, &TlsConfig::default(), SystemTime::now());
        let missing = read().err().unwrap();
        assert!(
            missing.why.contains("sasl.oauthbearer.assertion.file") && missing.why.contains("cannot be read")
        );
        for token in ["a.b.c", "d.e.f"] {
            std::fs::write(&path, format!(" {token}\n")).unwrap();
            assert_eq!(read().unwrap().expose(), token);
        }
        std::fs::write(&path, "two words").unwrap();
        assert!(read().err().unwrap().why.contains("does not hold a token"));
        std::fs::remove_file(&path).unwrap();
    }
}
