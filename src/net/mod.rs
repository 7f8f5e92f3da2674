//! From a name and a port to a socket.

mod dial;
mod race;

pub(crate) use dial::dial;
pub(crate) use race::{HEAD_START, race};
