//! A cluster in a separate process, that ends with its standard input.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use super::{ForeignError, Result};

/// How long it may take until it listens.
const READY_LIMIT: Duration = Duration::from_secs(90);

/// A process that printed its addresses. Its input closes with a drop, or with this process, however that ends; it
/// then ends by itself.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    pub(super) addresses: Vec<String>,
}

impl Process {
    pub(super) async fn start(mut command: Command) -> Result<Self> {
        let shown = format!("{command:?}");
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        // Its owner from here on, so that it ends whatever happens.
        let mut process = Self { child, addresses: Vec::new() };
        let reading = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            if let Some(stdout) = stdout {
                BufReader::new(stdout).read_line(&mut line)?;
            }
            Ok::<_, std::io::Error>(line)
        });
        let line = match tokio::time::timeout(READY_LIMIT, reading).await {
            Ok(read) => read.map_err(std::io::Error::other)??,
            Err(_) => String::new(),
        };
        if line.trim().is_empty() {
            process.end();
            return Err(ForeignError::Command { command: shown, output: said(stderr) });
        }
        process.addresses = line.trim().split(',').map(str::to_owned).collect();
        // Whatever it says from here on is not kept, and must not fill a pipe.
        std::thread::spawn(move || said(stderr));
        Ok(process)
    }

    fn end(&mut self) {
        drop(self.child.stdin.take());
        // It may have ended by itself already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

fn said(stderr: Option<ChildStderr>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut stderr) = stderr {
        // What could be read says enough.
        _ = stderr.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Runs a command to its end.
pub(super) async fn run(command: Command) -> Result<()> {
    let shown = format!("{command:?}");
    let output = tokio::process::Command::from(command).kill_on_drop(true).output().await?;
    if output.status.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Err(ForeignError::Command { command: shown, output })
}
