//! AWS Signature Version 4: what a request is reduced to, and the key that signs it.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::time;
use crate::config::AwsCredentials;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What signs requests: credentials, for a service in a region, at a time.
pub(super) struct Signer<'a> {
    pub(super) credentials: &'a AwsCredentials,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) at: SystemTime,
}

/// The parts of a request that are signed, apart from its query.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// As it is sent: percent-encoded.
    pub(super) path: &'a str,
    /// Names in lower case, sorted; `host` is among them.
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: &'a [u8],
}

impl Signer<'_> {
    /// The query of a presigned URL: `query`, what says who signs and for how long, and the signature.
    pub(super) fn presign(
        &self,
        request: &Request<'_>,
        query: &[(&str, &str)],
        expires: Duration,
    ) -> Zeroizing<String> {
        let (credential, date) = (self.credential(), time::basic(self.at));
        let (expires, signed) = (expires.as_secs().to_string(), request.signed_headers());
        let mut all = query.to_vec();
        all.extend([
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", &date),
            ("X-Amz-Expires", &expires),
            ("X-Amz-SignedHeaders", &signed),
        ]);
        if let Some(token) = &self.credentials.session_token {
            all.push(("X-Amz-Security-Token", token.expose()));
        }
        let mut query = canonical_query(&all);
        let signature = self.signature(&request.canonical(&query));
        query.push_str("&X-Amz-Signature=");
        query.push_str(&signature);
        query
    }

    /// The value of the header `Authorization`. The request's headers have to hold `x-amz-date`, and
    /// `x-amz-security-token` where the credentials have one.
    pub(super) fn authorization(&self, request: &Request<'_>, query: &[(&str, &str)]) -> String {
        let signature = self.signature(&request.canonical(&canonical_query(query)));
        let (credential, signed) = (self.credential(), request.signed_headers());
        format!("{ALGORITHM} Credential={credential}, SignedHeaders={signed}, Signature={signature}")
    }

    fn credential(&self) -> String {
        format!("{}/{}", self.credentials.access_key_id, self.scope())
    }

    fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", time::basic_date(self.at), self.region, self.service)
    }

    fn signature(&self, canonical: &str) -> String {
        let hash = hex(&Sha256::digest(canonical));
        let text = format!("{ALGORITHM}\n{}\n{}\n{hash}", time::basic(self.at), self.scope());
        let secret = Zeroizing::new(format!("AWS4{}", self.credentials.secret_access_key.expose()));
        let mut key = Zeroizing::new(mac(secret.as_bytes(), &time::basic_date(self.at)));
        for part in [self.region, self.service, "aws4_request"] {
            key = Zeroizing::new(mac(&*key, part));
        }
        hex(&mac(&*key, &text))
    }
}

impl Request<'_> {
    fn signed_headers(&self) -> String {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| *name).collect();
        names.join(";")
    }

    fn canonical(&self, query: &str) -> Zeroizing<String> {
        let mut text = Zeroizing::new(format!("{}\n{}\n{query}\n", self.method, self.path));
        // Writing to a string cannot fail.
        for (name, value) in self.headers {
            _ = writeln!(text, "{name}:{}", value.trim());
        }
        _ = write!(text, "\n{}\n{}", self.signed_headers(), hex(&Sha256::digest(self.body)));
        text
    }
}

fn canonical_query(query: &[(&str, &str)]) -> Zeroizing<String> {
    let mut encoded: Vec<_> =
        query.iter().map(|(name, value)| (encode(name), Zeroizing::new(encode(value)))).collect();
    encoded.sort_by(|(a, x), (b, y)| (a, x.as_str()).cmp(&(b, y.as_str())));
    let mut text = Zeroizing::new(String::new());
    for (name, value) in &encoded {
        if !text.is_empty() {
            text.push('&');
        }
        // Writing to a string cannot fail.
        _ = write!(text, "{name}={}", value.as_str());
    }
    text
}

/// Percent-encodes all but RFC 3986's unreserved characters.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + text.len() / 2);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            // Writing to a string cannot fail.
            _ => _ = write!(encoded, "%{byte:02X}"),
        }
    }
    encoded
}

fn mac(key: &[u8], text: &str) -> [u8; 32] {
    // A key of any length will do.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
