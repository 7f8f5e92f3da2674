//! Credentials that a program prints: `credential_process` of a profile.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>

use std::io::Read;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};
use zeroize::Zeroizing;

use super::answer;
use super::lookup::Lookup;
use super::problem::Problem;
use crate::config::AwsCredentials;
use crate::error::quoted;

/// It may log in somewhere.
const LIMIT: Duration = Duration::from_secs(8);
/// More than any credentials have.
const LARGEST: u64 = 64 << 10;
/// Between two looks at whether a program has ended that prints no more.
const LOOK: Duration = Duration::from_millis(5);

/// Runs the command, without a shell, and reads what it prints. What it prints of errors is not read: it may hold
/// secrets.
pub(super) async fn credentials(
    lookup: &Lookup<'_>,
    command: &str,
    profile: &str,
) -> Result<AwsCredentials, Problem> {
    let from = format!("credential_process of the AWS profile {}", quoted(profile));
    let words = words(command).filter(|words| !words.is_empty());
    let words =
        words.ok_or_else(|| Problem::new(format!("{from} is empty, or a quotation mark is missing")))?;
    let until = (Instant::now() + LIMIT).min(lookup.until);
    let mut running = Running::start(&words)
        .map_err(|error| Problem::caused(format!("{from} cannot be started"), error))?;
    let (text, ended_well) = timeout_at(until, running.output())
        .await
        .map_err(|_| Problem::new(format!("{from} does not end in time")))?;
    if !ended_well || text.len() as u64 > LARGEST {
        return Err(Problem::new(format!("{from} fails: run it by hand to see why")));
    }
    if answer::object(&text, &from)?.get("Version").and_then(serde_json::Value::as_u64) != Some(1) {
        return Err(Problem::new(format!("{from} prints JSON without \"Version\": 1")));
    }
    lookup.unexpired(answer::credentials(&text, "SessionToken", &from)?, &from)
}

/// A program that is killed when nobody waits for it any more.
struct Running {
    process: Child,
    printed: Option<oneshot::Receiver<Zeroizing<Vec<u8>>>>,
}

impl Running {
    fn start(words: &[String]) -> std::io::Result<Self> {
        let mut process = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let printed = process.stdout.take().map(read);
        Ok(Self { process, printed })
    }

    /// What it prints, and whether it ended well.
    async fn output(&mut self) -> (Zeroizing<Vec<u8>>, bool) {
        let text = match self.printed.take() {
            Some(printed) => printed.await.unwrap_or_default(),
            None => Zeroizing::default(),
        };
        if text.len() as u64 > LARGEST {
            return (text, false);
        }
        loop {
            match self.process.try_wait() {
                Ok(None) => sleep(LOOK).await,
                Ok(Some(status)) => return (text, status.success()),
                Err(_) => return (text, false),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.process.try_wait(), Ok(Some(_))) {
            // Either fails where it ends at this moment.
            _ = self.process.kill();
            _ = self.process.wait();
        }
    }
}

/// Reads on a separate thread: the end of a runtime would wait for one of the runtime's.
fn read(output: ChildStdout) -> oneshot::Receiver<Zeroizing<Vec<u8>>> {
    let (sender, printed) = oneshot::channel();
    thread::spawn(move || {
        let mut text = Zeroizing::new(Vec::new());
        // What was read before an error is not JSON, or is complete.
        _ = output.take(LARGEST + 1).read_to_end(&mut text);
        // Nobody may be waiting any more.
        _ = sender.send(text);
    });
    printed
}

/// The words of a command line: separated by white space, except within quotation marks. `None` where one is missing.
/// A backslash is a character like any other, as in the paths of Windows.
fn words(command: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in command.chars() {
        match quote {
            Some(mark) if c == mark => quote = None,
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_divided_into_words() {
        for (command, expected) in [
            ("aws-vault export dev", vec!["aws-vault", "export", "dev"]),
            (
                r#" "/opt/my tool/get"  --for 'a "b"' c"d e"f "" "#,
                vec!["/opt/my tool/get", "--for", "a \"b\"", "cd ef", ""],
            ),
            (r"C:\tools\get.exe x", vec![r"C:\tools\get.exe", "x"]),
            ("  ", vec![]),
        ] {
            assert_eq!(words(command).unwrap(), expected, "{command}");
        }
        assert_eq!(words("get 'x"), None);
    }

    #[test]
    fn a_program_that_nobody_waits_for_is_killed() {
        let running = Running::start(&["sleep".into(), "600".into()]).unwrap();
        let process = std::path::PathBuf::from(format!("/proc/{}", running.process.id()));
        assert!(process.exists());
        drop(running);
        assert!(!process.exists());
    }
}
