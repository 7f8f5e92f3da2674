//! From a name and a port to a socket.

mod canonical;
mod dial;
mod proxy;
mod race;

pub(crate) use canonical::canonical_names;
pub(crate) use dial::dial;
pub(crate) use proxy::tunnel;
pub(crate) use race::{HEAD_START, race};
