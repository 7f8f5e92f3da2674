//! The options that kcat has mean what they mean there; and where settings come from.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::PathBuf;
use std::process::{Output, Stdio};

use kafka_testbed::{Api, FakeCluster, Fault, Rule, StoredRecord};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

mod shared;
use shared::{send, values};

/// Runs a program to its end. It may end without having read everything.
async fn run(program: &str, args: &[&str], vars: &[(&str, &str)], input: &str) -> Output {
    let mut command = Command::new(program);
    command.args(args).envs(vars.iter().copied()).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let written = async move { stdin.write_all(input.as_bytes()).await };
    let (written, output) = tokio::join!(written, child.wait_with_output());
    drop(written);
    output.unwrap()
}

async fn ours(args: &[&str], vars: &[(&str, &str)], input: &str) -> (Option<i32>, String, String) {
    let output = run(env!("CARGO_BIN_EXE_kafka-send"), args, vars, input).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

async fn kcat_is_here(test: &str) -> bool {
    let here = Command::new("kcat").arg("-V").output().await.is_ok();
    assert!(here || std::env::var("KAFKA_TESTS").as_deref() != Ok("required"), "{test} needs kcat");
    if !here {
        eprintln!("SKIPPED {test}: no kcat here");
    }
    here
}

/// A file that is removed at the end.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str, text: &str) -> Self {
        let file = std::env::temp_dir().join(format!("kafka-send-{}-{name}", std::process::id()));
        std::fs::write(&file, text).unwrap();
        Self(file)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        _ = std::fs::remove_file(&self.0);
    }
}

fn contents(record: &StoredRecord) -> String {
    format!("{:?} {:?} {:?} {}", record.key, record.value, record.headers, record.partition)
}

#[tokio::test]
async fn every_producer_option_stores_what_kcat_stores() {
    if !kcat_is_here("every_producer_option_stores_what_kcat_stores").await {
        return;
    }
    let file = Temporary::new("file", "1\n\n2\n3");
    let cases: &[(&[&str], &str)] = &[
        (&[], "one\n\ntwo\n  \n\tthree\r\nno newline"),
        (&["-P", "-q"], "a\nb\n"),
        (&["-p", "-1", "-K", ":"], "k:a\nk2:b\n"),
        (&["-p", "1"], "a\n"),
        (&["-K", ":"], ":\nx:\n:y\nplain\nk:v:w\n"),
        (&["-K", ":", "-k", "default"], ":\nx:\nplain\n"),
        (&["-Z"], "a\n\nb\n"),
        (&["-Z", "-K", ":"], ":\nx:\n:y\n\nplain\n"),
        (&["-Z", "-K", ":", "-k", "default"], ":v\nx:\nplain\n"),
        (&["-H", "a", "-H", "b=", "-H", "c=1=2", "-H", "c=3"], "v\n"),
        (&["-D", "\\t"], "a\tb\n\tc"),
        (&["-D", "xx"], "axxbxxxxc"),
        (&["-c", "2"], "1\n\n2\n3\n4\n"),
        (&["-z", "gzip", "-X", "topic.request.required.acks=1", "-X", "client.id=me"], "a\n"),
        (&["-E", "-m", "10", "-v", "-v"], "a\n"),
        (&["-l", file.path()], ""),
    ];
    for (args, input) in cases {
        let cluster = FakeCluster::builder().topic("k", 3).topic("o", 3).start().await.unwrap();
        let brokers = cluster.bootstrap().join(",");
        let with = |topic| [&["-b", &brokers, "-t", topic][..], *args].concat();
        let mut kcat = with("k");
        kcat.insert(0, "-P");
        let theirs = run("kcat", &kcat, &[], input).await;
        let (code, out, said) = ours(&with("o"), &[], input).await;
        assert_eq!((code, out.as_str()), (theirs.status.code(), ""), "{args:?}: {said}");
        let stored = |topic| cluster.all_records(topic).iter().map(contents).collect::<Vec<_>>();
        // Without a key the partition is nobody's promise.
        let anywhere = |text: &String| text.rsplit_once(' ').unwrap().0.to_owned();
        let (mut k, mut o): (Vec<_>, Vec<_>) = (stored("k"), stored("o"));
        if !args.contains(&"-p") {
            (k, o) = (k.iter().map(anywhere).collect(), o.iter().map(anywhere).collect());
            k.sort();
            o.sort();
        }
        if args.contains(&"-1") {
            // Another hash than Java's, unless -X partitioner=consistent_random.
            assert_eq!(o.len(), k.len());
            continue;
        }
        assert!(!o.is_empty() && o == k, "{args:?}: kcat stored {k:#?}, kafka-send {o:#?}");
    }
}

