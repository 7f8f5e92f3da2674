//! `InitProducerId`: where idempotence begins (KIP-98).

use super::{Malformed, Reader, Writer, request_body};

/// Asks for a producer id that belongs to no transaction.
#[derive(Debug)]
pub(crate) struct InitProducerIdRequest;

#[derive(Debug)]
pub(crate) struct InitProducerIdResponse {
    pub(crate) error_code: i16,
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
}

request_body!(InitProducerIdRequest => InitProducerIdResponse, InitProducerId, 0..=5, flexible from 2);

impl InitProducerIdRequest {
    fn write(&self, writer: &mut Writer<'_>, version: i16) {
        writer.null_string(); // no transactional id
        writer.i32(i32::MAX); // transaction timeout: unused
        if version >= 3 {
            writer.i64(-1); // no present producer id
            writer.i16(-1); // no present epoch
        }
    }
}

impl InitProducerIdResponse {
    fn read(reader: &mut Reader<'_>, _: i16) -> Result<Self, Malformed> {
        let _throttle_ms = reader.i32()?;
        let answer = Self { error_code: reader.i16()?, producer_id: reader.i64()?, epoch: reader.i16()? };
        // On the wire such numbers stand for a producer without idempotence.
        if answer.error_code == 0 && (answer.producer_id < 0 || answer.epoch < 0) {
            return Err(Malformed("a producer id or epoch below zero"));
        }
        Ok(answer)
    }
}
