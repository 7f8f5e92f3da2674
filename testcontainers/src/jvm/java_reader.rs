//! Kafka's Java consumer as a process that reads one topic after another.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{JvmError, Result};

const PROGRAM: &str = include_str!("Reader.java");
/// The line after the last record of a topic.
const END: &str = "end";

/// A running consumer. It ends when it is dropped, and with this process, since its input ends then.
#[derive(Debug)]
pub(super) struct JavaReader {
    _process: Child,
    topics: ChildStdin,
    printed: Lines<BufReader<ChildStdout>>,
    errors: PathBuf,
}

impl JavaReader {
    /// Starts one for a cluster; `dir` holds its program and what it complains about.
    pub(super) fn start(dir: &Path, libs: &Path, bootstrap: &[String]) -> Result<Self> {
        let (program, errors) = (dir.join("Reader.java"), dir.join("reader.log"));
        fs::write(&program, PROGRAM)?;
        let mut process = Command::new("java")
            .arg("-cp")
            .arg(libs.join("*"))
            .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"])
            .arg(program)
            .arg(bootstrap.join(","))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&errors)?)
            .kill_on_drop(true)
            .spawn()?;
        let pipes = process.stdin.take().zip(process.stdout.take());
        let (topics, printed) = pipes.ok_or_else(|| std::io::Error::other("java has no pipes"))?;
        Ok(Self { _process: process, topics, printed: BufReader::new(printed).lines(), errors })
    }

    /// The lines that it prints of a topic, one for each record.
    pub(super) async fn read(&mut self, topic: &str) -> Result<Vec<String>> {
        // Where it has ended already, its output says why.
        _ = self.topics.write_all(format!("{topic}\n").as_bytes()).await;
        let mut lines = Vec::new();
        while let Some(line) = self.printed.next_line().await? {
            if line == END {
                return Ok(lines);
            }
            lines.push(line);
        }
        Err(JvmError::Command {
            command: format!("reading {topic} by Kafka's consumer"),
            output: fs::read_to_string(&self.errors).unwrap_or_default(),
        })
    }
}
