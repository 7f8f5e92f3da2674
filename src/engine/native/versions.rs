//! In which versions a broker takes requests, and whether those are the ones that this producer needs.

use super::api::{
    ApiKey, InitProducerIdRequest, MetadataRequest, ProduceRequest, Request, SaslAuthenticateRequest,
    SaslHandshakeRequest, VersionRange, Versions,
};
use crate::compression::Compression;
use crate::config::{Address, ProducerConfig};
use crate::error::{Error, ErrorKind, Result};

/// Versions of requests that are sent before the broker has said what it offers: those that every broker since Kafka
/// 0.11 knows, and since 1.0 where it asks for a login.
const ASSUMED: [(ApiKey, i16); 3] =
    [(ApiKey::Metadata, 4), (ApiKey::InitProducerId, 0), (ApiKey::SaslHandshake, 1)];

/// The first version of Produce whose batches may be compressed by Zstandard (KIP-110).
const PRODUCE_ZSTD: i16 = 7;
/// The first version of Produce of a broker that remembers the last five batches of a producer, as Kafka 1.0 and later
/// do, and not only the last one (KAFKA-5494).
const PRODUCE_FIVE_BATCHES: i16 = 4;

/// What is assumed of a broker, `ApiVersions` in this version.
pub(super) fn assumed(api_versions: i16) -> Versions {
    let all = ASSUMED.into_iter().chain([(ApiKey::ApiVersions, api_versions)]);
    all.map(|(key, version)| (key, VersionRange::only(version))).collect()
}

/// Whether the assumption about this API holds. Of what the broker does not offer at all nothing is asked.
pub(super) fn assumption_holds(key: ApiKey, offered: &Versions) -> bool {
    let assumed = ASSUMED.iter().find(|(assumed, _)| *assumed == key);
    assumed.is_some_and(|(_, version)| offered.get(key).is_some_and(|range| range.contains(*version)))
}

/// Whether the broker recognises each of the last five batches of a producer when it is sent again.
pub(super) fn remembers_five_batches(offered: &Versions) -> bool {
    offered.get(ApiKey::Produce).is_some_and(|range| range.max >= PRODUCE_FIVE_BATCHES)
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
        let mut need = |key: ApiKey, ours: VersionRange, remedy: &str| {
            missing.extend(lack(key, ours, offered).map(|lack| format!("{lack}{remedy}")));
        };
        if self.login {
            let remedy = ": logins need Kafka 1.0 or later";
            need(ApiKey::SaslHandshake, SaslHandshakeRequest::VERSIONS, remedy);
            need(ApiKey::SaslAuthenticate, SaslAuthenticateRequest::VERSIONS, remedy);
        }
        need(ApiKey::Metadata, MetadataRequest::VERSIONS, "");
        need(ApiKey::Produce, ProduceRequest::VERSIONS, "");
        if self.idempotence {
            let remedy = ": only idempotence needs it, so that idempotence(false) would help";
            need(ApiKey::InitProducerId, InitProducerIdRequest::VERSIONS, remedy);
        }
        let newest = offered.get(ApiKey::Produce).map(|range| range.max);
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
fn lack(key: ApiKey, ours: VersionRange, offered: &Versions) -> Option<String> {
    match offered.get(key) {
        None => Some(format!("it does not offer {key:?} (this library speaks {ours})")),
        Some(theirs) if ours.newest_of_both(theirs).is_none() => {
            Some(format!("it offers {key:?} in {theirs}, this library speaks {ours}"))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offers(ranges: &[(ApiKey, i16, i16)]) -> Versions {
        ranges.iter().map(|(key, min, max)| (*key, VersionRange::new(*min, *max))).collect()
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
             speaks versions 3 to 13; it offers InitProducerId in versions 7 to 8, this library speaks versions 0 to 6: \
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
