//! `ApiVersions`: which requests a broker knows, in which versions; and who we are (KIP-511).

use std::collections::HashMap;
use std::io::Cursor;

use rskafka::protocol::api_key::ApiKey;
use rskafka::protocol::api_version::{ApiVersion, ApiVersionRange};
use rskafka::protocol::messages::{
    ReadVersionedError, ReadVersionedType, RequestBody, WriteVersionedError, WriteVersionedType,
};
use rskafka::protocol::primitives::Int16;

use super::{Reader, version};

/// Asks for versions; from version 3 on it also tells name and version of this library.
#[derive(Debug)]
pub(in crate::engine::messenger) struct ApiVersionsRequest;

#[derive(Debug)]
pub(in crate::engine::messenger) struct ApiVersionsResponse {
    /// 35 where the broker knows none of the versions in which it was asked; it then answers in version 0.
    pub(in crate::engine::messenger) error_code: i16,
    pub(in crate::engine::messenger) ranges: HashMap<ApiKey, ApiVersionRange>,
}

pub(in crate::engine::messenger) const UNSUPPORTED_VERSION: i16 = 35;

impl RequestBody for ApiVersionsRequest {
    type ResponseBody = ApiVersionsResponse;
    const API_KEY: ApiKey = ApiKey::ApiVersions;
    const API_VERSION_RANGE: ApiVersionRange = ApiVersionRange::new(version(0), version(3));
    const FIRST_TAGGED_FIELD_IN_REQUEST_VERSION: ApiVersion = version(3);
    // The header of this answer never has tagged fields, so that any client can read it.
    const FIRST_TAGGED_FIELD_IN_RESPONSE_VERSION: ApiVersion = version(i16::MAX);
}

impl WriteVersionedType<Vec<u8>> for ApiVersionsRequest {
    fn write_versioned(&self, out: &mut Vec<u8>, api_version: ApiVersion) -> Result<(), WriteVersionedError> {
        if api_version >= version(3) {
            for text in [env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")] {
                // A compact string: its length plus one as a varint of, here, one byte.
                out.push(text.len() as u8 + 1);
                out.extend_from_slice(text.as_bytes());
            }
            out.push(0); // no tagged fields
        }
        Ok(())
    }
}

impl ReadVersionedType<Cursor<Vec<u8>>> for ApiVersionsResponse {
    fn read_versioned(
        cursor: &mut Cursor<Vec<u8>>,
        api_version: ApiVersion,
    ) -> Result<Self, ReadVersionedError> {
        let mut reader = Reader::new(cursor);
        let error_code = reader.i16()?;
        let flexible = api_version >= version(3) && error_code != UNSUPPORTED_VERSION;
        let range = |r: &mut Reader<'_>| {
            let (key, min, max) = (r.i16()?, r.i16()?, r.i16()?);
            if flexible {
                r.tagged_fields()?;
            }
            // A broker that claims nonsense supports nothing there.
            Ok((min <= max)
                .then(|| (ApiKey::from(Int16(key)), ApiVersionRange::new(version(min), version(max)))))
        };
        let ranges = match flexible {
            true => reader.compact_array(7, range)?,
            false => reader.array(6, range)?,
        };
        if api_version >= version(1) && error_code != UNSUPPORTED_VERSION {
            let _throttle_ms = reader.i32()?;
        }
        if flexible {
            reader.tagged_fields()?;
        }
        reader.skip_rest();
        Ok(Self { error_code, ranges: ranges.into_iter().flatten().collect() })
    }
}
