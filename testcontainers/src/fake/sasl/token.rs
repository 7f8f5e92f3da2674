//! OAUTHBEARER's message (RFC 7628), and a token without signature in it.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// Who the token is for, and how long it still lasts; `None` if it is none, or expired.
pub(super) fn read(message: &[u8], now: SystemTime) -> Option<(String, Duration)> {
    let message = std::str::from_utf8(message).ok()?;
    let (header, pairs) = message.split_once('\x01')?;
    if !header.starts_with("n,") {
        return None;
    }
    let token = pairs.split('\x01').find_map(|pair| pair.strip_prefix("auth="))?;
    let token = token.strip_prefix("Bearer ")?;
    let mut parts = token.split('.');
    let mut json =
        || -> Option<Value> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts.next()?).ok()?).ok() };
    let (header, claims) = (json()?, json()?);
    // A signature would not be looked at, so there may be none.
    if header["alg"] != "none" || parts.next() != Some("") {
        return None;
    }
    let expires = SystemTime::UNIX_EPOCH + Duration::try_from_secs_f64(claims["exp"].as_f64()?).ok()?;
    let left = expires.duration_since(now).ok().filter(|left| !left.is_zero())?;
    Some((claims["sub"].as_str()?.to_owned(), left))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unsecured_token_at;

    #[test]
    fn a_token_counts_until_it_expires() {
        let issued = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let token = unsecured_token_at(r#"a "quoted" name"#, issued, Duration::from_secs(10));
        let message = format!("n,,\x01auth=Bearer {token}\x01\x01");
        let read = |after| read(message.as_bytes(), issued + Duration::from_secs(after));
        assert_eq!(read(4), Some((r#"a "quoted" name"#.to_owned(), Duration::from_secs(6))));
        assert_eq!(read(10), None);
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for message in ["", "n,,\x01auth=Bearer x\x01\x01", "n,,\x01auth=Basic a.b.\x01\x01", "nonsense"] {
            assert_eq!(read(message.as_bytes(), SystemTime::UNIX_EPOCH), None, "{message}");
        }
    }
}
