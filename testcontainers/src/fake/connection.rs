//! One connection: requests are read, answered and applied strictly in order, as a broker does.

use std::io;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::time::Instant;

use super::api::sasl::ILLEGAL_SASL_STATE;
use super::api::{self, Outcome};
use super::edit;
use super::fault::{Fault, RequestSeen};
use super::sasl::{Admission, Session};
use super::state::{Mode, Shared};

const MAX_FRAME: usize = 100 << 20;

pub(super) async fn serve(
    socket: impl AsyncRead + AsyncWrite,
    shared: &Arc<Shared>,
    node: i32,
    connection: u64,
) -> io::Result<()> {
    let (reader, mut writer) = tokio::io::split(socket);
    let mut reader = BufReader::with_capacity(64 << 10, reader);
    let mut session = shared.lock().sasl.is_some().then(Session::default);
    loop {
        let length = reader.read_u32().await? as usize;
        if mode(shared, node) == Mode::Deaf {
            until_mode_changes(shared, node, Mode::Deaf).await;
        }
        if !(8..=MAX_FRAME).contains(&length) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut frame = vec![0; length];
        reader.read_exact(&mut frame).await?;
        if mode(shared, node) == Mode::BlackHole {
            continue;
        }
        match answer(shared, node, connection, session.as_mut(), frame.into()).await? {
            Reply::Nothing => {}
            Reply::Bytes(bytes) => {
                writer.write_all(&bytes).await?;
                writer.flush().await?;
            }
            Reply::Last(bytes) => {
                writer.write_all(&bytes).await?;
                return writer.flush().await;
            }
            // Whatever else comes is read and left unanswered, until the peer goes away.
            Reply::Silence => return tokio::io::copy(&mut reader, &mut tokio::io::sink()).await.map(drop),
        }
    }
}

fn mode(shared: &Shared, node: i32) -> Mode {
    shared.lock().nodes[node as usize].mode
}

async fn until_mode_changes(shared: &Shared, node: i32, from: Mode) {
    loop {
        let seen = shared.changes().count();
        if mode(shared, node) != from {
            return;
        }
        shared.changes().beyond(seen).await;
    }
}

enum Reply {
    Nothing,
    Bytes(BytesMut),
    /// These bytes, and the connection closes.
    Last(BytesMut),
    Silence,
}