#[tokio::test]
async fn what_kcat_prints_as_json_is_taken_as_input() {
    if !kcat_is_here("what_kcat_prints_as_json_is_taken_as_input").await {
        return;
    }
    let cluster = FakeCluster::builder().topic("from", 1).topic("to", 1).start().await.unwrap();
    let brokers = cluster.bootstrap().join(",");
    let lines = "k:one \"quoted\"\nx:\n\u{fc}ber:zwei\n";
    let sent = ["-b", &brokers, "-t", "from", "-K", ":", "-H", "h=1", "-H", "n", "-Z"];
    assert_eq!(ours(&sent, &[], lines).await.0, Some(0));
    let printed = run("kcat", &["-C", "-J", "-e", "-q", "-b", &brokers, "-t", "from"], &[], "").await;
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert_eq!(printed.lines().count(), 3, "{printed}");
    let (code, _, said) = ours(&["-b", &brokers, "-t", "to", "-J"], &[], &printed).await;
    assert_eq!(code, Some(0), "{said}");
    let all = |topic| {
        let records = cluster.all_records(topic);
        records.iter().map(|r| (contents(r), r.timestamp)).collect::<Vec<_>>()
    };
    assert_eq!(all("from"), all("to"));
}

#[tokio::test]
async fn tee_copies_what_is_sent_with_its_delimiters_and_survives_a_closed_pipe() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let brokers = cluster.bootstrap().join(",");
    let (code, out, _) = ours(&["-b", &brokers, "-t", "t", "-T", "-K", ":"], &[], "k:one\n\ntwo").await;
    assert_eq!((code, out.as_str()), (Some(0), "k:one\ntwo"));
    let input: String = (0..50_000).map(|n| format!("line {n}\n")).collect();
    let script = format!("{} -b {brokers} -t t -T | head -n 1", env!("CARGO_BIN_EXE_kafka-send"));
    let output = run("bash", &["-c", &format!("set -o pipefail; {script}")], &[], &input).await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"line 0\n"[..], &b""[..]));
    assert_eq!(values(&cluster, "t").len(), 50_002);
}

#[tokio::test]
async fn settings_come_from_the_environment_then_the_file_then_options() {
    let cluster =
        FakeCluster::builder().topic("env", 1).topic("file", 1).topic("option", 1).start().await.unwrap();
    let brokers = cluster.bootstrap().join(",");
    let vars = [("KAFKA_BOOTSTRAP_SERVERS", &*brokers), ("KAFKA_TOPIC", "env"), ("KAFKA_CLIENT_ID", "env")];
    assert_eq!(ours(&[], &vars, "a\n").await, (Some(0), String::new(), String::new()));
    let file = Temporary::new("settings", "# a comment\ntopic=file\nqueue.buffering.max.ms=7\n");
    assert_eq!(ours(&["-F", file.path()], &vars, "b\n").await.0, Some(0));
    assert_eq!(ours(&["-F", file.path(), "-t", "option"], &vars, "c\n").await.0, Some(0));
    let stored = ["env", "file", "option"].map(|topic| values(&cluster, topic).concat());
    assert_eq!(stored, ["a", "b", "c"]);

    let (code, dump, _) = ours(&["-F", file.path(), "-X", "client.id=option", "-X", "dump"], &vars, "").await;
    assert_eq!(code, Some(0));
    for line in ["topic = file", "batch.linger = 7ms", "client_id = option"] {
        assert!(dump.lines().any(|found| found == line), "{line}: {dump}");
    }
    let (code, list, _) = ours(&["-X", "list"], &[], "").await;
    assert!(
        code == Some(0) && list.contains("linger.ms") && list.contains("queue.buffering.max.ms"),
        "{list}"
    );
    for (args, vars, reason) in [
        (&["-F", "/no/such/file"][..], &[][..], "/no/such/file"),
        (&[], &[("KAFKA_COMPRESSION_TYPE", "nonsense")], "KAFKA_COMPRESSION_TYPE"),
        (&["-t", "t"], &[], "no brokers"),
        (&["-X", "linger.ms"], &[], "expected NAME=VALUE, list or dump"),
    ] {
        let (code, _, said) = ours(args, vars, "").await;
        assert!(code == Some(1) && said.contains(reason), "{args:?}: {code:?} {said}");
    }
}

#[tokio::test]
async fn a_password_comes_from_a_file_and_one_on_the_command_line_is_warned_about() {
    let sasl = kafka_testbed::Sasl::new(&[kafka_testbed::Mechanism::ScramSha512]);
    let cluster = FakeCluster::builder().topic("t", 1).sasl(sasl).start().await.unwrap();
    let brokers = cluster.bootstrap().join(",");
    let secret = Temporary::new("password", &format!("{}\n", kafka_testbed::PASSWORD));
    let vars = [
        ("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT"),
        ("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512"),
        ("KAFKA_SASL_USERNAME", kafka_testbed::USER),
        ("KAFKA_SASL_PASSWORD_FILE", secret.path()),
    ];
    let args = ["-b", &brokers, "-t", "t"];
    assert_eq!(ours(&args, &vars, "a\n").await, (Some(0), String::new(), String::new()));
    let said_aloud = format!("sasl.password={}", kafka_testbed::PASSWORD);
    let (code, _, said) = ours(&[&args[..], &["-X", &said_aloud]].concat(), &vars[..3], "b\n").await;
    assert_eq!(code, Some(1), "a login comes whole from one source: {said}");
    let file = Temporary::new(
        "login",
        &format!(
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512\nsasl.username={}\nsasl.password=wrong\n",
            kafka_testbed::USER
        ),
    );
    let (code, _, said) =
        ours(&[&args[..], &["-F", file.path(), "-X", &said_aloud]].concat(), &[], "b\n").await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("KAFKA_SASL_PASSWORD_FILE") && !said.contains(kafka_testbed::PASSWORD), "{said}");
    assert_eq!(values(&cluster, "t"), ["a", "b"]);
}

