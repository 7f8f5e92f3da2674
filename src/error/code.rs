//! The registry of stable codes, three of them.

names! {
    /// What failed, as a stable code for logs, alerts and other services. Finer causes are
    /// [`ErrorKind`](crate::ErrorKind)s.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum ErrorCode {
        /// `KAFKA_BROKERS_UNAVAILABLE`
        BrokersUnavailable = "KAFKA_BROKERS_UNAVAILABLE",
        /// `KAFKA_SEND_FAILED`
        SendFailed = "KAFKA_SEND_FAILED",
        /// `KAFKA_INVALID_CONFIG`
        InvalidConfig = "KAFKA_INVALID_CONFIG",
    }

    /// The code as it is written in logs.
    as_str;

    /// Every code, in the order of the registry.
    ALL;
}

impl ErrorCode {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_holds_the_three_stable_codes() {
        let codes: Vec<_> = ErrorCode::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(codes, ["KAFKA_BROKERS_UNAVAILABLE", "KAFKA_SEND_FAILED", "KAFKA_INVALID_CONFIG"]);
    }
}
