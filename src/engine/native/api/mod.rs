//! The requests of a producer, as bodies for rskafka's `Messenger`.
//!
//! rskafka's own types lack what a producer needs (`InitProducerId`, several partitions encoded in place, the
//! error details of Produce v8), and its array reader trusts lengths; these bodies bound every length by the
//! bytes that are there. Layouts: <https://kafka.apache.org/protocol#protocol_messages>.

mod api_versions;
mod init_producer_id;
mod metadata;
mod produce;
mod reader;
mod sasl;
mod writer;

pub(super) use api_versions::{ApiVersionsRequest, ApiVersionsResponse, UNSUPPORTED_VERSION};
pub(super) use init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
pub(super) use metadata::{Broker, MetadataRequest, MetadataResponse, Topic};
pub(super) use produce::{ProduceRequest, ProduceResponse};
pub(super) use reader::{Malformed, Reader};
pub(super) use sasl::{SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest};
pub(super) use writer::Writer;

/// Ties a request, which has `write`, and its answer, which has `read`, to rskafka: the API, the versions that we speak,
/// and from which version on both are flexible.
macro_rules! request_body {
    ($request:ty => $response:ty, $key:ident, $min:literal..=$max:literal, flexible from $flexible:expr) => {
        const _: () = {
            use rskafka::protocol::api_key::ApiKey;
            use rskafka::protocol::api_version::{ApiVersion, ApiVersionRange};
            use rskafka::protocol::messages as rskafka_messages;
            use rskafka_messages::{
                ReadVersionedError, ReadVersionedType, WriteVersionedError, WriteVersionedType,
            };
            use $crate::engine::native::api::{Reader, Writer, version};

            const FLEXIBLE: ApiVersion = version($flexible);

            impl rskafka_messages::RequestBody for $request {
                type ResponseBody = $response;
                const API_KEY: ApiKey = ApiKey::$key;
                const API_VERSION_RANGE: ApiVersionRange = ApiVersionRange::new(version($min), version($max));
                const FIRST_TAGGED_FIELD_IN_REQUEST_VERSION: ApiVersion = FLEXIBLE;
                // The body reads the tagged fields of its header too: rskafka would allocate what they claim.
                const FIRST_TAGGED_FIELD_IN_RESPONSE_VERSION: ApiVersion = version(i16::MAX);
            }

            impl WriteVersionedType<Vec<u8>> for $request {
                fn write_versioned(
                    &self,
                    out: &mut Vec<u8>,
                    version: ApiVersion,
                ) -> Result<(), WriteVersionedError> {
                    let mut writer = Writer::new(out, version >= FLEXIBLE);
                    self.write(&mut writer, version.0.0);
                    writer.tagged_fields();
                    Ok(())
                }
            }

            impl ReadVersionedType<std::io::Cursor<Vec<u8>>> for $response {
                fn read_versioned(
                    cursor: &mut std::io::Cursor<Vec<u8>>,
                    version: ApiVersion,
                ) -> Result<Self, ReadVersionedError> {
                    let mut reader = Reader::new(cursor, version >= FLEXIBLE)?;
                    let answer = Self::read(&mut reader, version.0.0)?;
                    reader.tagged_fields()?;
                    Ok(answer)
                }
            }
        };
    };
}
pub(super) use request_body;

pub(super) const fn version(number: i16) -> rskafka::protocol::api_version::ApiVersion {
    rskafka::protocol::api_version::ApiVersion(rskafka::protocol::primitives::Int16(number))
}

