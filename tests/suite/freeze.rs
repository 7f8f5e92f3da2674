//! F20: a function that is stopped between invocations, whose connections are gone when it goes on.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use kafka_testbed::{FakeCluster, FaultProxy};

use crate::support::assert_numbers_in_order;

/// The example `lambda_handler`, fed with one event per line.
struct Function {
    process: Child,
    answers: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Function {
    fn start(brokers: &str) -> Self {
        let mut process = Command::new(example("lambda_handler"))
            .arg("-")
            .env("KAFKA_BROKERS", brokers)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, answers }
    }

    /// One invocation; what the function answered.
    fn invoke(&mut self, event: &str) -> String {
        writeln!(self.process.stdin.as_mut().unwrap(), "{event}").unwrap();
        self.answers.next().unwrap().unwrap()
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// The program of an example, built if need be.
fn example(name: &str) -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--example", name])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(built.success());
    let test = std::env::current_exe().unwrap();
    // target/debug/deps/suite-… → target/debug/examples/…
    test.parent().unwrap().parent().unwrap().join("examples").join(name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f20_a_function_that_thaws_delivers_at_its_first_invocation_and_duplicates_nothing() {
    let cluster = FakeCluster::builder().brokers(1).start().await.unwrap();
    cluster.create_topic("orders", 1);
    // The proxy forgets connections as a NAT gateway does; the cluster advertises its own address, which is as good.
    let proxy = FaultProxy::start(cluster.address(0)).await.unwrap();
    let address = proxy.address().to_string();
    let answers = tokio::task::spawn_blocking(move || {
        let mut function = Function::start(&address);
        let mut answers = Vec::new();
        for round in 0..5 {
            answers.push(function.invoke(&round.to_string()));
            function.signal("-STOP");
            proxy.cut_now();
            cluster.cut_connections(0);
            function.signal("-CONT");
        }
        (answers, cluster)
    });
    let (answers, cluster) = answers.await.unwrap();
    for answer in &answers {
        assert!(answer.starts_with("1 stored"), "{answers:?}");
    }
    assert_numbers_in_order(&cluster.all_records("orders"), 5);
}
