//! `ApiVersions`: which requests a broker knows, in which versions; and who we are (KIP-511).

use std::collections::HashMap;
use std::io::Cursor;

use rskafka::protocol::api_key::ApiKey;
use rskafka::protocol::api_version::{ApiVersion, ApiVersionRange};
use rskafka::protocol::messages::{
    ReadVersionedError, ReadVersionedType, RequestBody, WriteVersionedError, WriteVersionedType,
};
use rskafka::protocol::primitives::Int16;

use super::{Reader, Writer, version};

const FLEXIBLE: ApiVersion = version(3);

/// Asks for versions; from version 3 on it also contains name and version of this library.
#[derive(Debug)]
pub(crate) struct ApiVersionsRequest;

#[derive(Debug)]
pub(crate) struct ApiVersionsResponse {
    /// 35 where the broker does not know the version in which it was asked. Nothing else can then be relied on: Kafka
    /// answers in version 0 (KIP-511), and other brokers in what resembles neither.
    pub(crate) error_code: i16,
    pub(crate) ranges: HashMap<ApiKey, ApiVersionRange>,
}

pub(crate) const UNSUPPORTED_VERSION: i16 = 35;

impl RequestBody for ApiVersionsRequest {
    type ResponseBody = ApiVersionsResponse;
    const API_KEY: ApiKey = ApiKey::ApiVersions;
    const API_VERSION_RANGE: ApiVersionRange = ApiVersionRange::new(version(0), version(4));
    const FIRST_TAGGED_FIELD_IN_REQUEST_VERSION: ApiVersion = FLEXIBLE;
    // The header of this answer never has tagged fields, so that any client can read it.
    const FIRST_TAGGED_FIELD_IN_RESPONSE_VERSION: ApiVersion = version(i16::MAX);
}

impl WriteVersionedType<Vec<u8>> for ApiVersionsRequest {
    fn write_versioned(&self, out: &mut Vec<u8>, api_version: ApiVersion) -> Result<(), WriteVersionedError> {
        if api_version >= FLEXIBLE {
            let mut writer = Writer::new(out, true);
            writer.string(env!("CARGO_PKG_NAME"));
            writer.string(env!("CARGO_PKG_VERSION"));
            writer.tagged_fields();
        }
        Ok(())
    }
}

impl ReadVersionedType<Cursor<Vec<u8>>> for ApiVersionsResponse {
    fn read_versioned(
        cursor: &mut Cursor<Vec<u8>>,
        api_version: ApiVersion,
    ) -> Result<Self, ReadVersionedError> {
        let mut reader = Reader::of_body(cursor, api_version >= FLEXIBLE);
        let error_code = reader.i16()?;
        if error_code == UNSUPPORTED_VERSION {
            // The rest follows version 0, or not even that.
            reader.skip_rest();
            return Ok(Self { error_code, ranges: HashMap::new() });
        }
        let ranges = reader.array(6, |r| {
            let (key, min, max) = (r.i16()?, r.i16()?, r.i16()?);
            r.tagged_fields()?;
            // A broker that claims nonsense supports nothing there.
            Ok((min <= max)
                .then(|| (ApiKey::from(Int16(key)), ApiVersionRange::new(version(min), version(max)))))
        })?;
        if api_version >= version(1) {
            let _throttle_ms = reader.i32()?;
        }
        reader.tagged_fields()?;
        reader.skip_rest();
        Ok(Self { error_code, ranges: ranges.into_iter().flatten().collect() })
    }
}
