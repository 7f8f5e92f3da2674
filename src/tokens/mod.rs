//! Credentials that a server issues for a while: fetched when they are needed, kept, and refreshed before they expire.

mod cache;
#[cfg(feature = "oidc")]
mod oidc;
mod policy;

pub(crate) use self::cache::{Cached, Fetch};
pub(crate) use self::policy::Fetched;
