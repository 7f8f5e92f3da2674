//! One node: its settings, its data and its process.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{JvmError, Result};

/// Any id will do, as long as all nodes have the same.
const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qg";

#[derive(Clone, Debug)]
pub(super) struct Jvm {
    pub(super) heap_mb: u32,
    pub(super) full_jit: bool,
    pub(super) properties: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) port: u16,
    dir: PathBuf,
    jvm: Jvm,
    /// Classes beside those of Kafka.
    classes: Option<PathBuf>,
    process: Option<Process>,
}

/// A JVM behind a shell that kills it when our end of a pipe closes: with a drop, or with this process.
#[derive(Debug)]
pub(super) struct Process {
    shell: Child,
    java: u32,
}

/// Starts `java` in the background, prints its id, waits for the pipe to close, and kills it.
const WATCHDOG: &str = r#"exec 3<&0; "$@" </dev/null >>kafka.log 2>&1 & p=$!; echo $p; cat <&3 >/dev/null; kill -9 $p 2>/dev/null"#;

impl Node {
    pub(super) fn new(
        dir: PathBuf,
        port: u16,
        mut config: BTreeMap<String, String>,
        jvm: Jvm,
        classes: Option<PathBuf>,
    ) -> Result<Self> {
        fs::create_dir_all(&dir)?;
        config.insert("log.dirs".into(), dir.join("data").display().to_string());
        let properties: String =
            config.iter().map(|(key, value)| format!("{key}={}\n", value.replace('\\', r"\\"))).collect();
        fs::write(dir.join("server.properties"), properties)?;
        Ok(Self { port, dir, jvm, classes, process: None })
    }

    pub(super) async fn format(&self, libs: &Path, scram_users: &[String]) -> Result<()> {
        let properties = self.dir.join("server.properties").display().to_string();
        let mut args = vec!["format", "-t", CLUSTER_ID, "-c", &properties, "--ignore-formatted"];
        args.extend(scram_users.iter().map(String::as_str));
        java(libs, &["-XX:TieredStopAtLevel=1", "-Xmx128m", "kafka.tools.StorageTool"], &args).await.map(drop)
    }

    pub(super) fn start(&mut self, libs: &Path) -> Result<()> {
        self.process = None;
        let mut options = heap_options(self.jvm.heap_mb);
        options.extend(self.jvm.properties.iter().cloned());
        if !self.jvm.full_jit {
            options.push("-XX:TieredStopAtLevel=1".into());
        }
        let class_path = class_path(libs, self.classes.as_deref());
        let class = ["kafka.Kafka", "server.properties"];
        self.process = Some(Process::start(&self.dir, &class_path, &options, &class)?);
        Ok(())
    }

    pub(super) fn signal(&self, signal: &str) -> Result<()> {
        let Some(process) = &self.process else {
            return Ok(());
        };
        let status = Command::new("kill").args([format!("-{signal}"), process.java.to_string()]).status()?;
        if status.success() {
            return Ok(());
        }
        Err(JvmError::Command { command: format!("kill -{signal}"), output: status.to_string() })
    }

    /// Has every write beyond so many bytes of a file fail with EFBIG, until the process ends.
    pub(super) fn limit_files(&self, bytes: u64) -> Result<()> {
        let Some(process) = &self.process else {
            return Ok(());
        };
        let mut prlimit = Command::new("prlimit");
        prlimit.args(["--pid", &process.java.to_string(), &format!("--fsize={bytes}:{bytes}")]);
        let status = prlimit.status()?;
        if status.success() {
            return Ok(());
        }
        Err(JvmError::Command { command: "prlimit".to_owned(), output: status.to_string() })
    }

    pub(super) fn kill(&mut self) -> Result<()> {
        self.signal("KILL")?;
        self.process = None;
        Ok(())
    }

    pub(super) async fn terminate(&mut self) -> Result<()> {
        self.signal("TERM")?;
        while self.is_running() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.process = None;
        Ok(())
    }

    pub(super) fn is_running(&self) -> bool {
        self.process.as_ref().is_some_and(Process::is_running)
    }

    pub(super) fn log_tail(&self) -> String {
        log_tail(&self.dir)
    }
}

impl Process {
    /// Runs a class in this folder, where its output is kept in `kafka.log`.
    pub(super) fn start(dir: &Path, class_path: &OsStr, options: &[String], class: &[&str]) -> Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", WATCHDOG, "sh", "java"]).args(options);
        shell.arg("-cp").arg(class_path).args(class);
        let mut shell = shell
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = shell.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let java = line.trim().parse().map_err(std::io::Error::other)?;
        Ok(Self { shell, java })
    }

    pub(super) fn is_running(&self) -> bool {
        // A zombie is not running; its shell reaps it only at the end.
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.java)).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
    }
}

/// The jars, and perhaps a folder of classes.
pub(super) fn class_path(libs: &Path, classes: Option<&Path>) -> OsString {
    let mut path = libs.join("*").into_os_string();
    if let Some(classes) = classes {
        path.push(":");
        path.push(classes);
    }
    path
}

/// Compiles a Java file into a folder, which is made.
pub(super) async fn compile(libs: &Path, file: &str, source: &str, into: &Path) -> Result<()> {
    fs::create_dir_all(into)?;
    fs::write(into.join(file), source)?;
    let output = tokio::process::Command::new("javac")
        .arg("-cp")
        .arg(class_path(libs, None))
        .args(["-proc:none", "-d"])
        .arg(into)
        .arg(into.join(file))
        .kill_on_drop(true)
        .output()
        .await?;
    if output.status.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Err(JvmError::Command { command: format!("javac {file}"), output })
}

/// A heap of this size, and the collector that starts soonest.
pub(super) fn heap_options(heap_mb: u32) -> Vec<String> {
    vec![format!("-Xms{heap_mb}m"), format!("-Xmx{heap_mb}m"), "-XX:+UseSerialGC".into()]
}

/// The end of what a process printed.
pub(super) fn log_tail(dir: &Path) -> String {
    let log = fs::read_to_string(dir.join("kafka.log")).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // It ends as soon as it has killed its child.
        _ = self.shell.wait();
    }
}

/// Runs a class of the jars and returns what it printed.
pub(super) async fn java(libs: &Path, options: &[&str], args: &[&str]) -> Result<String> {
    let class_path = libs.join("*");
    let output = tokio::process::Command::new("java")
        .arg("-cp")
        .arg(class_path)
        .args(options)
        .args(args)
        .kill_on_drop(true)
        .output()
        .await?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(JvmError::Command {
        command: format!("java {}", options.last().copied().unwrap_or_default()),
        output: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
    })
}

/// Ports that nobody has, and nobody can take while they are held.
pub(crate) fn hold_ports(count: usize) -> Result<Vec<(u16, TcpListener)>> {
    let hold = || {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        Ok((listener.local_addr()?.port(), listener))
    };
    (0..count).map(|_| hold()).collect()
}

/// A separate folder for each cluster.
pub(super) fn temporary_dir() -> Result<PathBuf> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("kafka-testbed-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let dir = std::env::temp_dir().join(name);
    fs::create_dir_all(&dir)?;
    File::create(dir.join(".kafka-testbed"))?;
    Ok(dir)
}
