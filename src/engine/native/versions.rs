//! In which versions a broker takes requests, and whether those are the ones that this producer needs.

use std::collections::HashMap;

use rskafka::protocol::api_key::ApiKey;
use rskafka::protocol::api_version::{ApiVersion, ApiVersionRange};
use rskafka::protocol::messages::RequestBody;

use super::api::{
    InitProducerIdRequest, MetadataRequest, ProduceRequest, SaslAuthenticateRequest, SaslHandshakeRequest,
    version,
};
use crate::compression::Compression;
use crate::config::{Address, ProducerConfig};
use crate::error::{Error, ErrorKind, Result};

/// What a broker offers.
pub(super) type Versions = HashMap<ApiKey, ApiVersionRange>;

/// Versions of requests that are sent before the broker has said what it offers: those that every broker since Kafka
/// 0.11 knows, and since 1.0 where it asks for a login.
const ASSUMED: [(ApiKey, i16); 3] =
    [(ApiKey::Metadata, 4), (ApiKey::InitProducerId, 0), (ApiKey::SaslHandshake, 1)];

/// The first version of Produce whose batches may be compressed by Zstandard (KIP-110).
const PRODUCE_ZSTD: ApiVersion = version(7);
/// The first version of Produce of a broker that remembers the last five batches of a producer, as Kafka 1.0 and later
/// do, and not only the last one (KAFKA-5494).
const PRODUCE_FIVE_BATCHES: ApiVersion = version(4);

/// What is assumed of a broker, `ApiVersions` in this version.
pub(super) fn assumed(api_versions: ApiVersion) -> Versions {
    let asks = (ApiKey::ApiVersions, ApiVersionRange::new(api_versions, api_versions));
    let others = ASSUMED.iter().map(|(key, of)| (*key, ApiVersionRange::new(version(*of), version(*of))));
    others.chain([asks]).collect()
}

/// Whether the assumption about this API holds. Of what the broker does not offer at all nothing is asked.
pub(super) fn assumption_holds(key: ApiKey, offered: &Versions) -> bool {
    let assumed = ASSUMED.iter().find(|(assumed, _)| *assumed == key);
    assumed.is_some_and(|(_, of)| {
        offered.get(&key).is_some_and(|range| (range.min()..=range.max()).contains(&version(*of)))
    })
}

/// Whether the broker recognises each of the last five batches of a producer when it is sent again.
pub(super) fn remembers_five_batches(offered: &Versions) -> bool {
    offered.get(&ApiKey::Produce).is_some_and(|range| range.max() >= PRODUCE_FIVE_BATCHES)
}

/// What a producer cannot do without.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs {
    idempotence: bool,
    login: bool,
    zstd: bool,
}

impl Needs {
    pub(super) fn of(config: &ProducerConfig) -> Self {
        Self {
            idempotence: config.is_idempotent(),
            login: config.sasl.is_some(),
            zstd: config.batch.compression == Compression::Zstd,
        }
    }

    /// An error that names all that is missing, and what can be done about it.
    pub(super) fn check(self, address: &Address, offered: &Versions) -> Result<()> {
        let mut missing = Vec::new();
        let mut need = |key: ApiKey, ours: ApiVersionRange, remedy: &str| {
            missing.extend(lack(key, ours, offered).map(|lack| format!("{lack}{remedy}")));
        };
        if self.login {
            let remedy = ": logins need Kafka 1.0 or later";
            need(ApiKey::SaslHandshake, SaslHandshakeRequest::API_VERSION_RANGE, remedy);
            need(ApiKey::SaslAuthenticate, SaslAuthenticateRequest::API_VERSION_RANGE, remedy);
        }
        need(ApiKey::Metadata, MetadataRequest::API_VERSION_RANGE, "");
        need(ApiKey::Produce, ProduceRequest::API_VERSION_RANGE, "");
        if self.idempotence {
            let remedy = ": only idempotence needs it, so that idempotence(false) would help";
            need(ApiKey::InitProducerId, InitProducerIdRequest::API_VERSION_RANGE, remedy);
        }
        let newest = offered.get(&ApiKey::Produce).map(|range| range.max());
        if !missing.is_empty() {
            let text = format!("{address} cannot serve this producer: {}", missing.join("; "));
            return Err(Error::unsupported_version(text).with_broker(address.to_string()));
        }
        match newest {
            Some(newest) if self.zstd && newest < PRODUCE_ZSTD => {
                let text = format!(
                    "{address} cannot read zstd: it offers Produce up to version {newest}, and zstd needs version \
                     {PRODUCE_ZSTD} (Kafka 2.1 or later): choose another batch.compression"
                );
                Err(Error::new(ErrorKind::InvalidConfig, text).with_broker(address.to_string()))
            }
            _ => Ok(()),
        }
    }
}

