//! `SaslHandshake` and `SaslAuthenticate`: the frames around a mechanism's own messages (KIP-43, KIP-152, KIP-368).

use zeroize::Zeroizing;

use super::{ApiKey, Malformed, Reader, Request, VersionRange, Writer};

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

impl Request for SaslHandshakeRequest {
    const KEY: ApiKey = ApiKey::SaslHandshake;
    const VERSIONS: VersionRange = VersionRange::only(1);
    const FLEXIBLE_FROM: i16 = i16::MAX;
    type Answer = SaslHandshakeResponse;

    fn write<'a>(&'a self, writer: &mut Writer<'_, 'a>, _: i16) {
        writer.string(self.mechanism);
    }

    fn read(reader: &mut Reader<'_>, _: i16) -> Result<Self::Answer, Malformed> {
        Ok(SaslHandshakeResponse { error_code: reader.i16()?, mechanisms: reader.array(2, Reader::string)? })
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

impl Request for SaslAuthenticateRequest {
    const KEY: ApiKey = ApiKey::SaslAuthenticate;
    const VERSIONS: VersionRange = VersionRange::new(0, 2);
    const FLEXIBLE_FROM: i16 = 2;
    type Answer = SaslAuthenticateResponse;

    fn write<'a>(&'a self, writer: &mut Writer<'_, 'a>, _: i16) {
        writer.bytes(&self.message);
        writer.tagged_fields();
    }

    fn read(reader: &mut Reader<'_>, version: i16) -> Result<Self::Answer, Malformed> {
        let answer = SaslAuthenticateResponse {
            error_code: reader.i16()?,
            error_message: reader.nullable_string()?,
            message: reader.nullable_bytes()?,
            session_lifetime_ms: if version >= 1 { reader.i64()? } else { 0 },
        };
        reader.tagged_fields()?;
        Ok(answer)
    }
}
