//! The command as a user runs it, against a cluster in this process.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Stdio;

use bytes::Bytes;
use kafka_testbed::{Api, FakeCluster, Fault, Rule};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

mod shared;
use shared::{command, said, send, values};

#[tokio::test]
async fn each_line_is_a_record_and_a_good_run_says_nothing() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    assert_eq!(send(&cluster, &["-t", "t"], "one\n\ntwo\nno newline").await, (Some(0), String::new()));
    assert_eq!(values(&cluster, "t"), ["one", "two", "no newline"]);
}

#[tokio::test]
async fn a_large_file_arrives_byte_by_byte_with_every_codec() {
    let cluster =
        FakeCluster::builder().topic("none", 1).topic("gzip", 1).topic("lz4", 1).start().await.unwrap();
    let input: String = (0..50_000).map(|n| format!("line {n} {}\n", "x".repeat(n % 50))).collect();
    for codec in ["none", "gzip", "lz4"] {
        assert_eq!(send(&cluster, &["-t", codec, "-z", codec], &input).await, (Some(0), String::new()));
        assert!(values(&cluster, codec).join("\n") + "\n" == input, "{codec}");
    }
}

#[tokio::test]
async fn keys_headers_delimiters_and_tombstones_are_set_as_with_kcat() {
    let cluster = FakeCluster::with_topic("t", 3).await.unwrap();
    let args =
        ["-t", "t", "-K", ":", "-D", "\\0", "-H", "a=1", "-H", "a=2", "-p", "2", "-Z", "-k", "default"];
    assert_eq!(send(&cluster, &args, "k:v:w\0k:\0plain").await.0, Some(0));
    let records = cluster.records("t", 2);
    let pairs: Vec<_> = records.iter().map(|r| (r.key.as_deref().unwrap(), r.value.as_deref())).collect();
    assert_eq!(pairs, [(&b"k"[..], Some(&b"v:w"[..])), (b"k", None), (b"default", Some(b"plain"))]);
    let headers = [("a".to_owned(), Some(Bytes::from("1"))), ("a".to_owned(), Some(Bytes::from("2")))];
    assert_eq!(records[0].headers, headers);
}

#[tokio::test]
async fn json_records_name_everything_that_kafka_stores() {
    let cluster = FakeCluster::builder().topic("t", 1).topic("other", 2).start().await.unwrap();
    let input = r#"{"key": "k", "value": {"a":  1}, "headers": {"h": "1"}, "timestamp": 1700000000000}
{"topic": "other", "partition": 1, "value": "/wA=", "encoding": "base64", "headers": [["b", null]]}
{"key": "gone"}
"#;
    assert_eq!(send(&cluster, &["-t", "t", "--json"], input).await, (Some(0), String::new()));
    let records = cluster.records("t", 0);
    assert_eq!(records[0].value.as_deref(), Some(&br#"{"a":  1}"#[..]));
    assert_eq!(records[0].timestamp, 1_700_000_000_000);
    assert_eq!(records[0].headers, [("h".to_owned(), Some(Bytes::from("1")))]);
    assert_eq!((records[1].key.as_deref(), records[1].value.as_deref()), (Some(&b"gone"[..]), None));
    let other = &cluster.records("other", 1)[0];
    assert_eq!(other.value.as_deref(), Some(&b"\xff\x00"[..]));
    assert_eq!(other.headers, [("b".to_owned(), None)]);
}

#[tokio::test]
async fn what_cannot_work_ends_with_1_before_anything_is_sent() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    for (args, reason) in [
        (&["--no-such-option"][..], "--no-such-option"),
        (&[], "no topic"),
        (&["-t", "t", "-z", "brotli"], "none, gzip, snappy, lz4, zstd"),
        (&["-t", "t", "-X", "linger.ms=soon"], "linger.ms=\"soon\""),
        (&["-t", "t", "-X", "linger.sm=1"], "did you mean linger.ms?"),
        (&["-t", "t", "--batch", "2GiB"], "batch.max_bytes (batch.size) is 2147483648"),
        (&["-t", "t", "/no/such/file"], "/no/such/file"),
        (&["-t", "missing"], "missing"),
        (&["-t", "t", "-D", "\\q"], "backslash"),
        (&["-t", "t", "--skip", "1", "--resume-from", "1"], "cannot be used with"),
    ] {
        let (code, said) = send(&cluster, args, "v\n").await;
        assert_eq!(code, Some(1), "{args:?}: {said}");
        assert!(said.contains(reason), "{args:?}: {said}");
    }
    assert_eq!(cluster.requests(Api::Produce), 0);
}

#[tokio::test]
async fn without_a_broker_it_ends_with_2_and_names_it() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    cluster.stop(0).await;
    let soon = ["-t", "t", "-X", "socket.connection.setup.timeout.ms=100"];
    let (code, said) = send(&cluster, &soon, "v\n").await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("KAFKA_BROKERS_UNAVAILABLE") && said.contains(&cluster.bootstrap()[0]), "{said}");
}

