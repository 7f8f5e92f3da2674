//! What an identity server answers (RFC 6749 §5), in words where it is not a token.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use zeroize::Zeroizing;

use super::NoToken;
use crate::config::Secret;
use crate::error::{ErrorKind, printable};
use crate::http::{Response, date};

/// The token of a successful answer, and how long it lasts from now.
pub(super) fn read(response: &Response, now: SystemTime) -> Result<(Secret, Duration), NoToken> {
    let unusable = |why: &str| NoToken::new(ErrorKind::Unreachable, why);
    let answer = json(response).ok_or_else(|| not_json(response))?;
    let token = match &answer["access_token"] {
        Value::String(token) if !token.is_empty() => Secret::from(token.as_str()),
        _ => match said(&answer) {
            Some(said) => return Err(NoToken::new(ErrorKind::Authentication, said)),
            None => {
                return Err(unusable(
                    "its answer has no access_token: is the URL that of its token endpoint?",
                ));
            }
        },
    };
    if !token.expose().bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
        return Err(unusable("its access_token has characters that no token may have"));
    }
    let claims = claims(token.expose());
    let claim = |name: &str| claims.as_ref().and_then(|claims| seconds(&claims[name]));
    let server_now = date_of(response).unwrap_or(now);
    let unix = unix(server_now);
    if let Some(expired) = claim("exp").map(|exp| unix - exp).filter(|ago| *ago >= 0.0) {
        let clocks = match skew(response, now) {
            Some(skew) => format!("; {skew}"),
            None if date_of(response).is_some() => String::new(),
            None => " by the clock of this machine: is it right?".to_owned(),
        };
        return Err(unusable(&format!("its token expired {expired:.0} s ago{clocks}")));
    }
    // Lifetimes do not depend on whether clocks agree, points in time do.
    let span = match (claim("exp"), claim("iat")) {
        (Some(exp), Some(iat)) if exp > iat => Some((exp - iat).min(exp - unix)),
        (Some(exp), _) => Some(exp - unix),
        _ => None,
    };
    let lifetime = match (seconds(&answer["expires_in"]), span) {
        (Some(stated), Some(span)) => stated.min(span),
        (Some(lifetime), None) | (None, Some(lifetime)) => lifetime,
        (None, None) => {
            return Err(unusable(
                "its answer does not say how long the token lasts: there is no expires_in, and the token is not a JWT with \
                 exp",
            ));
        }
    };
    match Duration::try_from_secs_f64(lifetime) {
        Ok(lifetime) if !lifetime.is_zero() => Ok((token, lifetime)),
        _ => Err(unusable("its token has expired already: expires_in is not positive")),
    }
}

/// What a status other than success means.
pub(super) fn refused(response: &Response, now: SystemTime) -> NoToken {
    let status = response.status;
    let said = json(response).as_ref().and_then(said);
    let kind = match status {
        // Busy, or on its way back: it passes.
        408 | 425 | 429 | 500.. => ErrorKind::Unreachable,
        300..=399 | 404 | 405 | 410 => ErrorKind::InvalidConfig,
        _ => ErrorKind::Authentication,
    };
    let remedy = match status {
        300..=399 => {
            let to = response.header("location").map(|to| to.split(['?', '#']).next().unwrap_or_default());
            let to = to.map(|to| format!(" to {}", printable(to))).unwrap_or_default();
            format!("it redirects{to}: set the URL that it redirects to")
        }
        404 | 405 | 410 => "is the URL that of its token endpoint?".to_owned(),
        _ if kind == ErrorKind::Unreachable => String::new(),
        _ => "check client id, secret or assertion, and scope".to_owned(),
    };
    let mut why = match said {
        Some(said) => format!("{said} (HTTP status {status})"),
        None => format!("it answers with HTTP status {status}"),
    };
    // A wrong clock is the usual reason why an assertion is refused.
    for more in [Some(remedy).filter(|remedy| !remedy.is_empty()), skew(response, now)].into_iter().flatten()
    {
        why.push_str("; ");
        why.push_str(&more);
    }
    NoToken { kind, why }
}

/// The server's own message (RFC 6749 §5.2).
fn said(answer: &Value) -> Option<String> {
    let error = printable(answer["error"].as_str()?);
    Some(match answer["error_description"].as_str().filter(|text| !text.trim().is_empty()) {
        Some(description) => format!("it refuses with {error}: {}", printable(description.trim())),
        None => format!("it refuses with {error}"),
    })
}

fn json(response: &Response) -> Option<Value> {
    serde_json::from_slice::<Value>(&response.body).ok().filter(Value::is_object)
}

fn not_json(response: &Response) -> NoToken {
    let what = match response.header("content-type").map(|kind| kind.split(';').next().unwrap_or_default()) {
        Some("text/html") => "an HTML page".to_owned(),
        Some(kind) => printable(kind),
        None => "something else".to_owned(),
    };
    NoToken::new(
        ErrorKind::Unreachable,
        format!("it answers with {what}, not with JSON: is the URL that of its token endpoint?"),
    )
}

/// The claims of a JSON web token; other tokens are opaque.
fn claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let payload = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?);
    serde_json::from_slice(&payload).ok()
}

/// A number of seconds; some servers put it into quotes.
fn seconds(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    number.filter(|number| number.is_finite())
}

