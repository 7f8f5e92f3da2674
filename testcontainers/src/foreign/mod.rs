//! Brokers that are not Apache Kafka, each in a separate process.

mod kfake;
mod mock;
mod process;

pub use self::kfake::{KfakeCluster, KfakeClusterBuilder};
pub use self::mock::LibrdkafkaMock;

/// Why a broker that is not Apache Kafka could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForeignError {
    /// A tool is missing.
    #[error("{what} is missing: {remedy}")]
    Missing {
        /// The tool.
        what: &'static str,
        /// How to get it.
        remedy: &'static str,
    },
    /// A command failed, or printed no address in time.
    #[error("{command} failed: {output}")]
    Command {
        /// The command.
        command: String,
        /// What it said.
        output: String,
    },
    /// Input or output failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

type Result<T, E = ForeignError> = std::result::Result<T, E>;
