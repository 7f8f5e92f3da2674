//! `ApiVersions`: which requests a broker knows, in which versions; and who we are (KIP-511).

use std::sync::Arc;

use super::{ApiKey, Malformed, Reader, Request, VersionRange, Versions, Writer};

/// Asks for versions; from version 3 on it also contains name and version of the client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApiVersionsRequest<'a> {
    pub(crate) software: &'a Software,
}

/// What the broker's metrics and logs call this client (KIP-511).
#[derive(Clone, Debug)]
pub(crate) struct Software {
    pub(crate) name: Arc<str>,
    pub(crate) version: Arc<str>,
}

#[derive(Debug)]
pub(crate) struct ApiVersionsResponse {
    /// 35 where the broker does not know the version in which it was asked. Nothing else can then be relied on: Kafka
    /// answers in version 0 (KIP-511), and other brokers in what resembles neither.
    pub(crate) error_code: i16,
    pub(crate) offered: Versions,
}

pub(crate) const UNSUPPORTED_VERSION: i16 = 35;

impl Request for ApiVersionsRequest<'_> {
    const KEY: ApiKey = ApiKey::ApiVersions;
    const VERSIONS: VersionRange = VersionRange::new(0, 4);
    const FLEXIBLE_FROM: i16 = 3;
    type Answer = ApiVersionsResponse;

    fn write<'a>(&'a self, writer: &mut Writer<'_, 'a>, version: i16) {
        if version >= Self::FLEXIBLE_FROM {
            writer.string(&self.software.name);
            writer.string(&self.software.version);
            writer.tagged_fields();
        }
    }

    fn read(reader: &mut Reader<'_>, version: i16) -> Result<Self::Answer, Malformed> {
        let error_code = reader.i16()?;
        if error_code == UNSUPPORTED_VERSION {
            // The rest follows version 0, or not even that.
            reader.skip_rest();
            return Ok(ApiVersionsResponse { error_code, offered: Versions::default() });
        }
        let ranges = reader.array(6, |r| {
            let (key, range) = (r.i16()?, VersionRange::new(r.i16()?, r.i16()?));
            r.tagged_fields()?;
            // A broker that claims nonsense supports nothing there.
            Ok(ApiKey::of(key).filter(|_| range.min <= range.max).map(|key| (key, range)))
        })?;
        if version >= 1 {
            let _throttle_ms = reader.i32()?;
        }
        reader.tagged_fields()?;
        reader.skip_rest();
        Ok(ApiVersionsResponse { error_code, offered: ranges.into_iter().flatten().collect() })
    }
}
