//! The jars: fetched once by Maven, kept between runs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{JvmError, Result, VERSION};
use crate::availability::Availability;
use crate::home;

/// Whether this version of Kafka can be run here.
pub(super) fn availability(version: &str) -> Availability {
    let runs =
        |program: &str| Command::new(program).arg("-version").output().is_ok_and(|o| o.status.success());
    if !runs("java") {
        return Availability::Missing {
            what: "Java 17 or later",
            remedy: "install a JDK, such as Debian's openjdk-17-jdk-headless",
        };
    }
    if !is_complete(&home::of(version)) && !runs("mvn") {
        return Availability::Missing { what: "Maven", remedy: "install it, such as Debian's maven" };
    }
    Availability::Ready
}

fn is_complete(home: &std::path::Path) -> bool {
    home.join("libs").is_dir()
}

/// The folder of the jars. They are fetched beside it and moved there whole, so that processes that fetch at the same
/// time do not meet.
pub(super) async fn libs(version: &str) -> Result<PathBuf> {
    if let Availability::Missing { what, remedy } = availability(version) {
        return Err(JvmError::Missing { what, remedy });
    }
    let home = home::of(version);
    if !is_complete(&home) {
        let fetched = home.with_extension(format!("fetching-{}", std::process::id()));
        fs::create_dir_all(&fetched)?;
        fetch(&fetched, version).await?;
        if fs::rename(&fetched, &home).is_err() {
            // Another process was faster.
            fs::remove_dir_all(&fetched)?;
        }
    }
    Ok(home.join("libs"))
}

async fn fetch(home: &std::path::Path, version: &str) -> Result<()> {
    fs::write(home.join("pom.xml"), pom(version))?;
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

fn pom(version: &str) -> String {
    let dependency = |group: &str, artifact: &str, version: &str| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>"
        )
    };
    let kafka = "org.apache.kafka";
    let dependencies = match version {
        VERSION => {
            dependency(kafka, "kafka_2.13", version)
                + &dependency(kafka, "kafka-tools", version)
                + &dependency("org.slf4j", "slf4j-nop", "1.7.36")
        }
        // Before 2.4 there is none for Scala 2.13.
        old => {
            let scala = if ["0.", "1."].iter().any(|early| old.starts_with(early)) { "2.12" } else { "2.13" };
            dependency(kafka, &format!("kafka_{scala}"), old)
                + &dependency("org.slf4j", "slf4j-log4j12", "1.7.25")
                // Part of Java when 0.11 was written.
                + &dependency("javax.xml.bind", "jaxb-api", "2.3.1")
        }
    };
    format!(
        "<project><modelVersion>4.0.0</modelVersion><groupId>testbed</groupId><artifactId>kafka</artifactId>\
         <version>1</version><packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>"
    )
}
