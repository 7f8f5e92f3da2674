//! Credentials as the local endpoints and `credential_process` answer: a JSON object.

use serde_json::Value;

use super::problem::Problem;
use super::time;
use crate::config::{AwsCredentials, Secret};
use crate::error::printable;

/// Reads `AccessKeyId`, `SecretAccessKey`, `Expiration`, and the session token under this name. Problems say nothing of
/// the text, which may hold secrets.
pub(super) fn credentials(text: &[u8], token_name: &str, from: &str) -> Result<AwsCredentials, Problem> {
    let mut answer = object(text, from)?;
    let mut take = |name: &str| match answer.get_mut(name).map(Value::take) {
        Some(Value::String(text)) if !text.is_empty() => Some(Secret::from(text)),
        _ => None,
    };
    let missing = |name: &str| Problem::new(format!("{from} answers without {name}"));
    let id = take("AccessKeyId").ok_or_else(|| missing("AccessKeyId"))?;
    let secret = take("SecretAccessKey").ok_or_else(|| missing("SecretAccessKey"))?;
    let mut credentials = AwsCredentials::new(id.expose(), secret);
    credentials.session_token = take(token_name);
    if let Some(end) = take("Expiration") {
        credentials.expires_at = Some(expiration(end.expose(), from)?);
    }
    Ok(credentials)
}

pub(super) fn object(text: &[u8], from: &str) -> Result<Value, Problem> {
    let value = serde_json::from_slice(text).ok().filter(Value::is_object);
    value.ok_or_else(|| Problem::new(format!("{from} does not answer with a JSON object")))
}

pub(super) fn expiration(text: &str, from: &str) -> Result<std::time::SystemTime, Problem> {
    time::parse(text).ok_or_else(|| {
        Problem::new(format!("{from} answers with an Expiration that is not a time: {}", printable(text)))
    })
}

/// What an endpoint says of a failure: `code` and `message`, whatever their case.
pub(super) fn failure(text: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(text).ok()?;
    let find = |name: &str| {
        let found = value.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| value.as_str()).map(printable)
    };
    match (find("code"), find("message")) {
        (None, None) => None,
        (code, message) => Some(code.into_iter().chain(message).collect::<Vec<_>>().join(": ")),
    }
}
