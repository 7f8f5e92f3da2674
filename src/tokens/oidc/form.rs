//! What is sent: a form, and a login in a header.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use crate::config::oidc::Proof;
use crate::config::{Oidc, Secret};

const CLIENT_CREDENTIALS: &str = "client_credentials";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The header `Authorization` (RFC 7617, RFC 6749 §2.3.1).
pub(super) fn basic(id: &str, secret: &Secret, encode: bool) -> Zeroizing<String> {
    let part = |text: &str| match encode {
        true => encoded(text),
        false => text.to_owned(),
    };
    let plain = Zeroizing::new(format!("{}:{}", part(id), *Zeroizing::new(part(secret.expose()))));
    let mut header = Zeroizing::new("Basic ".to_owned());
    BASE64_STANDARD.encode_string(plain.as_bytes(), &mut header);
    header
}

/// The form (RFC 6749 §4.4.2, RFC 7523 §2).
pub(super) fn body(oidc: &Oidc, assertion: Option<&Secret>) -> String {
    let mut fields = Vec::new();
    match (&oidc.proof, assertion) {
        (Proof::JwtBearer(_), Some(assertion)) => {
            fields.extend([("grant_type", JWT_BEARER), ("assertion", assertion.expose())]);
        }
        (_, Some(assertion)) => fields.extend([
            ("grant_type", CLIENT_CREDENTIALS),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", assertion.expose()),
        ]),
        (_, None) => fields.push(("grant_type", CLIENT_CREDENTIALS)),
    }
    if let (Some(id), Some(_)) = (&oidc.client_id, assertion) {
        fields.push(("client_id", id));
    }
    if let Some(scope) = oidc.scope.as_deref().map(str::trim).filter(|scope| !scope.is_empty()) {
        fields.push(("scope", scope));
    }
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    fields.join("&")
}

/// As HTML's forms encode text.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                encoded.push(char::from(byte));
            }
            b' ' => encoded.push('+'),
            // Writing to a string cannot fail.
            _ => _ = write!(encoded, "%{byte:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClientAssertion;

    #[test]
    fn a_login_is_encoded_only_where_the_server_wants_it() {
        let decoded = |encode| {
            let header = basic("a b", &"s+/é".into(), encode);
            String::from_utf8(BASE64_STANDARD.decode(&header["Basic ".len()..]).unwrap()).unwrap()
        };
        assert_eq!(decoded(false), "a b:s+/é");
        assert_eq!(decoded(true), "a+b:s%2B%2F%C3%A9");
    }

    #[test]
    fn each_grant_has_its_form() {
        let file = || ClientAssertion::file("/a");
        let signed = Some(Secret::from("h.p.s"));
        for (oidc, assertion, expected) in [
            (Oidc::client_credentials("u", "id", "s"), None, "grant_type=client_credentials"),
            (
                Oidc::client_credentials("u", "id", "s").scope(" api://x/.default a "),
                None,
                "grant_type=client_credentials&scope=api%3A%2F%2Fx%2F.default+a",
            ),
            (
                Oidc::client_assertion("u", file()).client_id("id"),
                signed.as_ref(),
                "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3A\
                 client-assertion-type%3Ajwt-bearer&client_assertion=h.p.s&client_id=id",
            ),
            (
                Oidc::jwt_bearer("u", file()),
                signed.as_ref(),
                "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=h.p.s",
            ),
        ] {
            assert_eq!(body(&oidc, assertion), expected);
        }
    }
}
