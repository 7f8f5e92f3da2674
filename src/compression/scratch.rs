//! Room that a thread keeps for work on a whole batch. A megabyte that an allocator gives back and takes again, page by
//! page, costs more than what it is needed for.

/// What a thread keeps, in bytes: enough for batches of the usual size, which hold more where they shrink.
const KEPT: usize = 4 << 20;

/// Gives back what is beyond that.
pub(crate) fn trim(room: &mut Vec<u8>) {
    room.truncate(KEPT);
    room.shrink_to(KEPT);
}
