//! Runs the command against a cluster in this process.

use std::process::{Output, Stdio};

use bytes::Bytes;
use kafka_testbed::FakeCluster;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

pub(crate) fn command(cluster: &FakeCluster, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_kafka-send"))
        .env("KAFKA_BOOTSTRAP_SERVERS", cluster.bootstrap().join(","))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

pub(crate) async fn send(
    cluster: &FakeCluster,
    args: &[&str],
    input: impl AsRef<[u8]>,
) -> (Option<i32>, String) {
    let mut child = command(cluster, args);
    let mut stdin = child.stdin.take().unwrap();
    // It may end without having read everything.
    let (written, output) =
        tokio::join!(async move { stdin.write_all(input.as_ref()).await }, child.wait_with_output());
    drop(written);
    said(output.unwrap())
}

pub(crate) fn said(output: Output) -> (Option<i32>, String) {
    assert!(output.stdout.is_empty(), "standard output stays free");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

pub(crate) fn values(cluster: &FakeCluster, topic: &str) -> Vec<String> {
    let text = |value: Option<Bytes>| String::from_utf8(value.unwrap().into()).unwrap();
    cluster.all_records(topic).into_iter().map(|record| text(record.value)).collect()
}
