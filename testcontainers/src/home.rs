//! Where what is fetched and built stays between runs.

use std::path::PathBuf;

/// A folder in `KAFKA_TESTBED_HOME`, or beside the build's artefacts.
pub(crate) fn of(what: &str) -> PathBuf {
    if let Some(home) = std::env::var_os("KAFKA_TESTBED_HOME") {
        return PathBuf::from(home).join(what);
    }
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    target.join("kafka-testbed").join(what)
}
