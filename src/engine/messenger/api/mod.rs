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

pub(super) use api_versions::{ApiVersionsRequest, ApiVersionsResponse, UNSUPPORTED_VERSION};
pub(super) use init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
pub(super) use metadata::{MetadataRequest, MetadataResponse, Topic};
pub(super) use produce::{ProduceRequest, ProduceResponse};
pub(super) use reader::Reader;
pub(super) use sasl::{SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest};

/// Declares a request body: its API, the versions that we speak, and from which version its header is flexible.
macro_rules! request_body {
    ($request:ty => $response:ty, $key:ident, $min:literal..=$max:literal, flexible from $flexible:literal) => {
        impl ::rskafka::protocol::messages::RequestBody for $request {
            type ResponseBody = $response;
            const API_KEY: ::rskafka::protocol::api_key::ApiKey = ::rskafka::protocol::api_key::ApiKey::$key;
            const API_VERSION_RANGE: ::rskafka::protocol::api_version::ApiVersionRange =
                ::rskafka::protocol::api_version::ApiVersionRange::new(
                    $crate::engine::messenger::api::version($min),
                    $crate::engine::messenger::api::version($max),
                );
            const FIRST_TAGGED_FIELD_IN_REQUEST_VERSION: ::rskafka::protocol::api_version::ApiVersion =
                $crate::engine::messenger::api::version($flexible);
        }
    };
}
pub(super) use request_body;

pub(super) const fn version(number: i16) -> rskafka::protocol::api_version::ApiVersion {
    rskafka::protocol::api_version::ApiVersion(rskafka::protocol::primitives::Int16(number))
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    // Topic names and client ids are far shorter; validated before they get here.
    out.extend_from_slice(&(text.len() as i16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use rskafka::protocol::messages::ReadVersionedType;

    use super::*;

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

    fn read_both(bytes: &[u8]) -> (bool, bool) {
        let produce = ProduceResponse::read_versioned(&mut Cursor::new(bytes.to_vec()), version(8));
        let metadata = MetadataResponse::read_versioned(&mut Cursor::new(bytes.to_vec()), version(7));
        (produce.is_ok(), metadata.is_ok())
    }

    #[test]
    fn the_answers_that_are_mutated_below_are_valid() {
        assert!(read_both(&produce_answer()).0);
        assert!(read_both(&metadata_answer()).1);
    }

    /// An allocation that trusted a length would end this test: a mutated one claims up to two billion elements.
    #[test]
    fn a_million_mutated_answers_neither_panic_nor_allocate_what_they_claim() {
        let valid = [produce_answer(), metadata_answer()];
        let mut random = fastrand::Rng::with_seed(1);
        let mut refused = 0;
        for _ in 0..500_000 {
            let mut bytes = valid[random.usize(..2)].clone();
            for _ in 0..random.usize(1..5) {
                let at = random.usize(..bytes.len());
                match random.u8(..4) {
                    0 => bytes[at] = random.u8(..),
                    1 => bytes.truncate(at.max(1)),
                    2 => bytes.insert(at, random.u8(..)),
                    _ => bytes[at] ^= 1 << random.u8(..8),
                }
            }
            // Both readers look at it: a million answers.
            let (produce, metadata) = read_both(&bytes);
            refused += usize::from(!produce) + usize::from(!metadata);
        }
        assert!(refused > 500_000, "{refused} were refused");
    }
}
