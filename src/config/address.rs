//! `host:port`, as it stands in a bootstrap list.

use std::fmt;

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Address {
    pub(crate) fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// Reads `host:port` or `[ipv6]:port`. The error is a clause that follows the offending entry.
    pub(crate) fn parse(entry: &str) -> Result<Self, &'static str> {
        let entry = entry.trim();
        if entry.is_empty() {
            return Err("is empty; expected host:port");
        }
        if entry.contains("://") {
            return Err("has a scheme; expected host:port without one");
        }
        if entry.contains(',') {
            return Err("holds several addresses; pass one entry per broker");
        }
        if let Some(rest) = entry.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or("lacks the closing ']' of its IPv6 address")?;
            host.parse::<std::net::Ipv6Addr>()
                .map_err(|_| "has no valid IPv6 address between its brackets")?;
            let port = rest.strip_prefix(':').ok_or("has no port; expected [ipv6]:port")?;
            return Ok(Self::new(host, parse_port(port)?));
        }
        let (host, port) = entry.rsplit_once(':').ok_or("has no port; expected host:port")?;
        if host.contains(':') {
            return Err("looks like an IPv6 address; write it as [ipv6]:port");
        }
        if host.is_empty() {
            return Err("has no host; expected host:port");
        }
        if host.chars().any(|c| c.is_whitespace() || c == '/' || c == '@') {
            return Err("has a host with characters that no host name holds");
        }
        Ok(Self::new(host, parse_port(port)?))
    }
}

fn parse_port(port: &str) -> Result<u16, &'static str> {
    match port.parse::<u16>() {
        Ok(0) | Err(_) => Err("has a bad port; expected a number from 1 to 65535"),
        Ok(port) => Ok(port),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A broker may advertise anything as its host.
        let host = crate::error::printable(&self.host);
        match host.parse::<std::net::Ipv6Addr>() {
            Ok(_) => write!(f, "[{host}]:{}", self.port),
            Err(_) => write!(f, "{host}:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ipv4_and_bracketed_ipv6_are_addresses() {
        for (entry, host, port) in [
            ("kafka-1:9092", "kafka-1", 9092),
            (" 127.0.0.1:1 ", "127.0.0.1", 1),
            ("[::1]:65535", "::1", 65535),
        ] {
            let address = Address::parse(entry).unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port));
            assert_eq!(address.to_string(), entry.trim());
        }
    }

    #[test]
    fn each_invalid_entry_says_what_is_wrong_with_it() {
        for (entry, reason) in [
            ("", "empty"),
            ("kafka", "no port"),
            ("kafka:0", "bad port"),
            ("kafka:99999", "bad port"),
            ("kafka:http", "bad port"),
            (":9092", "no host"),
            ("::1:9092", "[ipv6]:port"),
            ("[::1]", "no port"),
            ("[::1:9092", "closing"),
            ("[kafka]:9092", "IPv6"),
            ("kafka://h:9092", "scheme"),
            ("a:1,b:2", "several"),
            ("us er@h:1", "characters"),
        ] {
            let problem = Address::parse(entry).unwrap_err();
            assert!(problem.contains(reason), "{entry:?}: {problem}");
        }
    }
}
