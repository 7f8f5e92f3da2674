//! librdkafka's mock cluster, from the Python package that brings it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::process::{self, Process};
use super::{ForeignError, Result};
use crate::availability::Availability;
use crate::home;

/// Of confluent-kafka, and of the librdkafka in it.
const VERSION: &str = "2.12.0";
const PROGRAM: &str = include_str!("librdkafka_mock.py");

/// librdkafka's mock cluster, as in rdkafka's `MockCluster` and in confluent-kafka's `test.mock.num.brokers`. Needs
/// Python 3 with pip. It creates topics by itself. Dropping it ends its process; so does the end of this process,
/// however it comes.
#[derive(Debug)]
pub struct LibrdkafkaMock {
    process: Process,
}

impl LibrdkafkaMock {
    /// Whether Python and pip are installed.
    #[must_use]
    pub fn availability() -> Availability {
        let pip = Command::new("python3").args(["-m", "pip", "--version"]).output();
        match pip.is_ok_and(|output| output.status.success()) {
            true => Availability::Ready,
            false => Availability::Missing {
                what: "Python 3 with pip",
                remedy: "install them, such as Debian's python3-pip",
            },
        }
    }

    /// For tests: whether to go on. Prints what is skipped where Python is missing.
    ///
    /// # Panics
    ///
    /// Instead of skipping, if `KAFKA_TESTS=required` is set.
    #[must_use]
    pub fn available_or_skip(test: &str) -> bool {
        Self::availability().or_skip(test, "librdkafka's mock cluster")
    }

    /// Fetches it if it is not here, and starts it with these topics, of four partitions each.
    ///
    /// # Errors
    ///
    /// If Python is missing, or cannot fetch it, or it does not start.
    pub async fn start(brokers: usize, topics: &[&str]) -> Result<Self> {
        if let Availability::Missing { what, remedy } = Self::availability() {
            return Err(ForeignError::Missing { what, remedy });
        }
        let mut command = Command::new("python3");
        command.env("PYTHONPATH", packages().await?).args(["-c", PROGRAM, &brokers.to_string()]).args(topics);
        Ok(Self { process: Process::start(command).await? })
    }

    /// `host:port` of every broker.
    #[must_use]
    pub fn bootstrap(&self) -> Vec<String> {
        self.process.addresses.clone()
    }
}

/// A folder with the package, fetched beside it and moved there whole.
async fn packages() -> Result<PathBuf> {
    let home = home::of(&format!("confluent-kafka-{VERSION}"));
    if !home.is_dir() {
        let fetched = home.with_extension(format!("fetching-{}", std::process::id()));
        fs::create_dir_all(&fetched)?;
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--target"]);
        pip.arg(&fetched).arg(format!("confluent-kafka=={VERSION}"));
        process::run(pip).await?;
        if fs::rename(&fetched, &home).is_err() {
            // Another process was faster.
            fs::remove_dir_all(&fetched)?;
        }
    }
    Ok(home)
}