fn unix(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn date_of(response: &Response) -> Option<SystemTime> {
    date::parse(response.header("date")?)
}

fn skew(response: &Response, now: SystemTime) -> Option<String> {
    let (difference, ahead) = date::skew(date_of(response)?, now)?;
    let side = if ahead { "ahead of" } else { "behind" };
    Some(format!("the clock of this machine is {} s {side} the server's", difference.as_secs()))
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderMap, HeaderValue};

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
    }

    fn response(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Response {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        Response { status, headers: map, body: Zeroizing::new(body.as_bytes().to_vec()) }
    }

    fn jwt(claims: &str) -> String {
        format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims))
    }

    fn lifetime(headers: &[(&'static str, &'static str)], body: &str) -> Result<u64, String> {
        let read = read(&response(200, headers, body), now());
        read.map(|(_, lifetime)| lifetime.as_secs()).map_err(|error| error.why)
    }

    #[test]
    fn a_token_lasts_as_long_as_the_server_says() {
        let token = |exp: u64, iat: u64| jwt(&format!(r#"{{"exp":{exp},"iat":{iat}}}"#));
        for (body, seconds) in [
            (r#"{"access_token":"opaque","expires_in":300}"#.to_owned(), 300),
            (r#"{"access_token":"opaque","expires_in":"300"}"#.to_owned(), 300),
            (format!(r#"{{"access_token":"{}","expires_in":300}}"#, token(NOW + 60, NOW)), 60),
            (format!(r#"{{"access_token":"{}"}}"#, token(NOW + 60, NOW)), 60),
            (format!(r#"{{"access_token":"{}"}}"#, jwt(&format!(r#"{{"exp":{}}}"#, NOW + 60))), 60),
        ] {
            assert_eq!(lifetime(&[], &body), Ok(seconds), "{body}");
        }
        // By the server's clock it lasts, whatever ours says: 2027-01-15 07:00 against 08:00.
        let early = format!(r#"{{"access_token":"{}"}}"#, token(NOW - 3_540, NOW - 3_600));
        assert_eq!(lifetime(&[("date", "Fri, 15 Jan 2027 07:00:00 GMT")], &early), Ok(60));
    }

    #[test]
    fn an_answer_that_is_of_no_use_is_explained_without_the_token() {
        let expired = format!(r#"{{"access_token":"{}"}}"#, jwt(&format!(r#"{{"exp":{}}}"#, NOW - 9)));
        for (headers, body, expected) in [
            (&[][..], "{}", "no access_token"),
            (&[], r#"{"access_token":""}"#, "no access_token"),
            (&[], r#"{"access_token":7,"id_token":"hunter2"}"#, "no access_token"),
            (&[], r#"{"access_token":"hunter2"}"#, "no expires_in, and the token is not a JWT"),
            (&[], r#"{"access_token":"hunter2","expires_in":0}"#, "expired already"),
            (&[], r#"{"access_token":"hunter2","expires_in":-1}"#, "expired already"),
            (&[], r#"{"access_token":"hunter2\n","expires_in":9}"#, "characters"),
            (&[], &expired, "expired 9 s ago by the clock of this machine"),
            (&[("date", "Fri, 15 Jan 2027 08:00:00 GMT")], &expired, "expired 9 s ago"),
            (&[("content-type", "text/html; charset=utf-8")], "<html>hunter2", "an HTML page, not with JSON"),
            (&[], "\"hunter2\"", "something else, not with JSON"),
            (&[], r#"{"error":"invalid_scope"}"#, "it refuses with invalid_scope"),
        ] {
            let why = lifetime(headers, body).unwrap_err();
            assert!(why.contains(expected), "{body}: {why}");
            assert!(!why.contains("hunter2") && !why.contains('\n'), "{why}");
        }
    }

    #[test]
    fn a_refusal_has_the_servers_words_and_says_whether_to_try_again() {
        let long = format!(r#"{{"error":"x","error_description":"{}"}}"#, "y".repeat(10_000));
        use ErrorKind::{Authentication, InvalidConfig, Unreachable};
        for (status, headers, body, kind, expected) in [
            (
                401,
                &[][..],
                r#"{"error":"invalid_client","error_description":"no \u001b[31msuch\n client"}"#,
                Authentication,
                r"it refuses with invalid_client: no \u{1b}[31msuch\n client (HTTP status 401); check client id",
            ),
            (400, &[], r#"{"error":"invalid_scope"}"#, Authentication, "invalid_scope (HTTP status 400)"),
            (403, &[], "<html>", Authentication, "it answers with HTTP status 403; check"),
            (404, &[], "", InvalidConfig, "is the URL that of its token endpoint?"),
            (
                302,
                &[("location", "https://b/?code=hunter2")],
                "",
                InvalidConfig,
                "redirects to https://b/: set",
            ),
            (429, &[], "", Unreachable, "it answers with HTTP status 429"),
            (503, &[], "<html>", Unreachable, "it answers with HTTP status 503"),
            (400, &[], &long, Authentication, "yyy…"),
            (
                401,
                &[("date", "Fri, 15 Jan 2027 07:00:00 GMT")],
                "",
                Authentication,
                "the clock of this machine is 3600 s ahead of the server's",
            ),
            (
                401,
                &[("date", "Fri, 15 Jan 2027 08:02:00 GMT")],
                "",
                Authentication,
                "the clock of this machine is 120 s behind the server's",
            ),
        ] {
            let refused = refused(&response(status, headers, body), now());
            assert_eq!(refused.kind, kind, "{refused:?}");
            assert!(refused.why.contains(expected), "{}", refused.why);
            assert!(refused.why.len() < 500 && !refused.why.contains("hunter2"), "{}", refused.why);
        }
    }
}
