//! SaslHandshake and SaslAuthenticate.

use std::io;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use tokio::time::Instant;

use super::{Outcome, get, put, text};
use crate::fake::sasl::{Admission, Sasl, Session, Verdict};
use crate::fake::state::Shared;

const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
pub(in crate::fake) const ILLEGAL_SASL_STATE: i16 = 34;
const SASL_AUTHENTICATION_FAILED: i16 = 58;

/// Writes the answer. `false` if the connection has to close behind it.
pub(in crate::fake) async fn handle(
    shared: &Shared,
    session: Option<&mut Session>,
    api: ApiKey,
    version: i16,
    body: Bytes,
    outcome: &Outcome,
    out: &mut BytesMut,
) -> io::Result<bool> {
    let sasl = shared.lock().sasl.clone();
    match (session.zip(sasl), api) {
        (Some((session, sasl)), ApiKey::SaslHandshake) => {
            handshake(shared, session, &sasl, version, body, outcome, out)
        }
        (Some((session, sasl)), _) => authenticate(shared, session, &sasl, version, body, outcome, out).await,
        // A listener without SASL.
        (None, ApiKey::SaslHandshake) => put_handshake(ILLEGAL_SASL_STATE, None, version, out),
        (None, _) => put_illegal(version, out),
    }
}

fn handshake(
    shared: &Shared,
    session: &mut Session,
    sasl: &Sasl,
    version: i16,
    body: Bytes,
    outcome: &Outcome,
    out: &mut BytesMut,
) -> io::Result<bool> {
    let request: SaslHandshakeRequest = get(body, version)?;
    match session.admits_handshake(Instant::now()) {
        Admission::Closed => return Err(io::ErrorKind::ConnectionAborted.into()),
        Admission::Illegal => return put_handshake(ILLEGAL_SASL_STATE, None, version, out),
        Admission::Welcome => {}
    }
    let chosen = session.choose(&request.mechanism, sasl);
    {
        let counts = &mut shared.lock().authentications;
        counts.attempts += 1;
        counts.repeated += u64::from(session.is_repeated());
        counts.failed += u64::from(!chosen);
    }
    let code = if chosen { outcome.code() } else { UNSUPPORTED_SASL_MECHANISM };
    put_handshake(code, Some(sasl), version, out)?;
    Ok(chosen)
}

fn put_handshake(code: i16, sasl: Option<&Sasl>, version: i16, out: &mut BytesMut) -> io::Result<bool> {
    let names = sasl.into_iter().flat_map(Sasl::mechanisms).map(|mechanism| text(mechanism.name()));
    let answer = SaslHandshakeResponse::default().with_error_code(code).with_mechanisms(names.collect());
    put(&answer, version, out)?;
    Ok(true)
}

async fn authenticate(
    shared: &Shared,
    session: &mut Session,
    sasl: &Sasl,
    version: i16,
    body: Bytes,
    outcome: &Outcome,
    out: &mut BytesMut,
) -> io::Result<bool> {
    let request: SaslAuthenticateRequest = get(body, version)?;
    match session.admits_authenticate() {
        Admission::Closed => return Err(io::ErrorKind::ConnectionAborted.into()),
        Admission::Illegal => return put_illegal(version, out),
        Admission::Welcome => {}
    }
    let nonce = format!("fake{}", shared.lock().authentications.attempts);
    let verdict = match outcome.code() {
        0 => session.step(&request.auth_bytes, sasl, &nonce, Instant::now(), SystemTime::now()),
        _ => Verdict::Refused("as scripted".into()),
    };
    let answer = SaslAuthenticateResponse::default();
    let (answer, stays) = match verdict {
        Verdict::Continue(bytes) => (answer.with_auth_bytes(bytes.into()), true),
        Verdict::Accepted { bytes, lifetime } => {
            let lifetime = lifetime.map_or(0, |lifetime| lifetime.as_millis() as i64);
            (answer.with_auth_bytes(bytes.into()).with_session_lifetime_ms(lifetime), true)
        }
        Verdict::Refused(said) => {
            shared.lock().authentications.failed += 1;
            tokio::time::sleep(sasl.delay()).await;
            let code = if outcome.code() == 0 { SASL_AUTHENTICATION_FAILED } else { outcome.code() };
            (answer.with_error_code(code).with_error_message(Some(text(&said))), false)
        }
    };
    put(&answer, version, out)?;
    Ok(stays)
}

fn put_illegal(version: i16, out: &mut BytesMut) -> io::Result<bool> {
    let said = "SaslAuthenticate request received after successful authentication";
    let answer = SaslAuthenticateResponse::default()
        .with_error_code(ILLEGAL_SASL_STATE)
        .with_error_message(Some(text(said)));
    put(&answer, version, out)?;
    Ok(true)
}
