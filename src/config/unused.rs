//! What was configured and has no effect: the producer reports it when it is created.

use std::collections::BTreeMap;

/// Settings and variables without effect.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unused {
    /// By the reason, the settings as they were written.
    pub(crate) settings: BTreeMap<&'static str, Vec<String>>,
    /// Environment variables with the prefix of this crate's that are not settings.
    pub(crate) variables: Vec<String>,
}
