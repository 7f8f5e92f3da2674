//! From a name and a port to a socket.

mod dial;
mod proxy;
mod race;

pub(crate) use dial::dial;
pub(crate) use proxy::tunnel;
pub(crate) use race::{HEAD_START, race};
