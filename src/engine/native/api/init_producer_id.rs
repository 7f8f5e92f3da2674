//! `InitProducerId`: where idempotence begins (KIP-98).

use super::{ApiKey, Malformed, Reader, Request, VersionRange, Writer};

/// Asks for a producer id that belongs to no transaction.
#[derive(Debug)]
pub(crate) struct InitProducerIdRequest;

#[derive(Debug)]
pub(crate) struct InitProducerIdResponse {
    pub(crate) error_code: i16,
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
}

impl Request for InitProducerIdRequest {
    const KEY: ApiKey = ApiKey::InitProducerId;
    const VERSIONS: VersionRange = VersionRange::new(0, 6);
    const FLEXIBLE_FROM: i16 = 2;
    type Answer = InitProducerIdResponse;

    fn write<'a>(&'a self, writer: &mut Writer<'_, 'a>, version: i16) {
        writer.null_string(); // no transactional id
        writer.i32(i32::MAX); // transaction timeout: unused
        if version >= 3 {
            writer.i64(-1); // no present producer id
            writer.i16(-1); // no present epoch
        }
        if version >= 6 {
            writer.bool(false); // no two-phase commit (KIP-939)
            writer.bool(false); // no prepared transaction to keep
        }
        writer.tagged_fields();
    }

    fn read(reader: &mut Reader<'_>, version: i16) -> Result<Self::Answer, Malformed> {
        let _throttle_ms = reader.i32()?;
        let (error_code, producer_id, epoch) = (reader.i16()?, reader.i64()?, reader.i16()?);
        if version >= 6 {
            let _ongoing_transaction = (reader.i64()?, reader.i16()?);
        }
        reader.tagged_fields()?;
        // On the wire such numbers stand for a producer without idempotence.
        if error_code == 0 && (producer_id < 0 || epoch < 0) {
            return Err(Malformed("a producer id or epoch below zero"));
        }
        Ok(InitProducerIdResponse { error_code, producer_id, epoch })
    }
}