#[cfg(test)]
mod against_kafka_protocol;

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use rskafka::protocol::messages::ReadVersionedType;

    use super::*;

    fn put_string(out: &mut Vec<u8>, text: &str) {
        Writer::new(out, false).string(text);
    }

    /// Two topics of three partitions, as a broker would answer.
    fn produce_answer() -> Vec<u8> {
        let mut bytes = 2i32.to_be_bytes().to_vec();
        for topic in ["orders", "audit"] {
            put_string(&mut bytes, topic);
            bytes.extend(3i32.to_be_bytes());
            for partition in 0..3i32 {
                bytes.extend(partition.to_be_bytes());
                bytes.extend(87i16.to_be_bytes());
                bytes.extend([0; 24]);
                bytes.extend(1i32.to_be_bytes());
                bytes.extend(7i32.to_be_bytes());
                put_string(&mut bytes, "no key");
                put_string(&mut bytes, "rejected");
            }
        }
        bytes.extend(250i32.to_be_bytes());
        bytes
    }

    fn metadata_answer() -> Vec<u8> {
        let mut bytes = 0i32.to_be_bytes().to_vec();
        bytes.extend(1i32.to_be_bytes());
        bytes.extend(1i32.to_be_bytes());
        put_string(&mut bytes, "kafka-1");
        bytes.extend(9092i32.to_be_bytes());
        bytes.extend((-1i16).to_be_bytes());
        put_string(&mut bytes, "cluster");
        bytes.extend(1i32.to_be_bytes());
        bytes.extend(1i32.to_be_bytes());
        bytes.extend(0i16.to_be_bytes());
        put_string(&mut bytes, "orders");
        bytes.push(0);
        bytes.extend(1i32.to_be_bytes());
        bytes.extend([0; 2]);
        bytes.extend([0; 8]);
        bytes.extend(5i32.to_be_bytes());
        for _ in 0..3 {
            bytes.extend(1i32.to_be_bytes());
            bytes.extend(1i32.to_be_bytes());
        }
        bytes
    }

    /// In version 3, where lengths are varints and fields are tagged.
    fn api_versions_answer() -> Vec<u8> {
        let mut bytes = vec![0, 0, 3];
        for key in [0i16, 3] {
            bytes.extend(key.to_be_bytes());
            bytes.extend(0i16.to_be_bytes());
            bytes.extend(9i16.to_be_bytes());
            bytes.push(0);
        }
        bytes.extend(0i32.to_be_bytes());
        bytes.extend([1, 7, 3, 1, 2, 3]); // one tagged field of three bytes
        bytes
    }

    fn handshake_answer() -> Vec<u8> {
        let mut bytes = 33i16.to_be_bytes().to_vec();
        bytes.extend(2i32.to_be_bytes());
        put_string(&mut bytes, "PLAIN");
        put_string(&mut bytes, "SCRAM-SHA-512");
        bytes
    }

    fn authenticate_answer() -> Vec<u8> {
        let mut bytes = 58i16.to_be_bytes().to_vec();
        put_string(&mut bytes, "invalid credentials");
        bytes.extend(4i32.to_be_bytes());
        bytes.extend(*b"v=ab");
        bytes.extend(3_600_000i64.to_be_bytes());
        bytes
    }

    fn producer_id_answer() -> Vec<u8> {
        [&0i32.to_be_bytes()[..], &0i16.to_be_bytes(), &7i64.to_be_bytes(), &0i16.to_be_bytes()].concat()
    }

    fn reads<T: ReadVersionedType<Cursor<Vec<u8>>>>(bytes: &[u8], number: i16) -> bool {
        T::read_versioned(&mut Cursor::new(bytes.to_vec()), version(number)).is_ok()
    }

    type Reads = fn(&[u8]) -> bool;

    /// Every answer that a broker gives, and what reads it.
    fn answers() -> [(Vec<u8>, Reads); 6] {
        [
            (produce_answer(), |bytes| reads::<ProduceResponse>(bytes, 8)),
            (metadata_answer(), |bytes| reads::<MetadataResponse>(bytes, 7)),
            (api_versions_answer(), |bytes| reads::<ApiVersionsResponse>(bytes, 3)),
            (handshake_answer(), |bytes| reads::<sasl::SaslHandshakeResponse>(bytes, 1)),
            (authenticate_answer(), |bytes| reads::<SaslAuthenticateResponse>(bytes, 1)),
            (producer_id_answer(), |bytes| reads::<InitProducerIdResponse>(bytes, 1)),
        ]
    }

    #[test]
    fn the_answers_that_are_mutated_below_are_valid() {
        for (answer, reads) in answers() {
            assert!(reads(&answer), "{answer:?}");
        }
    }

    /// An allocation that trusted a length would end this test: a mutated one claims up to two billion elements.
    #[test]
    fn a_million_mutated_answers_neither_panic_nor_allocate_what_they_claim() {
        let answers = answers();
        let mut random = fastrand::Rng::with_seed(1);
        let mut refused = 0;
        for n in 0..1_000_000 {
            // Those of a producer's daily life more often than those of a login.
            let (answer, reads) = &answers[if n % 2 == 0 { random.usize(..2) } else { random.usize(..6) }];
            let mut bytes = answer.clone();
            for _ in 0..random.usize(1..5) {
                let at = random.usize(..bytes.len());
                match random.u8(..4) {
                    0 => bytes[at] = random.u8(..),
                    1 => bytes.truncate(at.max(1)),
                    2 => bytes.insert(at, random.u8(..)),
                    _ => bytes[at] ^= 1 << random.u8(..8),
                }
            }
            refused += usize::from(!reads(&bytes));
        }
        assert!(refused > 300_000, "{refused} were refused");
    }
}
