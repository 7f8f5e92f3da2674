//! The jars: fetched once by Maven, kept between runs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{JvmError, Result, VERSION};

/// Whether a real Kafka can be run here.
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

pub(super) fn availability() -> Availability {
    let runs =
        |program: &str| Command::new(program).arg("-version").output().is_ok_and(|o| o.status.success());
    if !runs("java") {
        return Availability::Missing {
            what: "Java 17 or later",
            remedy: "install a JDK, such as Debian's openjdk-17-jdk-headless",
        };
    }
    if !is_complete(&home()) && !runs("mvn") {
        return Availability::Missing { what: "Maven", remedy: "install it, such as Debian's maven" };
    }
    Availability::Ready
}

/// Where the jars are kept: `KAFKA_TESTBED_HOME`, or beside the build's artefacts.
fn home() -> PathBuf {
    if let Some(home) = std::env::var_os("KAFKA_TESTBED_HOME") {
        return PathBuf::from(home).join(VERSION);
    }
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    target.join("kafka-testbed").join(VERSION)
}

fn is_complete(home: &std::path::Path) -> bool {
    home.join("libs").is_dir()
}

/// The folder of the jars. They are fetched beside it and moved there whole, so that processes that fetch at the same
/// time do not meet.
pub(super) async fn libs() -> Result<PathBuf> {
    if let Availability::Missing { what, remedy } = availability() {
        return Err(JvmError::Missing { what, remedy });
    }
    let home = home();
    if !is_complete(&home) {
        let fetched = home.with_extension(format!("fetching-{}", std::process::id()));
        fs::create_dir_all(&fetched)?;
        fetch(&fetched).await?;
        if fs::rename(&fetched, &home).is_err() {
            // Another process was faster.
            fs::remove_dir_all(&fetched)?;
        }
    }
    Ok(home.join("libs"))
}

async fn fetch(home: &std::path::Path) -> Result<()> {
    fs::write(home.join("pom.xml"), pom())?;
    let output = tokio::process::Command::new("mvn")
        .args(["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=libs"])
        .current_dir(home)
        .output()
        .await?;
    if output.status.success() {
        return Ok(());
    }
    Err(JvmError::Command {
        command: "mvn dependency:copy-dependencies".into(),
        output: String::from_utf8_lossy(&output.stdout).into_owned(),
    })
}

fn pom() -> String {
    let dependency = |group: &str, artifact: &str, version: &str| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>"
        )
    };
    format!(
        "<project><modelVersion>4.0.0</modelVersion><groupId>testbed</groupId><artifactId>kafka</artifactId>\
         <version>1</version><packaging>pom</packaging><dependencies>{}{}{}</dependencies></project>",
        dependency("org.apache.kafka", "kafka_2.13", VERSION),
        dependency("org.apache.kafka", "kafka-tools", VERSION),
        dependency("org.slf4j", "slf4j-nop", "1.7.36"),
    )
}
