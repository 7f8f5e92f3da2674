//! franz-go's fake cluster, built once by Go.

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{self, Process};
use super::{ForeignError, Result};
use crate::availability::Availability;
use crate::fake::Api;
use crate::home;
use crate::{PASSWORD, USER};

/// The program around kfake, whose version its `go.mod` pins.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kfake");

/// [kfake](https://pkg.go.dev/github.com/twmb/franz-go/pkg/kfake), the fake cluster of the Go client franz-go. Needs
/// Go. Dropping it ends its process; so does the end of this process, however it comes.
#[derive(Debug)]
pub struct KfakeCluster {
    process: Process,
}

/// Settings of a [`KfakeCluster`]; [`KfakeCluster::builder`] begins one.
#[derive(Clone, Debug, Default)]
pub struct KfakeClusterBuilder {
    args: Vec<String>,
}

impl KfakeCluster {
    /// How to make one: one broker, without topics, as released.
    #[must_use]
    pub fn builder() -> KfakeClusterBuilder {
        KfakeClusterBuilder::default()
    }

    /// Whether Go is installed.
    #[must_use]
    pub fn availability() -> Availability {
        match Command::new("go").arg("version").output().is_ok_and(|output| output.status.success()) {
            true => Availability::Ready,
            false => Availability::Missing { what: "Go", remedy: "install it, as https://go.dev/dl says" },
        }
    }

    /// For tests: whether to go on. Prints what is skipped where Go is missing.
    ///
    /// # Panics
    ///
    /// Instead of skipping, if `KAFKA_TESTS=required` is set.
    #[must_use]
    pub fn available_or_skip(test: &str) -> bool {
        Self::availability().or_skip(test, "kfake")
    }

    /// `host:port` of every broker.
    #[must_use]
    pub fn bootstrap(&self) -> Vec<String> {
        self.process.addresses.clone()
    }
}

impl KfakeClusterBuilder {
    /// Number of brokers. Default 1.
    #[must_use]
    pub fn brokers(self, brokers: usize) -> Self {
        self.arg("-brokers", brokers.to_string())
    }

    /// A topic that is there from the start.
    #[must_use]
    pub fn topic(self, name: &str, partitions: i32) -> Self {
        self.arg("-topic", format!("{name}:{partitions}"))
    }

    /// Has the brokers offer an API in these versions.
    #[must_use]
    pub fn offer(self, api: Api, versions: RangeInclusive<i16>) -> Self {
        self.arg("-offer", format!("{api:?}={}-{}", versions.start(), versions.end()))
    }

    /// Has the brokers not list an API.
    #[must_use]
    pub fn without(self, api: Api) -> Self {
        self.arg("-without", format!("{api:?}"))
    }

    /// Has the brokers demand a login as [`USER`] with [`PASSWORD`], by PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
    #[must_use]
    pub fn sasl(self) -> Self {
        self.arg("-sasl", format!("{USER}:{PASSWORD}"))
    }

    fn arg(mut self, flag: &str, value: String) -> Self {
        self.args.extend([flag.to_owned(), value]);
        self
    }

    /// Builds it if that was not done yet, and starts it.
    ///
    /// # Errors
    ///
    /// If Go is missing, or cannot fetch or build it, or it does not start.
    pub async fn start(self) -> Result<KfakeCluster> {
        if let Availability::Missing { what, remedy } = KfakeCluster::availability() {
            return Err(ForeignError::Missing { what, remedy });
        }
        let mut command = Command::new(built().await?);
        command.args(&self.args);
        Ok(KfakeCluster { process: Process::start(command).await? })
    }
}

/// The program. Go itself knows whether anything has changed since it was built last.
async fn built() -> Result<PathBuf> {
    static BUILDING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _turn = BUILDING.lock().await;
    let home = home::of("kfake");
    fs::create_dir_all(&home)?;
    let fresh = home.join(format!("building-{}", std::process::id()));
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&fresh).arg(".").current_dir(Path::new(SOURCE));
    process::run(build).await?;
    let program = home.join("kfake");
    // Processes that build at the same time do not meet, and one that runs keeps its file.
    fs::rename(&fresh, &program)?;
    Ok(program)
}
