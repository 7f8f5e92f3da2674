//! The registry of stable codes, three of them.

use std::fmt;

/// What failed, as a stable code for logs, alerts and other services. Finer causes are
/// [`ErrorKind`](crate::ErrorKind)s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// `KAFKA_BROKERS_UNAVAILABLE`
    BrokersUnavailable,
    /// `KAFKA_SEND_FAILED`
    SendFailed,
    /// `KAFKA_INVALID_CONFIG`
    InvalidConfig,
}

impl ErrorCode {
    /// Every code, in the order of the registry.
    pub const ALL: [Self; 3] = [Self::BrokersUnavailable, Self::SendFailed, Self::InvalidConfig];

    /// The code as it is written in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BrokersUnavailable => "KAFKA_BROKERS_UNAVAILABLE",
            Self::SendFailed => "KAFKA_SEND_FAILED",
            Self::InvalidConfig => "KAFKA_INVALID_CONFIG",
        }
    }

    /// One line for people.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::BrokersUnavailable => "cannot connect to any broker",
            Self::SendFailed => "message send operation failed",
            Self::InvalidConfig => "configuration validation failed",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_holds_the_three_stable_codes() {
        let codes: Vec<_> = ErrorCode::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(codes, ["KAFKA_BROKERS_UNAVAILABLE", "KAFKA_SEND_FAILED", "KAFKA_INVALID_CONFIG"]);
    }
}
