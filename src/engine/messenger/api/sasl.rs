//! `SaslHandshake` and `SaslAuthenticate`: the frames around a mechanism's own messages (KIP-43, KIP-152, KIP-368).

use std::io::Cursor;

use rskafka::protocol::api_version::ApiVersion;
use rskafka::protocol::messages::{
    ReadVersionedError, ReadVersionedType, WriteVersionedError, WriteVersionedType,
};
use zeroize::Zeroizing;

use super::{Reader, Writer, request_body, version};

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

request_body!(SaslHandshakeRequest => SaslHandshakeResponse, SaslHandshake, 1..=1, flexible from version(i16::MAX));

impl WriteVersionedType<Vec<u8>> for SaslHandshakeRequest {
    fn write_versioned(&self, out: &mut Vec<u8>, _: ApiVersion) -> Result<(), WriteVersionedError> {
        Writer::new(out, false).string(self.mechanism);
        Ok(())
    }
}

impl ReadVersionedType<Cursor<Vec<u8>>> for SaslHandshakeResponse {
    fn read_versioned(cursor: &mut Cursor<Vec<u8>>, _: ApiVersion) -> Result<Self, ReadVersionedError> {
        let mut reader = Reader::new(cursor, false)?;
        Ok(Self { error_code: reader.i16()?, mechanisms: reader.array(2, Reader::string)? })
    }
}

const FLEXIBLE: ApiVersion = version(2);

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

request_body!(SaslAuthenticateRequest => SaslAuthenticateResponse, SaslAuthenticate, 0..=2, flexible from FLEXIBLE);

impl WriteVersionedType<Vec<u8>> for SaslAuthenticateRequest {
    fn write_versioned(&self, out: &mut Vec<u8>, api_version: ApiVersion) -> Result<(), WriteVersionedError> {
        let mut writer = Writer::new(out, api_version >= FLEXIBLE);
        writer.bytes(&self.message);
        writer.tagged_fields();
        Ok(())
    }
}

impl ReadVersionedType<Cursor<Vec<u8>>> for SaslAuthenticateResponse {
    fn read_versioned(
        cursor: &mut Cursor<Vec<u8>>,
        api_version: ApiVersion,
    ) -> Result<Self, ReadVersionedError> {
        let mut reader = Reader::new(cursor, api_version >= FLEXIBLE)?;
        let answer = Self {
            error_code: reader.i16()?,
            error_message: reader.nullable_string()?,
            message: reader.nullable_bytes()?,
            session_lifetime_ms: if api_version >= version(1) { reader.i64()? } else { 0 },
        };
        reader.tagged_fields()?;
        Ok(answer)
    }
}
