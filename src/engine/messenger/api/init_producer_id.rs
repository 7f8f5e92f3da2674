//! `InitProducerId`: where idempotence begins (KIP-98).

use std::io::Cursor;

use rskafka::protocol::api_version::ApiVersion;
use rskafka::protocol::messages::{
    ReadVersionedError, ReadVersionedType, WriteVersionedError, WriteVersionedType,
};

use super::{Malformed, Reader, request_body};

/// Asks for a producer id that belongs to no transaction.
#[derive(Debug)]
pub(in crate::engine::messenger) struct InitProducerIdRequest;

#[derive(Debug)]
pub(in crate::engine::messenger) struct InitProducerIdResponse {
    pub(in crate::engine::messenger) error_code: i16,
    pub(in crate::engine::messenger) producer_id: i64,
    pub(in crate::engine::messenger) epoch: i16,
}

request_body!(InitProducerIdRequest => InitProducerIdResponse, InitProducerId, 0..=1, flexible from 2);

impl WriteVersionedType<Vec<u8>> for InitProducerIdRequest {
    fn write_versioned(&self, out: &mut Vec<u8>, _: ApiVersion) -> Result<(), WriteVersionedError> {
        out.extend_from_slice(&(-1i16).to_be_bytes()); // no transactional id
        out.extend_from_slice(&i32::MAX.to_be_bytes()); // transaction timeout: unused
        Ok(())
    }
}

impl ReadVersionedType<Cursor<Vec<u8>>> for InitProducerIdResponse {
    fn read_versioned(cursor: &mut Cursor<Vec<u8>>, _: ApiVersion) -> Result<Self, ReadVersionedError> {
        let mut reader = Reader::new(cursor);
        let _throttle_ms = reader.i32()?;
        let answer = Self { error_code: reader.i16()?, producer_id: reader.i64()?, epoch: reader.i16()? };
        // On the wire such numbers stand for a producer without idempotence.
        if answer.error_code == 0 && (answer.producer_id < 0 || answer.epoch < 0) {
            return Err(Malformed("a producer id or epoch below zero").into());
        }
        Ok(answer)
    }
}
