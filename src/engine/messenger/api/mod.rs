//! The four requests of a producer, as bodies for rskafka's `Messenger`.
//!
//! rskafka's own types lack what a producer needs (`InitProducerId`, several partitions encoded in place, the
//! error details of Produce v8), and its array reader trusts lengths; these bodies bound every length by the
//! bytes that are there. Layouts: <https://kafka.apache.org/protocol#protocol_messages>.

mod init_producer_id;
mod metadata;
mod produce;
mod reader;

pub(super) use init_producer_id::InitProducerIdRequest;
pub(super) use metadata::{MetadataRequest, MetadataResponse, Topic};
pub(super) use produce::{ProduceRequest, ProduceResponse};
pub(super) use reader::Reader;

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
