//! Whether a cluster can be run here.

use std::io::Write;

/// Whether a cluster can be run here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Availability {
    /// Yes.
    Ready,
    /// No.
    #[non_exhaustive]
    Missing {
        /// What is missing.
        what: &'static str,
        /// How to get it.
        remedy: &'static str,
    },
}

impl Availability {
    /// Whether a test can go on; prints that it is skipped, or panics where `KAFKA_TESTS=required` is set.
    pub(crate) fn or_skip(self, test: &str, cluster: &str) -> bool {
        let Self::Missing { what, remedy } = self else {
            return true;
        };
        assert!(
            std::env::var("KAFKA_TESTS").as_deref() != Ok("required"),
            "{test} needs {cluster}, and {what} is missing: {remedy}"
        );
        // Past the test harness, which would keep it to itself.
        let said = writeln!(std::io::stderr(), "SKIPPED {test}: {cluster} needs {what}: {remedy}");
        drop(said);
        false
    }
}