/// What keeps us from using an API, if anything does.
fn lack(key: ApiKey, ours: ApiVersionRange, offered: &Versions) -> Option<String> {
    let shown = |range: ApiVersionRange| match range.min() == range.max() {
        true => format!("version {}", range.min()),
        false => format!("versions {} to {}", range.min(), range.max()),
    };
    match offered.get(&key) {
        None => Some(format!("it does not offer {key:?} (this library speaks {})", shown(ours))),
        Some(theirs) if theirs.max() < ours.min() || ours.max() < theirs.min() => {
            Some(format!("it offers {key:?} in {}, this library speaks {}", shown(*theirs), shown(ours)))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offers(ranges: &[(ApiKey, i16, i16)]) -> Versions {
        ranges
            .iter()
            .map(|(key, min, max)| (*key, ApiVersionRange::new(version(*min), version(*max))))
            .collect()
    }

    fn address() -> Address {
        Address::new("kafka-1", 9092)
    }

    const ALL: Needs = Needs { idempotence: true, login: true, zstd: false };

    #[test]
    fn every_api_that_is_missing_is_named_with_both_sides_versions() {
        let offered = offers(&[
            (ApiKey::SaslHandshake, 0, 0),
            (ApiKey::Metadata, 0, 5),
            (ApiKey::Produce, 14, 15),
            (ApiKey::InitProducerId, 7, 8),
        ]);
        let error = ALL.check(&address(), &offered).unwrap_err();
        assert_eq!(
            error.to_string(),
            "kafka-1:9092 cannot serve this producer: it offers SaslHandshake in version 0, this library speaks \
             version 1: logins need Kafka 1.0 or later; it does not offer SaslAuthenticate (this library speaks \
             versions 0 to 2): logins need Kafka 1.0 or later; it offers Produce in versions 14 to 15, this library \
             speaks versions 3 to 12; it offers InitProducerId in versions 7 to 8, this library speaks versions 0 to 5: \
             only idempotence needs it, so that idempotence(false) would help"
        );
        assert_eq!((error.kind(), error.broker()), (ErrorKind::Protocol, Some("kafka-1:9092")));
    }

    #[test]
    fn what_is_not_needed_may_be_missing() {
        let offered = offers(&[(ApiKey::Metadata, 0, 9), (ApiKey::Produce, 0, 9)]);
        let plain = Needs { idempotence: false, login: false, zstd: false };
        assert!(plain.check(&address(), &offered).is_ok());
        assert!(Needs { idempotence: true, ..plain }.check(&address(), &offered).is_err());
    }

    #[test]
    fn zstd_needs_kafka_2_1() {
        let zstd = Needs { idempotence: false, login: false, zstd: true };
        for (newest, fits) in [(6, false), (7, true)] {
            let offered = offers(&[(ApiKey::Metadata, 0, 5), (ApiKey::Produce, 0, newest)]);
            let checked = zstd.check(&address(), &offered);
            assert_eq!(checked.is_ok(), fits);
            if let Err(error) = checked {
                assert_eq!(error.kind(), ErrorKind::InvalidConfig);
                assert!(error.to_string().contains("batch.compression"), "{error}");
            }
        }
    }

    #[test]
    fn kafka_0_11_remembers_one_batch_and_1_0_five() {
        for (newest, five) in [(3, false), (5, true)] {
            assert_eq!(remembers_five_batches(&offers(&[(ApiKey::Produce, 0, newest)])), five);
        }
    }
}