/// The number after a word.
fn after(said: &str, word: &str) -> String {
    let (_, rest) = said.split_once(word).unwrap_or_else(|| panic!("no {word:?} in {said:?}"));
    rest.trim_start().chars().take_while(char::is_ascii_digit).collect()
}

#[tokio::test]
async fn a_run_that_failed_is_resumed_by_record_or_by_byte_and_nothing_is_lost_or_duplicated() {
    let large = "x".repeat(2_000);
    let lines: Vec<_> =
        (0..1_000).map(|n| if n == 600 { large.clone() } else { format!("line {n}") }).collect();
    let input = lines.join("\n") + "\n";
    for by in ["--skip", "--resume-from"] {
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let small = ["-t", "t", "--batch", "1100", "-X", "max.request.size=2524"];
        let (code, said) = send(&cluster, &small, &input).await;
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("record 601: ") && said.contains("message_too_large"), "{said}");
        assert!(said.contains("--failed FILE"), "resuming alone would fail again: {said}");
        let place = after(&said, by);
        let expected = if by == "--skip" { 600 } else { lines[..600].join("\n").len() + 1 };
        assert_eq!(place, expected.to_string(), "{said}");
        assert!(values(&cluster, "t") == lines[..600], "nothing after the failure was sent");
        assert_eq!(send(&cluster, &["-t", "t", by, &place], &input).await, (Some(0), String::new()));
        assert!(values(&cluster, "t") == lines);
    }
}

#[tokio::test]
async fn failed_records_go_into_a_file_that_can_be_sent_again() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let file = std::env::temp_dir().join(format!("kafka-send-failed-{}", std::process::id()));
    let path = file.to_str().unwrap();
    let large = "y".repeat(2_000);
    let input = format!("a:1\nb:{large}\nc:3\n");
    let args = [
        "-t",
        "t",
        "-K",
        ":",
        "-H",
        "h=1",
        "--batch",
        "1100",
        "-X",
        "max.request.size=2524",
        "--failed",
        path,
    ];
    let (code, said) = send(&cluster, &args, input).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("2 records stored, 1 failed") && said.contains(&format!("--json {path}")),
        "{said}"
    );
    assert!(!said.contains("--skip"), "nothing is left to resume: {said}");
    assert_eq!(values(&cluster, "t"), ["1", "3"]);
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(kept.contains(r#""fate":"not persisted""#) && kept.contains("message_too_large"), "{kept}");
    assert_eq!(send(&cluster, &["-t", "t", "--json", path], "").await, (Some(0), String::new()));
    std::fs::remove_file(&file).unwrap();
    let last = cluster.records("t", 0).pop().unwrap();
    assert_eq!((last.key.as_deref(), last.value.as_deref()), (Some(&b"b"[..]), Some(large.as_bytes())));
    assert_eq!(last.headers, [("h".to_owned(), Some(Bytes::from("1")))]);
}

#[tokio::test]
async fn a_record_that_is_not_json_ends_the_run_where_it_stands() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let input = "{\"value\": \"1\"}\n{\"vaule\": \"2\"}\n{\"value\": \"3\"}\n";
    let (code, said) = send(&cluster, &["-t", "t", "--json"], input).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("record 2 (at byte 15)") && said.contains("vaule"), "{said}");
    assert_eq!(after(&said, "--skip"), "1");
    assert_eq!(values(&cluster, "t"), ["1"]);
}

#[tokio::test]
async fn a_failure_in_one_partition_says_what_resuming_would_store_again() {
    // Partition 0 is led by node 0, partition 1 by node 1.
    let cluster = FakeCluster::builder().brokers(2).topic("t", 2).start().await.unwrap();
    let invalid_record = Fault::Error(87);
    cluster.inject(Rule::on(Api::Produce).node(0).always(), invalid_record);
    let record = |partition: u8| format!("{{\"partition\": {partition}, \"value\": \"v\"}}\n");
    let input = [1, 1, 0, 1, 1, 1].map(record).concat();
    let (code, said) = send(&cluster, &["-t", "t", "--json"], &input).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("record 3: ") && said.contains("5 records stored, 1 failed"), "{said}");
    assert_eq!(after(&said, "--skip"), "2", "{said}");
    assert_eq!(after(&said, "that stores"), "3", "{said}");
}