async fn answer(
    shared: &Arc<Shared>,
    node: i32,
    connection: u64,
    mut session: Option<&mut Session>,
    frame: Bytes,
) -> io::Result<Reply> {
    let mut body = frame.clone();
    let key = i16::from_be_bytes([frame[0], frame[1]]);
    let version = i16::from_be_bytes([frame[2], frame[3]]);
    let correlation = i32::from_be_bytes([frame[4], frame[5], frame[6], frame[7]]);
    let Ok(api) = ApiKey::try_from(key) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let mut out = BytesMut::with_capacity(256);
    out.put_u32(0);
    if !api::supports(shared, node, api, version) {
        // KIP-511: an unknown version of ApiVersions is answered in version 0; anything else closes.
        if api != ApiKey::ApiVersions {
            return Err(io::ErrorKind::InvalidData.into());
        }
        out.put_i32(correlation);
        api::versions(shared, node, 35).encode(&mut out, 0).map_err(io::Error::other)?;
        return Ok(Reply::Bytes(sized(out)));
    }
    let asked =
        RequestHeader::decode(&mut body, api.request_header_version(version)).map_err(io::Error::other)?;
    if !shared.lock().serves(asked.client_id.as_deref()) {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    ResponseHeader::default()
        .with_correlation_id(correlation)
        .encode(&mut out, api.response_header_version(version))
        .map_err(io::Error::other)?;
    let header = out.len();
    let (acks, batches) = match api {
        ApiKey::Produce => api::batches(shared, body.clone(), version)?,
        _ => (None, Vec::new()),
    };
    let topics = match api {
        ApiKey::Metadata => api::topics(body.clone(), version)?,
        _ => Vec::new(),
    };
    let written: Vec<_> = batches.iter().map(|batch| (batch.topic.clone(), batch.partition)).collect();
    let seen = RequestSeen { node, connection, api, version, at: Instant::now(), acks, batches, topics };
    let fault = shared.lock().see(seen);
    shared.changed();

    let is_sasl = matches!(api, ApiKey::SaslHandshake | ApiKey::SaslAuthenticate);
    let admission = match &mut session {
        Some(session) if !is_sasl => session.admits(api == ApiKey::ApiVersions, Instant::now()),
        _ => Admission::Welcome,
    };
    if admission == Admission::Closed {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }

    let (before, after) = match fault {
        Some(Fault::ApplyThen(after)) => (None, Some(*after)),
        Some(
            late @ (Fault::Edit(_)
            | Fault::Throttle(_)
            | Fault::Garbage(_)
            | Fault::Mangle(_)
            | Fault::CutAfter(_)
            | Fault::Unanswered),
        ) => (None, Some(late)),
        early => (early, None),
    };
    let mut error = None;
    match before {
        Some(Fault::Disconnect) => return Err(io::ErrorKind::ConnectionReset.into()),
        Some(Fault::Silence) => return Ok(Reply::Silence),
        Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
        Some(Fault::Error(code)) => error = Some(code),
        _ => {}
    }
    let mut outcome = Outcome { error, reported: None, throttle_ms: 0 };
    match &after {
        Some(Fault::Throttle(time)) => outcome.throttle_ms = time.as_millis() as i32,
        Some(Fault::Error(code)) => outcome.reported = Some(*code),
        _ => {}
    }
    let mut stays = admission == Admission::Welcome;
    if !stays {
        outcome.error = Some(ILLEGAL_SASL_STATE);
    }
    if is_sasl {
        stays = api::sasl::handle(shared, session, api, version, body, &outcome, &mut out).await?;
    } else if !api::handle(shared, node, api, version, body, &outcome, &mut out).await? {
        shared.changed();
        return Ok(Reply::Nothing);
    }
    shared.changed();
    if let Some(Fault::Edit(edit)) = &after {
        if let Some(edited) = edit::apply(edit, api, version, &out[header..])? {
            out.truncate(header);
            out.extend_from_slice(&edited);
            shared.lock().edited += 1;
        }
    }
    let unheard = matches!(
        after,
        Some(Fault::Disconnect | Fault::Silence | Fault::Unanswered | Fault::Garbage(_) | Fault::Error(_))
    );
    if !unheard {
        shared.lock().acknowledge(&written);
    }
    let out = sized(out);
    Ok(match after {
        Some(Fault::Disconnect) => return Err(io::ErrorKind::ConnectionReset.into()),
        Some(Fault::Silence) => Reply::Silence,
        Some(Fault::Unanswered) => Reply::Nothing,
        Some(Fault::Delay(time)) => {
            tokio::time::sleep(time).await;
            Reply::Bytes(out)
        }
        Some(Fault::Garbage(bytes)) => Reply::Bytes(BytesMut::from(&bytes[..])),
        Some(Fault::Mangle(seed)) => Reply::Bytes(mangle(&out, seed)),
        Some(Fault::CutAfter(bytes)) => Reply::Last(BytesMut::from(&out[..bytes.min(out.len())])),
        _ if !stays => Reply::Last(out),
        _ => Reply::Bytes(out),
    })
}

fn sized(mut out: BytesMut) -> BytesMut {
    let length = (out.len() - 4) as u32;
    out[..4].copy_from_slice(&length.to_be_bytes());
    out
}

/// Changes an answer beyond its length, so that it is still one frame: some bytes flipped, or cut off, or added.
fn mangle(out: &[u8], seed: u64) -> BytesMut {
    // xorshift64*, enough to spread a seed.
    let mut state = seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move |bound: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    };
    // The correlation id stays, else the answer is merely unknown.
    let mut body = out[8..].to_vec();
    match next(4) {
        0 => body.truncate(next(body.len() + 1)),
        1 => body.extend((0..next(64)).map(|i| i as u8)),
        _ => {
            for _ in 0..=next(8) {
                let at = next(body.len());
                if let Some(byte) = body.get_mut(at) {
                    *byte = next(256) as u8;
                }
            }
        }
    }
    let mut mangled = BytesMut::from(&out[..8]);
    mangled.extend_from_slice(&body);
    sized(mangled)
}
