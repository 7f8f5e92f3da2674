//! The brokers to start from.

use futures_util::future::join_all;
use parking_lot::Mutex;

use crate::config::{Address, DnsLookup};
use crate::net::canonical_names;

/// The brokers of the configuration, under the names by which they are to be reached.
pub(super) struct Bootstrap {
    configured: Vec<Address>,
    lookup: DnsLookup,
    /// The canonical names, once all are known.
    canonical: Mutex<Option<Vec<Address>>>,
}

impl Bootstrap {
    pub(super) fn new(configured: Vec<Address>, lookup: DnsLookup) -> Self {
        Self { configured, lookup, canonical: Mutex::default() }
    }

    pub(super) fn addresses(&self) -> Vec<Address> {
        self.canonical.lock().as_ref().unwrap_or(&self.configured).clone()
    }

    pub(super) fn contains(&self, address: &Address) -> bool {
        self.canonical.lock().as_ref().unwrap_or(&self.configured).contains(address)
    }

    /// Looks canonical names up, where they are wanted and not known. Where one is not found, all are looked up again the next
    /// time; connecting says by then what is wrong.
    pub(super) async fn resolve(&self) {
        if self.lookup == DnsLookup::UseAllDnsIps || self.canonical.lock().is_some() {
            return;
        }
        let found = join_all(self.configured.iter().map(canonical_names)).await;
        let Ok(found) = found.into_iter().collect::<Result<Vec<_>, _>>() else { return };
        let mut names = Vec::new();
        for name in found.into_iter().flatten() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        *self.canonical.lock() = Some(names);
    }

    /// Has the names looked up again: a name server may have changed them.
    pub(super) fn forget(&self) {
        *self.canonical.lock() = None;
    }
}
