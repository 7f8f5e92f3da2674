//! `InitProducerId`: where idempotence begins (KIP-98).

use std::io::Cursor;

use rskafka::protocol::api_version::ApiVersion;
use rskafka::protocol::messages::{
    ReadVersionedError, ReadVersionedType, WriteVersionedError, WriteVersionedType,
};

use super::{Malformed, Reader, Writer, request_body, version};

const FLEXIBLE: ApiVersion = version(2);

/// Asks for a producer id that belongs to no transaction.
#[derive(Debug)]
pub(crate) struct InitProducerIdRequest;

#[derive(Debug)]
pub(crate) struct InitProducerIdResponse {
    pub(crate) error_code: i16,
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
}

request_body!(InitProducerIdRequest => InitProducerIdResponse, InitProducerId, 0..=5, flexible from FLEXIBLE);

impl WriteVersionedType<Vec<u8>> for InitProducerIdRequest {
    fn write_versioned(&self, out: &mut Vec<u8>, api_version: ApiVersion) -> Result<(), WriteVersionedError> {
        let mut writer = Writer::new(out, api_version >= FLEXIBLE);
        writer.null_string(); // no transactional id
        writer.i32(i32::MAX); // transaction timeout: unused
        if api_version >= version(3) {
            writer.i64(-1); // no present producer id
            writer.i16(-1); // no present epoch
        }
        writer.tagged_fields();
        Ok(())
    }
}

impl ReadVersionedType<Cursor<Vec<u8>>> for InitProducerIdResponse {
    fn read_versioned(
        cursor: &mut Cursor<Vec<u8>>,
        api_version: ApiVersion,
    ) -> Result<Self, ReadVersionedError> {
        let mut reader = Reader::new(cursor, api_version >= FLEXIBLE)?;
        let _throttle_ms = reader.i32()?;
        let answer = Self { error_code: reader.i16()?, producer_id: reader.i64()?, epoch: reader.i16()? };
        reader.tagged_fields()?;
        // On the wire such numbers stand for a producer without idempotence.
        if answer.error_code == 0 && (answer.producer_id < 0 || answer.epoch < 0) {
            return Err(Malformed("a producer id or epoch below zero").into());
        }
        Ok(answer)
    }
}
