//! From an address to requests and answers: a stream of bytes, encrypted or not, and the frames on it.

pub(super) mod custom;
pub(super) mod frame;
#[cfg(feature = "tls")]
pub(super) mod tls;
pub(super) mod wire;
