//! Runs a command beside a real Kafka, and ends with its status.
//!
//! ```text
//! cargo run -p kafka-testbed --bin with_kafka -- --topic events:3 -- sh -c 'kcat -L -b "$KAFKA_BROKERS"'
//! ```
//!
//! The command finds `host:port,…` in `KAFKA_BROKERS`; with `--secured` also the listener with TLS and SASL in
//! `KAFKA_SASL_SSL_BROKERS`, its authority in the file `KAFKA_CA`, `KAFKA_USER` and `KAFKA_PASSWORD`. The cluster and its data are gone when it ends. Needs Java 17, and
//! Maven for the first time.

use std::process::ExitCode;

use kafka_testbed::{JvmCluster, Listener, PASSWORD, USER};

type Error = Box<dyn std::error::Error>;

const USAGE: &str = "usage: with_kafka [--secured] [--nodes N] [--topic NAME:PARTITIONS]... [--config KEY=VALUE]... \
                     -- COMMAND [ARGUMENT]...";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Error> {
    let (mut builder, mut topics) = (JvmCluster::builder(), Vec::new());
    let mut args = std::env::args().skip(1);
    loop {
        let flag = args.next().ok_or(USAGE)?;
        match flag.as_str() {
            "--" => break,
            "--secured" => {
                builder = builder.secured();
                continue;
            }
            _ => {}
        }
        let value = args.next().ok_or(USAGE)?;
        match flag.as_str() {
            "--nodes" => builder = builder.nodes(value.parse()?),
            "--topic" => {
                let (name, partitions) = value.split_once(':').ok_or(USAGE)?;
                topics.push((name.to_owned(), partitions.parse()?));
            }
            "--config" => {
                let (key, value) = value.split_once('=').ok_or(USAGE)?;
                builder = builder.config(key, value);
            }
            _ => return Err(USAGE.into()),
        }
    }
    let program = args.next().ok_or(USAGE)?;
    let cluster = builder.start().await?;
    for (name, partitions) in topics {
        cluster.create_topic(&name, partitions, &[]).await?;
    }
    let status = tokio::process::Command::new(&program)
        .args(args)
        .env("KAFKA_BROKERS", cluster.bootstrap().join(","))
        .envs(
            cluster
                .certificates()
                .map(|_| {
                    [
                        ("KAFKA_SASL_SSL_BROKERS", cluster.bootstrap_at(Listener::SaslSsl).join(",")),
                        ("KAFKA_CA", cluster.certificates_dir().join("ca.pem").display().to_string()),
                        ("KAFKA_USER", USER.to_owned()),
                        ("KAFKA_PASSWORD", PASSWORD.to_owned()),
                    ]
                })
                .into_iter()
                .flatten(),
        )
        .status()
        .await
        .map_err(|error| format!("{program}: {error}"))?;
    // As a shell does for a command that a signal ended: not success.
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
