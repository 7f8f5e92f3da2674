//! The bodies of a producer's requests and of their answers.
//!
//! Every length that a broker claims is bounded by the bytes that are there. Layouts:
//! <https://kafka.apache.org/protocol#protocol_messages>.

mod api_versions;
mod init_producer_id;
mod key;
mod metadata;
mod produce;
mod reader;
mod sasl;
mod writer;

pub(super) use api_versions::{ApiVersionsRequest, ApiVersionsResponse, Software, UNSUPPORTED_VERSION};
pub(super) use init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
pub(super) use key::{ApiKey, VersionRange, Versions};
pub(super) use metadata::{Broker, MetadataRequest, MetadataResponse, Topic};
pub(super) use produce::{ProduceRequest, ProduceResponse, TopicKey};
pub(super) use reader::{Malformed, Reader};
pub(super) use sasl::{SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest};
pub(super) use writer::{Parts, Writer};

/// A request of a producer, and its answer.
pub(crate) trait Request: Send + Sync {
    const KEY: ApiKey;
    /// Those that we speak.
    const VERSIONS: VersionRange;
    /// The first version in the flexible encoding (KIP-482).
    const FLEXIBLE_FROM: i16;
    type Answer: Send;

    /// The newest version in which this very request can be written.
    fn newest(&self) -> i16 {
        Self::VERSIONS.max
    }

    fn write<'a>(&'a self, writer: &mut Writer<'_, 'a>, version: i16);

    fn read(reader: &mut Reader<'_>, version: i16) -> Result<Self::Answer, Malformed>;
}

#[cfg(test)]
mod against_kafka_protocol;
#[cfg(test)]
mod golden;

#[cfg(test)]
mod tests {
    use super::super::net::frame::read_answer;
    use super::*;

    fn put_string(out: &mut Vec<u8>, text: &str) {
        out.extend((text.len() as i16).to_be_bytes());
        out.extend(text.as_bytes());
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

    fn reads<R: Request>(bytes: &[u8], version: i16) -> bool {
        read_answer::<R>(bytes, version).is_ok()
    }

    type Reads = fn(&[u8]) -> bool;

    /// Every answer that a broker gives, and what reads it.
    fn answers() -> [(Vec<u8>, Reads); 6] {
        [
            (produce_answer(), |bytes| reads::<ProduceRequest<'_>>(bytes, 8)),
            (metadata_answer(), |bytes| reads::<MetadataRequest<'_>>(bytes, 7)),
            (api_versions_answer(), |bytes| reads::<ApiVersionsRequest<'_>>(bytes, 3)),
            (handshake_answer(), |bytes| reads::<SaslHandshakeRequest>(bytes, 1)),
            (authenticate_answer(), |bytes| reads::<SaslAuthenticateRequest>(bytes, 1)),
            (producer_id_answer(), |bytes| reads::<InitProducerIdRequest>(bytes, 1)),
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