#[tokio::test]
async fn a_failure_ends_the_run_though_the_input_goes_on() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    cluster.inject(Rule::on(Api::Produce).always(), Fault::Error(87));
    let mut child = command(&cluster, &["-t", "t"]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"one\n").await.unwrap();
    let (code, said) = said(child.wait_with_output().await.unwrap());
    assert_eq!((code, after(&said, "--skip").as_str()), (Some(2), "0"), "{said}");
    drop(stdin);
}

#[tokio::test]
async fn a_signal_ends_the_reading_stores_what_was_read_and_says_where_to_go_on() {
    for signal in ["INT", "TERM"] {
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let mut child = command(&cluster, &["-t", "t"]);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"one\ntwo\nhalf a li").await.unwrap();
        cluster.wait_until(|cluster| cluster.high_watermark("t", 0) == Some(2)).await;
        kill(&child, signal).await;
        let (code, said) = said(child.wait_with_output().await.unwrap());
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("ended by a signal; 2 records stored, 0 failed"), "{said}");
        assert_eq!((after(&said, "--skip"), after(&said, "--resume-from")), ("2".into(), "8".into()));
        drop(stdin);
    }
}

#[tokio::test]
async fn a_signal_while_brokers_are_silent_ends_by_its_limit_with_an_honest_fate() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    cluster.inject(Rule::on(Api::Produce).always(), Fault::Silence);
    let mut child = command(&cluster, &["-t", "t", "--close-timeout", "0"]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"one\n").await.unwrap();
    cluster.wait_until(|cluster| cluster.requests(Api::Produce) == 1).await;
    kill(&child, "TERM").await;
    let (code, said) = said(child.wait_with_output().await.unwrap());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("record 1: ") && said.contains("possibly persisted"), "{said}");
    assert_eq!(after(&said, "--skip"), "0");
    drop(stdin);
}

async fn kill(child: &Child, signal: &str) {
    let id = child.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-s", signal, &id]).status().await.unwrap();
    assert!(sent.success());
}

#[tokio::test]
async fn progress_is_shown_on_request() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let (code, said) = send(&cluster, &["-t", "t", "--progress"], "one\ntwo\n").await;
    assert_eq!(code, Some(0));
    assert!(said.contains("2 records stored, 0.0 MB of input in"), "{said}");
}

/// A pipe that nobody reads any more.
fn closed_pipe() -> Stdio {
    let (_, writer) = std::os::unix::net::UnixStream::pair().unwrap();
    std::os::fd::OwnedFd::from(writer).into()
}

/// Runs it with standard error, standard output or both as closed pipes.
async fn send_unheard(cluster: &FakeCluster, args: &[&str], input: &str, out: bool) -> Option<i32> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kafka-send"));
    command
        .env("KAFKA_BOOTSTRAP_SERVERS", cluster.bootstrap().join(","))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(if out { closed_pipe() } else { Stdio::null() })
        .stderr(closed_pipe())
        .kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    child.wait().await.unwrap().code()
}

#[tokio::test]
async fn nobody_at_standard_error_changes_nothing_and_failed_records_are_kept() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    for out in [false, true] {
        let run = send_unheard(&cluster, &["-t", "t", "--progress"], "one\ntwo\n", out).await;
        assert_eq!(run, Some(0));
        let failed = std::env::temp_dir().join(format!("unheard-{}-{out}.jsonl", std::process::id()));
        let path = failed.to_str().unwrap().to_owned();
        let args = ["-t", "t", "-p", "77", "--failed", &path];
        assert_eq!(send_unheard(&cluster, &args, "a\nb\nc\n", out).await, Some(2));
        let kept = std::fs::read_to_string(&failed).unwrap();
        assert_eq!(kept.lines().count(), 3, "{kept}");
        std::fs::remove_file(&failed).unwrap();
        assert_eq!(send_unheard(&cluster, &["--nonsense"], "", out).await, Some(1));
        assert_eq!(send_unheard(&cluster, &["--help"], "", out).await, Some(0));
    }
    assert_eq!(values(&cluster, "t"), ["one", "two", "one", "two"]);
}

#[tokio::test]
async fn blank_lines_between_json_records_are_skipped() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let input = "{\"value\":\"one\"}\n\n  \t\n{\"value\":\"two\"}\n\n";
    assert_eq!(send(&cluster, &["-t", "t", "--json"], input).await, (Some(0), String::new()));
    assert_eq!(values(&cluster, "t"), ["one", "two"]);
}
