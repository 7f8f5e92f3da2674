//! `SaslHandshake` and `SaslAuthenticate`: the frames around a mechanism's own messages (KIP-43, KIP-152, KIP-368).

use zeroize::Zeroizing;

use super::{Malformed, Reader, Writer, request_body};

/// Names the mechanism.
#[derive(Debug)]
pub(crate) struct SaslHandshakeRequest {
    pub(crate) mechanism: &'static str,
}

#[derive(Debug)]
pub(crate) struct SaslHandshakeResponse {
    pub(crate) error_code: i16,
    /// What the listener offers.
    pub(crate) mechanisms: Vec<String>,
}

request_body!(SaslHandshakeRequest => SaslHandshakeResponse, SaslHandshake, 1..=1, flexible from i16::MAX);

impl SaslHandshakeRequest {
    fn write(&self, writer: &mut Writer<'_>, _: i16) {
        writer.string(self.mechanism);
    }
}

impl SaslHandshakeResponse {
    fn read(reader: &mut Reader<'_>, _: i16) -> Result<Self, Malformed> {
        Ok(Self { error_code: reader.i16()?, mechanisms: reader.array(2, Reader::string)? })
    }
}

/// Carries one message of the mechanism.
pub(crate) struct SaslAuthenticateRequest {
    pub(crate) message: Zeroizing<Vec<u8>>,
}

#[derive(Debug)]
pub(crate) struct SaslAuthenticateResponse {
    pub(crate) error_code: i16,
    pub(crate) error_message: Option<String>,
    pub(crate) message: Vec<u8>,
    /// Zero where the session has no end.
    pub(crate) session_lifetime_ms: i64,
}

request_body!(SaslAuthenticateRequest => SaslAuthenticateResponse, SaslAuthenticate, 0..=2, flexible from 2);

impl SaslAuthenticateRequest {
    fn write(&self, writer: &mut Writer<'_>, _: i16) {
        writer.bytes(&self.message);
    }
}

impl SaslAuthenticateResponse {
    fn read(reader: &mut Reader<'_>, version: i16) -> Result<Self, Malformed> {
        let answer = Self {
            error_code: reader.i16()?,
            error_message: reader.nullable_string()?,
            message: reader.nullable_bytes()?,
            session_lifetime_ms: if version >= 1 { reader.i64()? } else { 0 },
        };
        Ok(answer)
    }
}
