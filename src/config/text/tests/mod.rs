//! What the table promises: complete, documented, read as printed, and silent about secrets.

mod complete;
mod files;
mod oidc;
mod round_trip;
mod vendors;

use super::*;

fn read<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> crate::error::Result<ProducerConfig> {
    ProducerConfig::from_properties(pairs)
}
