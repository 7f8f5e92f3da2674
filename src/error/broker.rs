//! An error code of the Kafka protocol.

use std::fmt;

use super::row;

/// What a broker answered: an error code of the Kafka protocol and its name.
///
/// See <https://kafka.apache.org/protocol#protocol_error_codes>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BrokerError {
    code: i16,
}

impl BrokerError {
    pub(crate) const fn new(code: i16) -> Self {
        Self { code }
    }

    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> i16 {
        self.code
    }

    /// Kafka's name for it, such as `NOT_LEADER_OR_FOLLOWER`; `UNKNOWN` for a code that we have no name for.
    #[must_use]
    pub fn name(self) -> &'static str {
        row(self.code).name
    }
}

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.code)
    }
}
