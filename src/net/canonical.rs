//! From a name to the canonical names of its addresses.

use std::io;
use std::net::IpAddr;

use crate::config::Address;

/// The canonical name of each address that a host has, with its port; the address itself where it has no name, as Java's
/// `InetAddress.getCanonicalHostName` does.
///
/// Has no time limit itself. Dropping the future leaves the last look-up to itself.
///
/// # Errors
///
/// The host's name is not resolved.
pub(crate) async fn canonical_names(address: &Address) -> io::Result<Vec<Address>> {
    let found = tokio::net::lookup_host((address.host.as_str(), address.port)).await?;
    let ips: Vec<IpAddr> = found.map(|found| found.ip()).collect();
    // The system has no look-up that does not block.
    let names = tokio::task::spawn_blocking(move || ips.iter().map(name).collect::<Vec<_>>());
    let names = names.await.map_err(io::Error::other)?;
    Ok(names.into_iter().map(|name| Address::new(name, address.port)).collect())
}

fn name(ip: &IpAddr) -> String {
    dns_lookup::lookup_addr(ip).unwrap_or_else(|_| ip.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_without_a_name_stands_for_itself() {
        // Reserved for documentation (RFC 5737): it has no name.
        let found = canonical_names(&Address::new("192.0.2.1", 9092)).await.unwrap();
        assert_eq!(found, [Address::new("192.0.2.1", 9092)]);
    }

    #[tokio::test]
    async fn this_machine_has_a_name() {
        let found = canonical_names(&Address::new("127.0.0.1", 9092)).await.unwrap();
        assert_eq!((found.len(), found[0].port), (1, 9092));
        assert!(!found[0].host.is_empty());
    }

    #[tokio::test]
    async fn a_name_that_is_unknown_is_an_error() {
        assert!(canonical_names(&Address::new("kafka.invalid", 9092)).await.is_err());
    }
}