#[tokio::test]
async fn the_first_failure_is_shown_at_once_and_the_connection_is_tried_for_as_long_as_m_says() {
    let started = std::time::Instant::now();
    let (code, _, said) = ours(&["-b", "127.0.0.1:1", "-t", "t", "-m", "1"], &[], "a\n").await;
    assert_eq!(code, Some(2), "{said}");
    let lines: Vec<_> = said.lines().collect();
    assert!(
        lines[0].contains("127.0.0.1:1: Connection refused") && lines[0].ends_with("still trying"),
        "{said}"
    );
    assert!(lines.len() == 2 && lines[1].contains("KAFKA_BROKERS_UNAVAILABLE"), "{said}");
    assert!(started.elapsed() >= std::time::Duration::from_secs(1));
    let (_, _, quiet) = ours(&["-b", "127.0.0.1:1", "-t", "t", "-m", "0", "-q"], &[], "a\n").await;
    assert_eq!(quiet.lines().count(), 1, "{quiet}");
}

#[tokio::test]
async fn with_e_a_run_goes_on_past_failed_records() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let large = "x".repeat(3_000);
    let args = ["-t", "t", "-E", "--batch", "1100", "-X", "max.request.size=2524"];
    let (code, said) = send(&cluster, &args, format!("a\n{large}\nb\n")).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("record 2: ") && said.contains("2 records stored, 1 failed"), "{said}");
    assert_eq!(values(&cluster, "t"), ["a", "b"]);
}

#[tokio::test]
async fn each_file_is_one_record_with_whole_files() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let (one, two) = (Temporary::new("one", "a\n\nb\n"), Temporary::new("two", "c"));
    let args = ["-t", "t", "--whole-files", one.path(), two.path()];
    assert_eq!(send(&cluster, &args, "").await, (Some(0), String::new()));
    assert_eq!(values(&cluster, "t"), ["a\n\nb\n", "c"]);
}

#[tokio::test]
async fn empty_lines_are_empty_records_on_request() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    assert_eq!(send(&cluster, &["-t", "t", "--empty-lines"], "a\n\nb\n").await.0, Some(0));
    assert_eq!(values(&cluster, "t"), ["a", "", "b"]);
}

#[tokio::test]
async fn explain_says_what_records_wait_for() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    cluster.inject(Rule::on(Api::Produce).always(), Fault::Silence);
    let args = ["-t", "t", "--explain", "-X", "delivery.timeout.ms=2500", "-X", "request.timeout.ms=2000"];
    let (code, said) = send(&cluster, &args, "a\n").await;
    assert_eq!(code, Some(2), "{said}");
    let line = said.lines().find(|line| line.contains("waiting: ")).unwrap_or_else(|| panic!("{said}"));
    assert!(line.contains("topic \"t\"") && line.contains(&cluster.bootstrap()[0]), "{line}");
}

#[tokio::test]
async fn debugging_prints_the_events_of_the_library() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let (code, said) = send(&cluster, &["-t", "t", "-d", "broker,msg"], "a\n").await;
    assert!(code == Some(0) && said.contains("connection.opened") && said.contains("close.ok"), "{said}");
}

#[tokio::test]
async fn help_completions_and_the_man_page_name_every_option_and_exit_code() {
    let (_, help, _) = ours(&["--help"], &[], "").await;
    assert!(
        help.contains("Exit codes:\n  0  every record is stored\n  1  ") && help.contains("\n  2  "),
        "{help}"
    );
    let long: Vec<_> =
        help.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 3).collect();
    assert!(long.len() > 25, "{long:?}");
    let (code, man, _) = ours(&["--man"], &[], "").await;
    assert!(code == Some(0) && man.starts_with(".ie") | man.contains(".TH kafka-send"), "{man}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, script, _) = ours(&["--completions", shell], &[], "").await;
        assert_eq!(code, Some(0));
        for option in ["whole-files", "resume-from", "null-empty", "connect-timeout"] {
            assert!(script.contains(option), "{shell} lacks --{option}");
            assert!(man.contains(&option.replace('-', "\\-")), "the man page lacks --{option}");
        }
    }
}
